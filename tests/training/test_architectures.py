"""Each architecture is trained and merged right, or refused before anything is sampled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from selfimprove.doctor import Subject, content
from selfimprove.errors import UsageError
from selfimprove.merging import merge, rebuild
from selfimprove.models import load_model, resolve_model
from selfimprove.models.names import stored_names
from selfimprove.models.weights import tensor_heads
from selfimprove.recipe import Merging, Model, Rounding, Runtime
from selfimprove.recipe.reading import read_recipe
from selfimprove.round.machinery import MergeCheck, MergeJob
from selfimprove.runs.assemble import opened
from selfimprove.training import train
from selfimprove.training.targets import find_targets
from tests.training.architectures import MAKERS, WINDOW, make_model
from tests.training.train_once import make_job
from tests.workshop import Workshop, events_of, make_workshop

ATTENTION = ["k_proj", "o_proj", "q_proj", "v_proj"]
LLAMA = sorted([*ATTENTION, "down_proj", "gate_proj", "up_proj"])
ADAPTED = {
    **dict.fromkeys(("llama", "qwen2", "qwen3", "mistral", "gemma3_text", "gemma3", "olmo2", "granite"), LLAMA),
    **dict.fromkeys(("qwen3_moe", "gpt_oss"), ATTENTION),
    "phi3": ["down_proj", "gate_up_proj", "o_proj", "qkv_proj"],
    "stablelm": LLAMA,
    "lfm2": ["in_proj", "k_proj", "out_proj", "q_proj", "v_proj", "w1", "w2", "w3"],
    "qwen3_5": sorted([*LLAMA, "in_proj_a", "in_proj_b", "in_proj_qkv", "in_proj_z", "out_proj"]),
    "llama4": ATTENTION,
}
"""The last parts of the names of what is adapted in each layer."""
WINDOWED = {"mistral", "gemma3_text", "gemma3", "gpt_oss"}
"""Architectures whose tiny model has a window narrower than the longest row."""
PADDED = {"stablelm", "lfm2", "qwen3_5", "llama4"}
"""Architectures whose rows can't be packed."""


RELATIVES = ("qwen2", "olmo2", "granite", "gemma3_text", "llama4")
"""Architectures beside whose relatives only the slow run trains."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in RELATIVES else []) for name in ADAPTED]
)
def test_what_is_found_on_the_meta_device_is_what_is_trained_and_merged(name: str, tmp_path: Path) -> None:
    source = make_model(name, tmp_path / "source")
    base = resolve_model(Model(name=str(source), dtype="float32"), tmp_path / "cache").path
    found = find_targets("the model", base)
    assert sorted({module.rpartition(".")[2] for module in found.modules}) == ADAPTED[name]
    assert bool(found.never_packed) == (name in ("lfm2", "qwen3_5"))
    assert found.window == (WINDOW if name in WINDOWED else None)
    assert found.experts == (ADAPTED[name] == ATTENTION)

    job = make_job(tmp_path, base)
    counts = train(job, lambda *_: None)
    assert max(len(e.prompt_ids) + len(e.target_ids) - 1 for e in job.examples) > WINDOW
    padded = counts.computed_tokens > counts.trained_prompt_tokens + counts.target_tokens - counts.examples
    assert padded == (name in WINDOWED or name in PADDED)
    factors = load_file(job.out / "adapter_model.safetensors")
    assert {f"base_model.model.{module}.lora_A.weight" for module in found.modules} < factors.keys()
    assert len(factors) == 2 * len(found.modules)

    merging = MergeJob(
        base=base, adapters=[job.out], out=tmp_path / "merged", rounding=Rounding(dtype="float32"), runtime=job.runtime
    )
    certificate = merge(merging, MergeCheck(base, [[0, 70, 71, 72 + n] for n in range(4)], Merging()))
    assert certificate.passed, certificate.failures
    assert certificate.survival == pytest.approx(1, abs=1e-4)
    assert certificate.functional_share == pytest.approx(1, abs=1e-4)  # the merged model is base and adapter together
    again = MergeJob(
        base=base, adapters=[job.out], out=tmp_path / "again", rounding=merging.rounding, runtime=job.runtime
    )
    assert rebuild(again) == certificate.sha256


def _workshop(folder: Path, name: str) -> Workshop:
    """A workshop whose model is of the architecture."""
    workshop = make_workshop(folder)
    make_model(name, folder / "model")
    recipe = workshop.recipe.read_text().replace('name = "tiny"', 'name = "model"\ndtype = "float32"')
    workshop.recipe.write_text(recipe)
    return workshop


def _refusal(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `opened`, and the doctor alike, refuse the workshop's model with, before anything is sampled."""
    monkeypatch.chdir(workshop.folder)
    recipe, runtime, cache = read_recipe(workshop.recipe, {}), Runtime(device="cpu", threads=1), workshop.folder / "c"
    with pytest.raises(UsageError) as refused, opened(recipe, runtime, cache):
        pass
    subject = Subject(recipe=recipe, runtime=runtime, folder=workshop.runs, cache=cache, rounds=1)
    with pytest.raises(UsageError) as told:
        content.targets(subject)
    assert str(told.value) == str(refused.value)
    return str(refused.value)


