"""An adapter added in memory: the weights of a merge, without the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from selfimprove.engines.transformers import TransformersSampler
from selfimprove.errors import StageError
from selfimprove.merging import rebuild
from selfimprove.merging.applying import apply_adapter
from selfimprove.models import load_model
from selfimprove.models.tiny import make_tiny_model
from selfimprove.recipe import Rounding, Runtime
from selfimprove.sampling import GREEDY, Request
from tests.engines.test_engine_transformers import SIZES
from tests.merging.test_merging import make_adapter, make_job, merged_by_peft

CPU = Runtime(device="cpu", threads=1)


def test_the_weights_are_those_of_pefts_merge(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    adapter = make_adapter(base, tmp_path / "adapter", 1)
    model = load_model(base, torch.float32)
    apply_adapter(model, adapter, "float32")
    theirs = merged_by_peft(base, [adapter])
    assert all(torch.allclose(theirs[name], weight, atol=1e-6) for name, weight in model.named_parameters())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_sampler_with_an_adapter_samples_what_one_on_the_merged_model_does(
    dtype: Literal["float32", "bfloat16"], tmp_path: Path
) -> None:
    base = make_tiny_model(tmp_path / "base", dtype=dtype)
    adapter = make_adapter(base, tmp_path / "adapter", 1, size=0.3)
    rebuild(make_job(base, [adapter], tmp_path / "merged", Rounding(dtype=dtype)))
    requests = [
        Request(key=f"{n}", sample=0, prompt_ids=(5, 9, 7, 40 + n), max_new_tokens=12, seed=1, decoding=GREEDY)
        for n in range(8)
    ]

    def sampled(model: Path, adapter: Path | None = None) -> list[tuple[int, ...]]:
        with TransformersSampler(model, CPU, adapter=adapter) as sampler:
            return [found.token_ids for found in sampler.sample(requests)]

    assert sampled(base, adapter) == sampled(tmp_path / "merged")
    assert sampled(base, adapter) != sampled(base)


@pytest.mark.parametrize("kind", ["qwen2", "gpt_neox"])
def test_the_weights_of_another_architecture_are_those_of_pefts_merge(kind: str, tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = AutoConfig.for_model(kind, **SIZES)
        AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(tmp_path / "base")
    adapter = make_adapter(tmp_path / "base", tmp_path / "adapter", 1)
    model = load_model(tmp_path / "base", torch.float32)
    apply_adapter(model, adapter, "float32")
    theirs = merged_by_peft(tmp_path / "base", [adapter])
    assert all(torch.allclose(theirs[name], weight, atol=1e-6) for name, weight in model.named_parameters())


def test_an_update_below_the_grid_of_bfloat16_is_there_on_average(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base", dtype="bfloat16")
    adapter = make_adapter(base, tmp_path / "adapter", 1, size=0.005)
    model = load_model(base, torch.bfloat16)
    before = {name: weight.detach().float().clone() for name, weight in model.named_parameters()}
    apply_adapter(model, adapter, "bfloat16")
    exact = {
        name: weight.detach() - before[name]
        for name, weight in merged_by_peft(base, [adapter]).items()
        if name in before
    }
    moved = {name: weight.detach().float() - before[name] for name, weight in model.named_parameters()}
    dot = sum(float((moved[name] * exact[name]).sum()) for name in exact)
    assert dot / sum(float((exact[name] ** 2).sum()) for name in exact) == pytest.approx(1, abs=0.15)


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    adapter = make_adapter(base, tmp_path / "adapter", 1)
    with pytest.raises(StageError, match=r"its factors of .* don't fit the model"):
        apply_adapter(torch.nn.Linear(3, 3), adapter, "float32")
