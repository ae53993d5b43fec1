"""What a training computes at once: chosen by the free memory, recorded, halved once, and of no effect on gradients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from selfimprove.host.cgroups import Bounds
from selfimprove.models.memory import Peak, free_memory, is_out_of_memory, resident_memory
from selfimprove.models.tiny import make_tiny_model
from selfimprove.models.working import WorkingSet, working_set
from selfimprove.recipe import Recipe, Runtime
from selfimprove.training import train
from selfimprove.training.batches import largest_micro_batch, plan_steps
from selfimprove.training.fit import _bytes_per_token, _bytes_that_fit, _loaded, _set_checkpointing, prepare, take_step
from selfimprove.training.forecast import memory_need, process_weights
from selfimprove.training.sizes import (
    FILE,
    HEAD_FEWEST,
    Sizes,
    candidates,
    first_that_fits,
    halved,
    head_targets,
    read_sizes,
    write_sizes,
)
from tests.paths import ROOT
from tests.training.short_of_memory import long_examples, make_model
from tests.training.train_once import SETTINGS, make_job

CPU = torch.device("cpu")
AUTO = Runtime(device="cpu", threads=1)
EVEN = SETTINGS.model_copy(update={"dropout": 0.0})
GB = 10**9


def silent(*_: float) -> None:
    pass


def chosen(free: float, runtime: Runtime = AUTO) -> tuple[int, bool]:
    """Of a model whose token takes 5 MB, or 0.4 MB with gradient checkpointing, and whose longest row has 300."""

    def needs(sizes: Sizes) -> float:
        return max(300, sizes.micro_tokens) * (0.4e6 if sizes.gradient_checkpointing else 5e6)

    sizes = candidates(runtime, HEAD_FEWEST)
    found = [*sizes, sizes[-1]][first_that_fits(sizes, needs, int(free))]
    return found.micro_tokens, found.gradient_checkpointing


def test_fewer_tokens_are_tried_before_activations_are_computed_twice() -> None:
    assert [chosen(gb * GB) for gb in (72, 40, 18, 13, 9, 7, 6, 4)] == [
        (4096, False),
        (2048, False),
        (1024, False),
        (768, False),
        (512, False),
        (384, False),
        (4096, True),
        (2048, True),
    ]
    assert chosen(0.1 * GB) == (256, True)  # tried all the same


def test_what_the_runtime_asks_for_is_taken() -> None:
    assert chosen(64 * GB, Runtime(gradient_checkpointing="on")) == (4096, True)
    assert chosen(1 * GB, Runtime(gradient_checkpointing="off")) == (256, False)
    assert chosen(1 * GB, Runtime(micro_tokens=700)) == (700, True)
    assert len(candidates(Runtime(micro_tokens=700, gradient_checkpointing="off"), HEAD_FEWEST)) == 1


def test_the_head_takes_a_power_of_two_of_targets_that_its_share_holds() -> None:
    assert head_targets(49_152, 16 * GB, "cpu") == 256
    assert head_targets(151_936, 16 * GB, "cpu") == 256
    assert head_targets(151_936, 7 * GB, "cpu") == 128
    assert head_targets(151_936, 60 * GB, "cuda") == 1024
    assert head_targets(151_936, 0, "cpu") == HEAD_FEWEST


def test_half_is_tried_once_and_never_against_the_runtime() -> None:
    first = Sizes(micro_tokens=1024, gradient_checkpointing=False, head_targets=256)
    half = halved(first, AUTO)
    assert half == Sizes(micro_tokens=512, gradient_checkpointing=True, head_targets=128, halved=True)
    assert halved(half, AUTO) is None
    asked = AUTO.model_copy(update={"micro_tokens": 1024})
    assert halved(first, asked) == replace(half, micro_tokens=1024)
    assert halved(first, asked.model_copy(update={"gradient_checkpointing": "off"})) is None


def test_a_recorded_choice_is_taken_but_for_what_the_runtime_asks(tmp_path: Path) -> None:
    assert read_sizes(tmp_path, AUTO) is None
    sizes = Sizes(micro_tokens=512, gradient_checkpointing=True, head_targets=64, halved=True)
    write_sizes(sizes, tmp_path)
    assert read_sizes(tmp_path, AUTO) == sizes
    asked = AUTO.model_copy(update={"micro_tokens": 100, "gradient_checkpointing": "off"})
    assert read_sizes(tmp_path, asked) == replace(sizes, micro_tokens=100, gradient_checkpointing=False)
    (tmp_path / FILE).write_text('{"micro_tok')
    assert read_sizes(tmp_path, AUTO) is None


def test_a_training_records_its_sizes_and_goes_on_with_them(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model")
    counts = train(make_job(tmp_path / "one", model, runtime=AUTO), silent)
    assert (counts.micro_tokens, counts.gradient_checkpointing, counts.halved) == (4096, False, False)
    assert read_sizes(tmp_path / "one" / "work", AUTO) is not None
    (tmp_path / "two" / "work").mkdir(parents=True)
    write_sizes(replace(candidates(AUTO, 32)[0], micro_tokens=48), tmp_path / "two" / "work")
    going_on = train(make_job(tmp_path / "two", model, runtime=AUTO), silent)
    assert (going_on.micro_tokens, going_on.head_targets) == (48, 32)


def test_the_adapter_is_the_same_whatever_the_sizes(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model")
    found = []
    for tokens, checkpointing in ((4096, "off"), (32, "off"), (100, "on")):
        runtime = AUTO.model_copy(update={"micro_tokens": tokens, "gradient_checkpointing": checkpointing})
        folder = tmp_path / f"{tokens}-{checkpointing}"
        counts = train(make_job(folder, model, settings=EVEN, runtime=runtime), silent)
        found.append((counts.losses, load_file(folder / "out" / "adapter_model.safetensors")))
    for losses, tensors in found[1:]:
        assert losses == pytest.approx(found[0][0], rel=1e-5)
        assert all(torch.allclose(tensors[name], found[0][1][name], atol=1e-5) for name in tensors)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_what_a_few_tokens_hold_tells_what_many_will(checkpointing: bool, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    settings = SETTINGS.model_copy(update={"batch_rows": 24, "dropout": 0.0})
    job = make_job(
        tmp_path, make_model(tmp_path / "model"), examples=long_examples(24), settings=settings, runtime=AUTO
    )
    fit = _loaded(job)
    _set_checkpointing(fit, checkpointing)
    sizes = Sizes(micro_tokens=2048, gradient_checkpointing=checkpointing, head_targets=256)
    plan = plan_steps(fit.rows, fit.method.packs, settings, 0, micro_tokens=2048)
    foretold = _bytes_per_token(fit, sizes) * largest_micro_batch(plan, fit.rows, fit.method.packs)
    with Peak() as peak:
        take_step(replace(fit, sizes=sizes, plan=plan), 1)
    grown = 3 * 4 * sum(p.numel() for p in fit.state.parameters.values())  # gradients and moments, counted apart
    assert 0.8 * (peak.bytes - grown) < foretold < 1.25 * peak.bytes
    assert not any(p.grad is not None for p in fit.state.parameters.values())


def test_rows_that_dont_fit_are_not_computed_on_a_processor(tmp_path: Path) -> None:
    model, rows = make_model(tmp_path / "model"), long_examples(2, 400)
    fit = _loaded(make_job(tmp_path, model, examples=rows, settings=SETTINGS, runtime=AUTO))
    room = 16 << 20  # less than a row holds without gradient checkpointing
    for checkpointing in (False, True):
        _set_checkpointing(fit, checkpointing)
        sizes = Sizes(micro_tokens=4096, gradient_checkpointing=checkpointing, head_targets=16)
        with Peak() as peak:
            each = _bytes_that_fit(fit, sizes, room)
        nothing_computed = peak.bytes < 1024  # but the numbers that the processes agree on
        assert (each == room, nothing_computed) == (not checkpointing, not checkpointing)


def test_freed_memory_of_the_heap_is_kept_up_to_a_bound_and_then_given_back(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"batch_rows": 24, "dropout": 0.0})
    job = make_job(
        tmp_path, make_model(tmp_path / "model"), examples=long_examples(24), settings=settings, runtime=AUTO
    )
    job.work.mkdir()
    fit = prepare(job)
    assert resident_memory() < fit.most_kept < resident_memory() + free_memory(fit.device)
    take_step(replace(fit, most_kept=resident_memory() << 4), 1)
    kept = resident_memory()
    take_step(replace(fit, most_kept=0), 1)
    assert resident_memory() < kept - 2**24


def test_a_peak_counts_storages_while_they_live() -> None:
    weight = torch.ones(100, 100)
    with Peak() as peak:
        kept = weight @ weight.T  # 40 kB; the view of a tensor from outside is none
        for _ in range(3):
            made = kept + 1  # one at a time, beside the one before
        view = made[5:]
    assert peak.bytes == 3 * 40_000
    assert view.shape == (95, 100)


def test_free_memory_is_the_systems_or_what_the_group_leaves() -> None:
    free = free_memory(CPU, limits=Bounds(None, None))
    assert 0 < free <= psutil.virtual_memory().total
    assert free_memory(CPU, 2, Bounds(None, None)) == pytest.approx(free / 2, rel=0.2)
    held = psutil.Process().memory_info().rss
    assert free_memory(CPU, limits=Bounds(None, held + 2**20)) <= 2**21
    assert free_memory(CPU, limits=Bounds(None, 1)) == 0


def test_errors_of_memory_are_told_from_others() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(torch.AcceleratorError("CUDA error: out of memory"))
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes differ"))


def _short(folder: Path, more: int, *length: int) -> dict[str, Any]:
    # What is freed goes back to the system at once, so that the limit leaves what it says.
    malloc = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
    numbers = map(str, (more, *length))
    command = [sys.executable, str(Path(__file__).with_name("short_of_memory.py")), str(folder), *numbers]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **malloc}
    told: dict[str, Any] = json.loads(subprocess.run(command, env=env, check=True, capture_output=True).stdout)
    return told


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a limit on the address space is kept by Linux alone")
def test_a_training_that_runs_out_of_memory_goes_on_with_half(tmp_path: Path) -> None:
    counts = _short(tmp_path, 180)
    assert (counts["micro_tokens"], counts["gradient_checkpointing"], counts["halved"]) == (2048, True, True)
    assert counts["steps"] == 2
    assert len(counts["losses"]) == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a limit on the address space is kept by Linux alone")
def test_rows_too_long_for_memory_without_gradient_checkpointing_train_with_it(tmp_path: Path) -> None:
    counts = _short(tmp_path, 300, 2000)
    assert (counts["micro_tokens"], counts["gradient_checkpointing"], counts["halved"]) == (4096, True, False)
    assert counts["steps"] == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a limit on the address space is kept by Linux alone")
def test_memory_that_is_short_for_half_too_is_an_error_that_says_what_to_type(tmp_path: Path) -> None:
    error = _short(tmp_path, 15)["error"]
    assert "training ran out of memory at 2,048 tokens in one pass" in error
    assert "--micro-tokens 512 --gradient-checkpointing on" in error
    assert json.loads((tmp_path / "work" / FILE).read_text())["halved"]


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_the_forecast_of_activations_is_within_a_quarter_of_what_training_holds(family: str, tmp_path: Path) -> None:
    """Held against the trainer's own measurement, in the shapes of models that are used: wide products, shared keys."""
    torch.set_num_threads(1)
    sizes = {"hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 4, "vocab_size": 260}
    heads = {"num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 32}
    config = AutoConfig.for_model(family, **sizes, **heads)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "model")
    found = working_set(tmp_path / "model")
    fit = _loaded(make_job(tmp_path, tmp_path / "model", examples=long_examples(4), settings=EVEN, runtime=AUTO))
    for checkpointing in (False, True):
        _set_checkpointing(fit, checkpointing)
        measured = _bytes_per_token(fit, candidates(AUTO, 16)[0])
        foretold = 4 * found.activations(100, checkpointing=checkpointing)
        assert foretold == pytest.approx(measured, rel=0.25)


LLAMA_70B = WorkingSet(
    weights=70_600_000_000,
    in_layers=68_450_000_000,
    vocabulary=128_256,
    layers=80,
    adapted=9_000_000,
    held=9_000_000,
    attended=5_120,
    inputs=655_360,
    cached=163_840,
)


@pytest.mark.gpu_branch
def test_sharding_divides_what_a_gpu_holds_and_the_certificate_is_left_to_the_machine() -> None:
    eight = Runtime(train_processes=8, sharding="fsdp", tensor_parallel=8)
    whole = memory_need(Recipe(), Runtime(), LLAMA_70B, 2, 80 * GB, "cuda")
    shared = memory_need(Recipe(), eight, LLAMA_70B, 2, 80 * GB, "cuda")
    assert min(whole.training, whole.sampling) > 141 * GB
    assert max(shared.training, shared.sampling) < 60 * GB
    assert process_weights(eight, LLAMA_70B) == 70_600_000_000 - 68_450_000_000 * 7 // 8
    assert shared.host > 4 * LLAMA_70B.weights
    assert "the certificate takes 424.6 GB of the machine's memory" in shared.told()
    assert memory_need(Recipe(), eight, LLAMA_70B, 2, 400 * GB, "cuda").host == 0


def test_processes_without_gpus_share_the_machine() -> None:
    one, two = (memory_need(Recipe(), Runtime(train_processes=n), LLAMA_70B, 2, 900 * GB, "cpu") for n in (1, 2))
    assert two.least > 2 * 2 * LLAMA_70B.weights > one.least
    assert two.sampling == one.sampling
    assert not two.host


def test_what_a_round_takes_is_told_by_what_is_free() -> None:
    """A model of 1.5B weights in Qwen2's shape, computed in float32: a default round fits a machine of 16 GB."""
    shape = WorkingSet(
        weights=1_543_714_304,
        in_layers=1_310_338_560,
        vocabulary=151_936,
        layers=28,
        adapted=1_154_048,
        held=1_211_750,
        attended=336,
        inputs=43_008,
        cached=14_336,
    )
    told = {room: memory_need(Recipe(), AUTO, shape, 4, room * GB, "cpu") for room in (8, 15, 23)}
    assert all(need.peak < room * GB for room, need in told.items() if room > 8)
    assert told[8].least < 8 * GB
    assert (told[15].sizes.micro_tokens, told[23].sizes.micro_tokens) == (384, 768)
    assert told[23].peak < 12.5 * GB
    assert "a round takes about 12.0 GB: training 12.0 GB (768 tokens in one pass)" in told[23].told()
