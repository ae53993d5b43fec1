"""What is left in memory of training, merging, canaries and the own engine once they are done: nothing.

Python's search for cycles is off where weights are looked for, so that no weight can wait for one.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import pytest
import torch

from selfimprove.engines.release import memory_back
from selfimprove.engines.transformers import TransformersSampler, Way
from selfimprove.host.gpus import Memory
from selfimprove.merging import merge
from selfimprove.models.gpus import pretend_gpus
from selfimprove.models.memory import resident_memory
from selfimprove.models.tiny import make_tiny_model
from selfimprove.recipe import Merging, Rounding, Runtime
from selfimprove.round.machinery import MergeCheck, MergeJob
from selfimprove.sampling import GREEDY, Request
from selfimprove.training import train
from selfimprove.training.group import gpus_awaited
from tests.scripted_gpus import ScriptedGpus
from tests.training.train_once import SETTINGS, make_job

RUNTIME = Runtime(device="cpu", threads=1)
PROMPT = (0, 70, 71, 72)
MEBIBYTE = 2**20

Weights = dict[int, weakref.ref[torch.Tensor]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def without_collections() -> Iterator[None]:
    """Python looks for no cycles, and what was there before is left out of its lists, which so are short."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()


def _weights() -> Weights:
    """Weak references to all tensors of the size of a weight, by their ids."""
    found = (each for each in gc.get_objects() if issubclass(type(each), torch.Tensor))
    return {id(each): weakref.ref(each) for each in found if each.numel() >= 256}


def _left(since: Weights) -> list[torch.Size]:
    """The shapes of the weights that are there and were not before."""
    return [weight.shape for name, ref in _weights().items() if name not in since and (weight := ref()) is not None]


@pytest.mark.usefixtures("without_collections")
@pytest.mark.parametrize(
    ("dropout", "checkpointing"),
    [(0.0, "off"), (0.1, "off"), (0.0, "on")],
    ids=["products of our own", "peft's own", "checkpointing"],
)
def test_no_weight_survives_a_training(
    dropout: float, checkpointing: Literal["on", "off"], model: Path, tmp_path: Path
) -> None:
    before, during = _weights(), list[weakref.ref[torch.Tensor]]()
    runtime = RUNTIME.model_copy(update={"gradient_checkpointing": checkpointing})
    job = make_job(tmp_path, model, settings=SETTINGS.model_copy(update={"dropout": dropout}), runtime=runtime)
    train(job, lambda *_: during.extend(_weights().values()))
    assert len(during) > 10
    assert [ref for ref in during if ref() is not None and id(ref()) not in before] == []
    assert _left(before) == []


@pytest.mark.usefixtures("without_collections")
def test_no_weight_survives_a_merge_and_its_canaries(model: Path, tmp_path: Path) -> None:
    train(make_job(tmp_path, model), lambda *_: None)
    before = _weights()
    out, rounding = tmp_path / "merged", Rounding(dtype="float32")
    job = MergeJob(base=model, adapters=[tmp_path / "out"], out=out, rounding=rounding, runtime=RUNTIME)
    assert merge(job, MergeCheck(model, [PROMPT], Merging())).canary_tokens
    assert _left(before) == []


@pytest.mark.usefixtures("without_collections")
@pytest.mark.parametrize("way", ["compiled", "batched", "general"])
def test_no_weight_survives_the_own_engine(way: Way, model: Path) -> None:
    before = _weights()
    asked = Request(key="p", sample=0, prompt_ids=PROMPT, max_new_tokens=8, seed=1, decoding=GREEDY)
    with TransformersSampler(model, RUNTIME, way) as sampler:
        unfinished = sampler.sample([asked, asked])
        next(unfinished)
        assert len(_left(before)) > 10
    assert _left(before) == []


def test_freed_memory_goes_back_to_the_system_wherever_in_the_heap_it_lies() -> None:
    torch.empty(31 * MEBIBYTE, dtype=torch.uint8)  # once it is freed, glibc keeps blocks of up to that size in its heap
    before, kept = resident_memory(), []
    with memory_back((), "the test"):
        blocks = []
        for _ in range(200):
            blocks.append(torch.ones(2 * MEBIBYTE, dtype=torch.uint8))
            kept.append(torch.ones(5000, dtype=torch.uint8))  # lies above the block, which so isn't the heap's end
        assert resident_memory() > before + 300 * MEBIBYTE
        del blocks
    assert resident_memory() < before + 50 * MEBIBYTE
    assert len(kept) == 200


DRIVER = """#!/bin/sh
case "$*" in
  "-i 1"*memory.used*) cat "$(dirname "$0")/used" ;;
esac
"""


@pytest.mark.parametrize(("used", "back"), [(600, True), (1100, True), (9000, False)])
def test_the_driver_is_asked_whether_the_memory_is_back(
    used: int, back: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(DRIVER)
    tool.chmod(0o755)
    (tmp_path / "used").write_text("600\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    told = "9000 MiB of GPU memory are in use after the training ended, 600 MiB were before it started"
    warned = nullcontext() if back else pytest.warns(UserWarning, match=told)
    with warned, memory_back(("1",), "the training", seconds=0.3):
        (tmp_path / "used").write_text(f"{used}\n")


@pytest.mark.gpu_branch
def test_a_process_of_a_group_waits_for_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pretend_gpus(ScriptedGpus(memories=[Memory(free=1, total=1)] * 3)):
        assert gpus_awaited(Runtime(train_processes=2)) == ("0", "1")
        assert gpus_awaited(Runtime(device="cuda:1")) == ("1",)
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert gpus_awaited(Runtime(train_processes=2)) == ()
