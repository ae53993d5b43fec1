"""Taking a run's champion away, and asking it: what is written can be used without this program, the run is left as it
was, and the models that answer are the right ones."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from gguf import GGUFReader
from huggingface_hub import constants
from huggingface_hub.repocard import metadata_load
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from selfimprove.ask import Asked, Overrides, Question, ask
from selfimprove.ask.display import plain_lines
from selfimprove.cli.app import app
from selfimprove.engines.choice import open_sampler
from selfimprove.errors import SelfImproveError, UsageError
from selfimprove.export import export
from selfimprove.export.card import recipe_told
from selfimprove.export.hub import upload
from selfimprove.formatting import split_told
from selfimprove.models import load_model, load_tokenizer
from selfimprove.models.weights import fingerprint_folder
from selfimprove.recipe import Recipe, Runtime
from selfimprove.sampling import GREEDY, DrawRule, Request
from selfimprove.store.durable import content_hash
from selfimprove.store.journal import Journal
from selfimprove.store.records import SplitRecord
from tests.export.hub_peer import open_hub
from tests.workshop import Workshop, events_of, make_workshop

RUNTIME = Runtime(device="cpu", threads=1, engine="transformers")
ASKED = [Question("What is 3 + 12?", "15"), Question("What is 4 + 11?", "15")]
SETTINGS = (
    *("--set", "gate.rule=point"),
    *("--set", "training.learning_rate=1e-2"),
    *("--set", "guards=[{name='other', problems='reasoning-gym:sums', size=8, max_drop=0.9}]"),
)
CONVERTER = Path(__file__).with_name("gguf_converter.py")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A workshop whose model has a card and a licence, with a run of two accepted rounds, `whole`."""
    made = make_workshop(tmp_path_factory.mktemp("taken"))
    (made.folder / "tiny" / "README.md").write_text("---\nlicense: MIT\n---\nTiny.\n")
    (made.folder / "tiny" / "LICENSE.txt").write_text("Do as you like.\n")
    finished = events_of(made.run("whole", 2, *SETTINGS))[-1]
    assert finished["accepted"] == [1, 2]
    return made