def test_a_model_without_linear_layers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cause, hint = _refusal(_workshop(tmp_path, "gpt2"), monkeypatch).splitlines()
    assert "GPT2LMHeadModel has no torch.nn.Linear" in cause
    assert "--model embedded:" in hint


def test_a_model_whose_files_lack_an_adapted_weight_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop = _workshop(tmp_path, "llama")
    file = tmp_path / "model" / "model.safetensors"
    save_file({name.replace("q_proj", "query"): part for name, part in load_file(file).items()}, file, {"format": "pt"})
    monkeypatch.chdir(workshop.folder)
    recipe, runtime = read_recipe(workshop.recipe, {}), Runtime(device="cpu", threads=1)
    with (
        pytest.raises(UsageError, match=r"lack model\.layers\.0\.self_attn\.q_proj\.weight and 1 more"),
        opened(recipe, runtime, workshop.folder / "c"),
    ):
        pass
    with pytest.raises(UsageError, match=r"LlamaForCausalLM can't be merged: .* model\.layers\.0\.self_attn\.q_proj"):
        find_targets("it", tmp_path / "model")


def test_names_in_files_are_found_where_the_class_renames_and_missing_where_it_fuses(tmp_path: Path) -> None:
    gemma, mixture = make_model("gemma3", tmp_path / "gemma3"), make_model("qwen3_moe", tmp_path / "qwen3_moe")
    end = "layers.1.mlp.up_proj.weight"
    stored = f"language_model.model.{end}"
    assert stored in tensor_heads(gemma)
    assert stored_names(gemma, [f"model.language_model.{end}"]) == {f"model.language_model.{end}": stored}
    fused, own = "model.layers.0.mlp.experts.down_proj", "model.layers.0.self_attn.q_proj.weight"
    assert stored_names(mixture, [fused, own]) == {own: own}


def test_a_model_saved_under_its_class_names_is_found_too(tmp_path: Path) -> None:
    make_model("gemma3", tmp_path)

    load_model(tmp_path, torch.float32).save_pretrained(tmp_path / "own", save_original_format=False)
    weight = "model.language_model.layers.1.mlp.up_proj.weight"
    assert stored_names(tmp_path / "own", [weight]) == {weight: weight}
    assert find_targets("it", tmp_path / "own").modules == find_targets("it", tmp_path).modules


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_a_whole_round_on_each_architecture(name: str, tmp_path: Path) -> None:
    workshop = _workshop(tmp_path, name)
    done = workshop.run("one", 1)
    if name not in ADAPTED:
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 2
        assert not (workshop.runs / "one").exists()
        return
    events_of(done)
    certificate = json.loads(next(workshop.runs.glob("one/**/certificate.json")).read_text())
    assert certificate["passed"]
