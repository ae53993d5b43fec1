"""What is asked of the driver, with a stand-in for its tool, and which engine and GPUs that leads to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from selfimprove.engines.choice import choose_engine
from selfimprove.engines.gpus import await_memory, memory_free, memory_used, share_gpus, visible_gpus
from selfimprove.errors import StageError, UsageError
from selfimprove.recipe import Runtime
from selfimprove.runs.assemble import engine_of

DRIVER = """#!/bin/sh
case "$*" in
  *query-gpu=index*) printf '0\\n1\\n2\\n3\\n' ;;
  "-i 1,2"*memory.used*) cat "$(dirname "$0")/used" ;;
  "-i 1,2"*memory.free*) cat "$(dirname "$0")/free" ;;
  *compute-apps*) printf '4711, python\\033[31m train.py, 9000\\n' ;;
  *) exit 6 ;;
esac
"""

Use = Callable[[str], None]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Use:
    """A driver of four GPUs; call it with what GPUs 1 and 2 have in use."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(DRIVER)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return lambda used: (tmp_path / "used").write_text(used) and None


def test_gpus_are_those_of_the_driver_that_the_environment_leaves(driver: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    assert visible_gpus() == ("0", "1", "2", "3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 1")
    assert visible_gpus() == ("3", "1")


def test_without_a_driver_there_are_no_gpus_and_nothing_is_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert visible_gpus() == ()
    await_memory(("0",), 0, "the engine")


def test_memory_of_the_gpus_used_is_added_up_and_awaited(driver: Use) -> None:
    driver("600\n300\n")
    assert memory_used(("1", "2")) == 900
    await_memory(("1", "2"), 500, "the engine")


def test_free_memory_is_known_of_every_gpu_or_not_at_all(driver: Use, tmp_path: Path) -> None:
    (tmp_path / "free").write_text("80994, 81559\n40000, 81559\n")
    assert memory_free(("1", "2")) == ((80994, 81559), (40000, 81559))
    for odd in ("80994, 81559\n", "80994, 81559\n[N/A], [N/A]\n", "80994, 81559\n1\n"):
        (tmp_path / "free").write_text(odd)
        assert memory_free(("1", "2")) == ()
    assert memory_free(("MIG-1",)) == memory_free(()) == ()


def test_memory_that_does_not_come_back_is_an_error_that_names_who_holds_it(driver: Use) -> None:
    driver("9000\n300\n")
    with pytest.raises(
        StageError, match="9300 MiB of GPU memory are in use after the engine ended; 500 MiB were before"
    ) as raised:
        await_memory(("1", "2"), 500, "the engine", seconds=0.3)
    assert "4711" in raised.value.hint
    assert "\x1b" not in raised.value.hint


def test_each_copy_of_the_model_has_gpus_of_its_own() -> None:
    assert share_gpus(("0", "1", "2", "3", "4"), 2, 2) == [("0", "1"), ("2", "3")]
    assert share_gpus(("5", "6"), 1, 1) == [("5",)]
    assert share_gpus((), 1, 1) == [()]
    with pytest.raises(UsageError, match="need 4 GPUs; 1 seen"):
        share_gpus(("0",), 2, 2)


@pytest.mark.parametrize(("installed", "gpu"), [(False, False), (False, True), (True, False), (True, True)])
def test_the_engine_asked_for_is_taken_and_auto_needs_both_vllm_and_a_gpu(installed: bool, gpu: bool) -> None:
    assert choose_engine("vllm", installed, gpu) == "vllm"
    assert choose_engine("transformers", installed, gpu) == "transformers"
    assert choose_engine("auto", installed, gpu) == ("vllm" if installed and gpu else "transformers")


@pytest.mark.parametrize("option", ["tensor_parallel", "data_parallel"])
def test_several_gpus_are_refused_where_the_engine_would_use_none(option: str) -> None:
    asked = Runtime.model_validate({"engine": "transformers", option: 8})
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')} 8: several GPUs are for the vllm engine"):
        engine_of(asked)
    engine_of(asked.model_copy(update={"ray": "auto", "engine": "auto"}))  # the cluster says which engine it has
