"""What the driver and torch say of the GPUs, with a stand-in for the driver's tool, and the device that follows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch

from selfimprove.errors import UsageError
from selfimprove.host.gpus import Gpus, Memory, NoGpus
from selfimprove.models import compute_dtype
from selfimprove.models.gpus import CudaGpus, choose_device, gpus_here, pretend_gpus, total_memory
from selfimprove.models.memory import free_memory, gpus_in_use
from tests.scripted_gpus import ScriptedGpus

DRIVER = """#!/bin/sh
case "$*" in
  *query-gpu=index*) printf '0\\n1\\n2\\n3\\n' ;;
  "-i 1,2"*memory.used*) cat "$(dirname "$0")/used" ;;
  "-i 1,2"*memory.free*) cat "$(dirname "$0")/free" ;;
  *compute-apps*) printf '4711, python train.py, 9000\\n' ;;
  *) exit 6 ;;
esac
"""
H100 = Memory(free=70 << 30, total=80 << 30)

Tell = Callable[[str, str], None]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tell:
    """A driver of four GPUs; call it with what it says of the `used` or the `free` memory of GPUs 1 and 2."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(DRIVER)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return lambda what, text: (tmp_path / what).write_text(text) and None


def test_visible_gpus_are_those_of_the_driver_that_the_environment_leaves(
    driver: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gpus_here().visible() == ("0", "1", "2", "3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 1")
    assert gpus_here().visible() == ("3", "1")
    for hidden in ("", "-1", "NoDevFiles", "-1,0"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert gpus_here().visible() == ()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,-1,0")
    assert gpus_here().visible() == ("2",)


def test_without_a_driver_there_are_no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    for gpus in (gpus_here(), CudaGpus(), NoGpus()):
        assert gpus.visible() == ()
        assert gpus.used_mib(("0",)) == 0
        assert gpus.memory_of(("0",)) == ()
        assert gpus.holders(("0",)) == []
        assert not gpus.usable()


def test_memory_in_use_is_added_up(driver: Tell) -> None:
    driver("used", "600\n300\n")
    assert gpus_here().used_mib(("1", "2")) == 900
    assert gpus_here().used_mib(()) == 0
    assert gpus_here().holders(("1", "2")) == ["4711, python train.py, 9000"]


def test_free_memory_is_known_of_every_gpu_or_not_at_all(driver: Tell) -> None:
    driver("free", "80994, 81559\n40000, 81559\n")
    found = gpus_here().memory_of(("1", "2"))
    assert found == (Memory(80994 << 20, 81559 << 20), Memory(40000 << 20, 81559 << 20))
    for odd in ("80994, 81559\n", "80994, 81559\n[N/A], [N/A]\n", "80994, 81559\n1\n"):
        driver("free", odd)
        assert gpus_here().memory_of(("1", "2")) == ()
    assert gpus_here().memory_of(("MIG-1",)) == gpus_here().memory_of(()) == ()


def test_pretended_gpus_are_taken_for_the_machines_until_the_context_ends() -> None:
    before, told = gpus_here(), ScriptedGpus(memories=[H100])
    with pretend_gpus(told):
        assert gpus_here() is told
    assert type(gpus_here()) is type(before)


@pytest.mark.gpu_branch
@pytest.mark.parametrize(
    ("gpus", "asked", "found"),
    [
        (NoGpus(), "auto", "cpu"),
        (ScriptedGpus(memories=[H100]), "auto", "cuda"),
        (ScriptedGpus(memories=[H100, H100]), "cuda:1", "cuda:1"),
        (ScriptedGpus(memories=[H100]), "cpu", "cpu"),
        (ScriptedGpus(memories=[H100], torch_sees_them=False), "auto", "cpu"),
    ],
)
def test_auto_is_the_gpu_that_torch_can_use_and_else_the_processor(gpus: Gpus, asked: str, found: str) -> None:
    with pretend_gpus(gpus):
        assert choose_device(asked) == torch.device(found)


@pytest.mark.gpu_branch
@pytest.mark.parametrize(("rank", "found"), [("0", "cuda:0"), ("1", "cuda:1"), ("3", "cuda:1")])
def test_each_process_of_a_group_has_its_own_gpu_from_the_start(
    rank: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", rank)
    with pretend_gpus(ScriptedGpus(memories=[H100, H100])):
        assert choose_device("auto") == choose_device("cuda") == torch.device(found)
        assert choose_device("cuda:0") == torch.device("cuda:0")
        assert gpus_in_use("auto", available=True) == [torch.device(found).index]


@pytest.mark.gpu_branch
@pytest.mark.parametrize("asked", ["cuda:7", "mps", "gpu"])
def test_a_device_that_is_not_there_is_refused_by_its_name(asked: str) -> None:
    with (
        pretend_gpus(ScriptedGpus(memories=[H100])),
        pytest.raises(UsageError, match=f"device `{asked}` can't be used") as raised,
    ):
        choose_device(asked)
    assert "--device cpu" in raised.value.hint


@pytest.mark.gpu_branch
def test_memory_is_that_of_the_device_and_not_of_the_machine() -> None:
    with pretend_gpus(ScriptedGpus(memories=[H100, Memory(free=0, total=1)])):
        assert total_memory(torch.device("cuda")) == H100.total
        assert free_memory(torch.device("cuda")) == H100.free
        assert free_memory(torch.device("cuda:1")) == 0
        assert total_memory(torch.device("cuda:1")) == 1
        assert total_memory(torch.device("cpu")) == psutil.virtual_memory().total


@pytest.mark.gpu_branch
@pytest.mark.parametrize("has", [True, False])
def test_a_gpu_without_bfloat16_computes_in_float32(tmp_path: Path, has: bool) -> None:
    (tmp_path / "config.json").write_text('{"dtype": "bfloat16"}')
    with pretend_gpus(ScriptedGpus(memories=[H100], bfloat16=has)):
        assert compute_dtype(tmp_path, torch.device("cuda")) == (torch.bfloat16 if has else torch.float32)
    assert compute_dtype(tmp_path, torch.device("mps")) == torch.float32  # no macOS here, and none before 14 has it