@pytest.fixture
def here(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """The workshop as the working folder of this process, with its cache, as it was when the run was made."""
    monkeypatch.chdir(workshop.folder)
    monkeypatch.setenv("SELFIMPROVE_CACHE", str(workshop.folder / "cache"))
    return workshop


def _journal(workshop: Workshop, name: str = "whole") -> Journal:
    return Journal(workshop.runs / name)


def _copied(workshop: Workshop, name: str) -> Journal:
    shutil.copytree(workshop.runs / "whole", workshop.runs / name)
    return _journal(workshop, name)


def _logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(torch.tensor([[0, 70, 71, 72, 80, 90]])).logits
    return found


def test_a_merged_export_is_the_champion_and_loads_plainly(
    here: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content_hash(here.runs)
    app(["export", "whole", "--to", str(tmp_path / "new" / "out")], standalone_mode=False)
    told = capsys.readouterr()
    assert "exported run whole, the model of round 2, to" in told.out
    assert "warning" not in told.err
    assert content_hash(here.runs) == before
    out, merged = tmp_path / "new" / "out", here.runs / "whole" / "0002" / "model"
    assert not list(out.parent.glob(".*"))
    for path in merged.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes()
    assert {path.name for path in out.iterdir()} - {path.name for path in merged.iterdir()} == {
        "README.md",
        "LICENSE.txt",
    }
    assert torch.equal(_logits(AutoModelForCausalLM.from_pretrained(out)), _logits(load_model(merged, torch.bfloat16)))
    assert "<|start|>user" in AutoTokenizer.from_pretrained(out).apply_chat_template(
        [{"role": "user", "content": "hello"}], tokenize=False
    )


def test_the_card_says_what_the_records_say(here: Workshop, tmp_path: Path) -> None:
    made = export(_journal(here), tmp_path / "out", runtime=RUNTIME, cache=here.folder / "cache")
    assert made.warnings == ()
    front, text = metadata_load(tmp_path / "out" / "README.md"), (tmp_path / "out" / "README.md").read_text()
    assert front is not None
    assert (front["license"], front["library_name"]) == ("mit", "transformers")
    look = json.loads((here.runs / "whole" / "sealed.json").read_text())["looks"][0]
    for said in (
        f"| {look['n']} |",
        "These problems were judged only once.",
        "Decoding: greedy, at most 10 tokens",
        "rounds 1 and 2",
    ):
        assert said in text
    assert f"nothing else touched: {split_told(SplitRecord(**look['split']))} (unreadable: unparsed or cut). " in text
    assert "| 2 |" in text
    assert "| round | guard | champion | challenger | change | drop allowed | outcome |\n" in text
    assert re.search(r"\| 1 \| other \| [\d.]+% \| [\d.]+% \| [+−0-9.]+ \| 90\.0 \| no harm shown \|\n", text)
    assert '"learning_rate": 0.01' in text
    assert "mit. Its text: LICENSE.txt" in text
    assert str(here.folder) not in text
    assert "vllm serve THIS_FOLDER\n" in text
    assert "selfimprove export whole --to NEW_FOLDER --gguf q8_0\n" in text


def test_one_adapter_on_the_base_answers_as_the_merged_model(here: Workshop, tmp_path: Path) -> None:
    made = export(_journal(here), tmp_path / "out", "adapter", RUNTIME, cache=here.folder / "cache")
    assert (made.champion, made.form) == (2, "adapter")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["r"] == config["lora_alpha"] == 4
    assert config["target_modules"] == sorted(config["target_modules"])
    assert len(config["target_modules"]) == 7
    base = next((here.folder / "cache" / "models").glob("tiny-*"))
    joint = PeftModel.from_pretrained(load_model(base, torch.float32), str(tmp_path / "out"))
    merged = load_model(here.runs / "whole" / "0002" / "model", torch.float32)
    trained = (_logits(load_model(base, torch.float32)) - _logits(merged)).square().mean()
    assert (_logits(joint) - _logits(merged)).square().mean() < trained / 20  # what the merge's rounding leaves
    card = (tmp_path / "out" / "README.md").read_text()
    assert fingerprint_folder(base) in card
    assert "vllm serve THE_BASE --enable-lora --max-lora-rank 8 --lora-modules whole=THIS_FOLDER\n" in card


def test_gguf_is_what_the_converter_makes_of_model_and_card(here: Workshop, tmp_path: Path) -> None:
    made = export(_journal(here), tmp_path / "out", "gguf", RUNTIME, CONVERTER, here.folder / "cache", kind="q8_0")
    assert {path.name for path in made.folder.iterdir()} == {"README.md", "LICENSE.txt", "Modelfile", "whole.gguf"}
    reader = GGUFReader(tmp_path / "out" / "whole.gguf")
    told = {name: reader.fields[name].contents() for name in ("general.name", "test.outtype", "test.card")}
    assert (told["general.name"], told["test.outtype"]) == ("whole", "q8_0")
    assert "license: mit" in told["test.card"]
    assert len(reader.tensors) > 10
    lines = (tmp_path / "out" / "Modelfile").read_text().splitlines()
    assert lines[0] == "FROM ./whole.gguf"
    assert "PARAMETER temperature 0" in lines
    assert 'TEMPLATE """{{ if .System }}<|start|>system' in lines
    assert "{{ .System }}<|end|>" in lines
    assert "{{ end }}{{ if .Prompt }}<|start|>user" in lines
    card = (tmp_path / "out" / "README.md").read_text()
    assert "llama-server --model whole.gguf\n" in card
    assert "ollama create whole --file Modelfile\n" in card


def test_four_bits_need_llama_cpps_program_and_get_it_beside_the_converter(
    here: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "llama.cpp" / "convert_hf_to_gguf.py"
    script.parent.mkdir()
    shutil.copy(CONVERTER, script)
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ["export", "whole", "--to", str(tmp_path / "out"), "--gguf", "q4_k_m", "--converter", str(script)]
    with pytest.raises(UsageError, match="llama-quantize isn't installed") as raised:
        app(words, standalone_mode=False)
    assert raised.value.hint == "Run: brew install llama.cpp; or use --gguf q8_0, which doesn't need it."
    assert not (tmp_path / "out").exists()
    program = script.parent / "build" / "bin" / "llama-quantize"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\n[ "$3" = Q4_K_M ] && while read -r line; do echo "$line"; done < /dev/null > "$2"\n')
    program.chmod(0o755)
    app(words, standalone_mode=False)
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"whole.gguf", "Modelfile"}
    assert not list((tmp_path / "out").glob("*f16*"))


def test_a_converter_that_fails_is_quoted_and_leaves_nothing(here: Workshop, tmp_path: Path) -> None:
    refused = _copied(here, "refused")
    with pytest.raises(SelfImproveError, match="exited with code 1: NotImplementedError: not") as raised:
        export(refused, tmp_path / "out", "gguf", RUNTIME, CONVERTER, here.folder / "cache")
    assert raised.value.exit_code == 1
    assert not list(tmp_path.iterdir())


def test_without_a_round_accepted_there_is_nothing_to_take_away(here: Workshop, tmp_path: Path) -> None:
    journal = _copied(here, "back")
    journal.roll_back(0)
    with pytest.raises(UsageError, match="its champion is the base model"):
        export(journal, tmp_path / "out", runtime=RUNTIME, cache=here.folder / "cache")
    journal.roll_back(1)
    made = export(journal, tmp_path / "out", runtime=RUNTIME, cache=here.folder / "cache")
    assert made.champion == 1
    card = (tmp_path / "out" / "README.md").read_text()
    assert "This model has not been judged on the sealed problems." in card
    assert "holds round 1." in card


def test_a_changed_adapter_or_base_is_refused(here: Workshop, tmp_path: Path) -> None:
    journal = _copied(here, "changed")
    with (journal.round(1).adapter / "adapter_model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x7f")
    with pytest.raises(UsageError, match="missing or changed since stage `train` was done\nRestore it from a copy"):
        export(journal, tmp_path / "out", runtime=RUNTIME, cache=here.folder / "cache")
    bound = json.loads(journal.recipe_path.read_text())
    other = _copied(here, "other")
    other.recipe_path.write_text(json.dumps({**bound, "model": "0" * 64}))
    with pytest.raises(UsageError, match="other base weights"):
        export(other, tmp_path / "out", runtime=RUNTIME, cache=here.folder / "cache")
    assert not list(tmp_path.iterdir())


REFUSALS = [
    (["--to", "full"], "full: already exists and is not empty"),
    (["--to", "sums.jsonl"], "not a folder"),
    (["--to", "rounds/whole/taken"], "inside the run's own folder"),
    (["--to", "o", "--adapter", "--gguf", "f16"], "can't be combined"),
    (["--to", "o", "--gguf", "q3"], "--gguf q3: not a type of weights"),
    (["--to", "o", "--public"], "--public works only with --hub"),
    (["--to", "o", "--converter", "c.py"], "--converter works only with --gguf"),
    (["--to", "o", "--gguf", "f16", "--converter", "c.py"], "c.py: no such file"),
]


@pytest.mark.parametrize(("words", "said"), REFUSALS, ids=lambda value: str(value)[:40])
def test_a_mistake_is_refused_before_anything_is_written(here: Workshop, words: list[str], said: str) -> None:
    (here.folder / "full").mkdir(exist_ok=True)
    (here.folder / "full" / "mine").touch()
    with pytest.raises(UsageError, match=said):
        app(["export", "whole", *words], standalone_mode=False)
    assert not (here.folder / "o").exists()
    assert [path.name for path in (here.folder / "full").iterdir()] == ["mine"]


def test_an_export_is_made_beside_a_process_that_holds_the_run(here: Workshop, tmp_path: Path) -> None:
    journal = _copied(here, "busy")
    with journal.lock():
        (tmp_path / "out").mkdir()  # an empty folder may be there
        export(journal, tmp_path / "out", runtime=RUNTIME, cache=here.folder / "cache")
    assert list((tmp_path / "out").glob("*.safetensors"))


def test_an_upload_that_cannot_be_is_one_line(here: Workshop, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("here")
    for repo in ("me/mine", "no such: name"):
        with pytest.raises(SelfImproveError, match="not uploaded") as raised:
            upload(tmp_path, repo)
        assert raised.value.exit_code == 1
        assert "\n" not in raised.value.message
        assert "hf upload" in raised.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize(("more", "visibility"), [([], "private"), (["--public"], "public")])
def test_the_named_repository_gets_the_folders_files(
    here: Workshop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    visibility: str,
) -> None:
    with open_hub() as hub:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # the hub's client has read its environment
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setenv("HF_TOKEN", "hf_x")
        words = ["export", "whole", "--adapter", "--to", str(tmp_path / "out"), "--hub", "me/tiny", *more]
        app(words, standalone_mode=False)
    assert f"uploaded to {hub.address}/me/tiny" in capsys.readouterr().out
    assert hub.repositories == {"tiny": visibility}
    assert hub.files == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_a_card_holds_no_path_of_the_machine() -> None:
    sections = {"model": {"name": "/home/me/secret/model"}, "problems": {"train": "~/mine.jsonl", "heldout": "a/b"}}
    told = recipe_told(Recipe.model_validate(sections))
    assert (told["model"]["name"], told["problems"]["train"]) == ("model", "mine.jsonl")
    assert told["problems"]["heldout"] == "a/b"


def _ask(workshop: Workshop, name: str = "whole", overrides: Overrides = Overrides()) -> Asked:  # noqa: B008 - frozen
    return ask(Journal(workshop.runs / name), ASKED, overrides, RUNTIME, workshop.folder / "cache")


def _texts(asked: Asked) -> list[tuple[str, ...]]:
    return [tuple(reply.text for reply in answered.replies) for answered in asked.answers]


def _greedy(model: Path) -> list[str]:
    """What a model answers greedily to the questions, asked of the engine directly."""
    tokenizer = load_tokenizer(model)
    prompts = [tuple(tokenizer.render("", question.text)) for question in ASKED]
    with open_sampler("transformers", model, RUNTIME) as sampler:
        found = sampler.sample(
            [
                Request(key=str(n), sample=0, prompt_ids=prompt, max_new_tokens=10, seed=0, decoding=GREEDY)
                for n, prompt in enumerate(prompts)
            ]
        )
        return [tokenizer.decode(completion.token_ids) for completion in found]


def test_piped_replies_are_labelled_lines(here: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["ask", "whole", "What is 3 + 12?", "--gold", "15", "--max-new-tokens", "5", "--threads", "1"]
    app([*words, "--device", "cpu", "--engine", "transformers"], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "asked: the base model and the model of round 2; greedy, at most 5 tokens"
    assert lines[1] == "question: What is 3 + 12?"
    assert all(line.startswith(("base", "champion (round 2)")) for line in lines[2:])
    finals = [line for line in lines if ", final answer: " in line]
    assert [line.split(",")[0] for line in finals] == ["base", "champion (round 2)"]
    assert all("cut after 5 tokens" in line or "unparsed" in line or "wrong" in line for line in finals)
    assert all(line.isprintable() for line in lines)


def test_base_and_champion_answer_as_the_engine_has_them(here: Workshop) -> None:
    asked = _ask(here)
    base = next((here.folder / "cache" / "models").glob("tiny-*"))
    expected = list(zip(_greedy(base), _greedy(here.runs / "whole" / "0002" / "model"), strict=True))
    assert _texts(asked) == expected
    assert any(one != other for one, other in expected)
    assert (asked.champion.number, asked.decoding) == (2, DrawRule(temperature=0.0))
    assert all(reply.verdict for answered in asked.answers for reply in answered.replies)


def test_a_model_that_is_missing_is_built_in_the_run_and_records_stay(here: Workshop) -> None:
    journal = _copied(here, "pruned")
    shutil.rmtree(journal.round(2).model)
    assert _texts(_ask(here, "pruned")) == _texts(_ask(here))
    assert content_hash(journal.folder) == content_hash(here.runs / "whole")


def test_a_run_that_is_held_is_asked_and_not_touched(here: Workshop) -> None:
    journal = _copied(here, "held")
    shutil.rmtree(journal.round(2).model)
    with journal.lock():
        before = content_hash(journal.folder)
        assert _texts(_ask(here, "held")) == _texts(_ask(here))
        assert content_hash(journal.folder) == before
    assert not list((here.folder / "cache").glob(".ask-*"))


def test_without_an_accepted_round_the_base_answers_alone(here: Workshop) -> None:
    journal = _copied(here, "alone")
    journal.roll_back(0)
    asked = _ask(here, "alone")
    assert _texts(asked) == [(base,) for base, _ in _texts(_ask(here))]
    lines = list(plain_lines(asked))
    assert "the base model is the champion" in lines[0]
    assert {line.split(":")[0].split(",")[0] for line in lines[1:]} == {"question", "base and champion"}


def test_draws_follow_the_seed_alone(here: Workshop) -> None:
    drawn = [
        _texts(_ask(here, overrides=Overrides(temperature=1.0, seed=seed, max_new_tokens=8))) for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] != _texts(_ask(here, overrides=Overrides(max_new_tokens=8)))
