"""Taking a run's champion away: what is written can be used without this program, and the run is left as it was."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from gguf import GGUFReader
from huggingface_hub.repocard import metadata_load
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from selfimprove.cli import app
from selfimprove.durable import content_hash
from selfimprove.errors import SelfImproveError, StageError, UsageError
from selfimprove.exporting import export
from selfimprove.exporting.card import recipe_told
from selfimprove.exporting.hub import upload
from selfimprove.journal import Journal
from selfimprove.merging import rebuild
from selfimprove.merging.adapters import Adapter, read_adapter
from selfimprove.merging.joint import join, stack
from selfimprove.models import load_model
from selfimprove.models.tiny import make_tiny_model
from selfimprove.models.weights import fingerprint_folder
from selfimprove.recipe import Recipe, Runtime
from tests.hub_peer import open_hub
from tests.test_merging import make_adapter
from tests.workshop import Workshop, events_of, make_workshop

RUNTIME = Runtime(device="cpu", threads=1)
CONVERTER = Path(__file__).with_name("gguf_converter.py")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A workshop whose model has a card and a licence, with a run of two accepted rounds, `whole`."""
    made = make_workshop(tmp_path_factory.mktemp("taken"))
    (made.folder / "tiny" / "README.md").write_text("---\nlicense: MIT\n---\nTiny.\n")
    (made.folder / "tiny" / "LICENSE.txt").write_text("Do as you like.\n")
    finished = events_of(made.run("whole", 2, "--set", "gate.rule=point"))[-1]
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
    assert torch.equal(_logits(AutoModelForCausalLM.from_pretrained(out)), _logits(load_model(merged, torch.float32)))
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
    for said in (f"| {look['n']} |", "It was the only look", "Decoding: greedy, at most 10 tokens", "rounds 1 and 2"):
        assert said in text
    assert "| 2 |" in text
    assert '"learning_rate": 0.001' in text
    assert "mit. Its text: LICENSE.txt" in text
    assert str(here.folder) not in text


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
    torch.testing.assert_close(_logits(joint), _logits(merged), rtol=0, atol=1e-4)
    assert (_logits(load_model(base, torch.float32)) - _logits(merged)).abs().max() > 1e-2
    assert fingerprint_folder(base) in (tmp_path / "out" / "README.md").read_text()


PARTS = st.lists(
    st.tuples(st.integers(1, 5), st.floats(-64, 64), st.sampled_from(["both", "up", "down"])), min_size=1, max_size=4
)


@given(PARTS, st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_stacked_factors_are_the_sum_of_the_deltas(parts: list[tuple[int, float, str]], seed: int) -> None:
    """Within the rounding of the scaled factors to float32, element by element."""
    random, chain = torch.Generator().manual_seed(seed), []
    for rank, scale, where in parts:
        pairs = {
            name: (torch.randn(6, rank, generator=random), torch.randn(rank, 7, generator=random))
            for name in ("up", "down")
            if where in (name, "both")
        }
        chain.append(Adapter(Path(), scale, pairs))
    ranks = [rank for rank, _, _ in parts]
    for name in {name for adapter in chain for name in adapter.factors}:
        joint = stack(chain, ranks, name)
        assert joint["B"].shape == (6, sum(ranks))
        assert joint["A"].shape == (sum(ranks), 7)
        changed = [(adapter.scale, *adapter.factors[name]) for adapter in chain if name in adapter.factors]
        exact = sum(scale * (b.double() @ a.double()) for scale, b, a in changed)
        room = sum(abs(scale) * (b.double().abs() @ a.double().abs()) for scale, b, a in changed)
        off = (joint["B"].double() @ joint["A"].double() - exact).abs()
        assert torch.all(off <= 2.0**-23 * room + 1e-30)


def test_adapters_of_other_ranks_and_modules_join_into_one_that_merges_alike(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    chain = [
        make_adapter(base, tmp_path / "one", 1, r=2, lora_alpha=3),
        make_adapter(base, tmp_path / "two", 2, r=5, lora_alpha=7, target_modules=["q_proj", "v_proj"]),
        make_adapter(base, tmp_path / "three", 3, r=1, target_modules=["layers.1.mlp.up_proj"]),
    ]
    (tmp_path / "joint").mkdir()
    assert join(chain, base, tmp_path / "joint") == 8
    joint = read_adapter(tmp_path / "joint")
    for weight in joint.factors:
        deltas = [delta for path in chain if (delta := read_adapter(path).delta(weight)) is not None]
        found = joint.delta(weight)
        assert found is not None
        torch.testing.assert_close(found, torch.stack(deltas).sum(0), rtol=1e-5, atol=1e-7)
    rebuild(base, chain, tmp_path / "summed", "float32", RUNTIME)
    model = PeftModel.from_pretrained(load_model(base, torch.float32), str(tmp_path / "joint"))
    torch.testing.assert_close(_logits(model), _logits(load_model(tmp_path / "summed", torch.float32)))


def test_a_joint_adapter_changes_no_module_that_its_parts_leave_alone(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    part = make_adapter(base, tmp_path / "part", 1, target_modules=["layers.1.mlp.up_proj"])
    (tmp_path / "joint").mkdir()
    join([part], base, tmp_path / "joint")
    config = json.loads((tmp_path / "joint" / "adapter_config.json").read_text())
    assert config["target_modules"] == ["model.layers.1.mlp.up_proj"]
    model = PeftModel.from_pretrained(load_model(base, torch.float32), str(tmp_path / "joint"))
    assert sum("lora_A" in name for name, _ in model.named_parameters()) == 1


def test_no_adapters_join_into_none(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no adapters"):
        join([], make_tiny_model(tmp_path / "base"), tmp_path)


def test_gguf_is_what_the_converter_makes_of_model_and_card(here: Workshop, tmp_path: Path) -> None:
    made = export(_journal(here), tmp_path / "out", "gguf", RUNTIME, CONVERTER, here.folder / "cache")
    assert {path.name for path in made.folder.iterdir()} == {"README.md", "LICENSE.txt", "whole.gguf"}
    reader = GGUFReader(tmp_path / "out" / "whole.gguf")
    told = {name: reader.fields[name].contents() for name in ("general.name", "test.outtype", "test.card")}
    assert (told["general.name"], told["test.outtype"]) == ("whole", "f32")
    assert "license: mit" in told["test.card"]
    assert len(reader.tensors) > 10


def test_a_converter_that_fails_is_quoted_and_leaves_nothing(here: Workshop, tmp_path: Path) -> None:
    refused = _copied(here, "refused")
    with pytest.raises(SelfImproveError, match="left with 1 and said: NotImplementedError: not") as raised:
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
    with pytest.raises(UsageError, match="missing or changed since stage `train`"):
        export(journal, tmp_path / "out", runtime=RUNTIME, cache=here.folder / "cache")
    bound = json.loads(journal.recipe_path.read_text())
    other = _copied(here, "other")
    other.recipe_path.write_text(json.dumps({**bound, "model": "0" * 64}))
    with pytest.raises(UsageError, match="other base weights"):
        export(other, tmp_path / "out", runtime=RUNTIME, cache=here.folder / "cache")
    assert not list(tmp_path.iterdir())


REFUSALS = [
    (["--to", "full"], "full: there already, and not empty"),
    (["--to", "sums.jsonl"], "not a folder"),
    (["--to", "rounds/whole/taken"], "inside the run's own folder"),
    (["--to", "o", "--adapter", "--gguf"], "two forms"),
    (["--to", "o", "--converter", "c.py"], "--converter is for --gguf"),
    (["--to", "o", "--gguf", "--converter", "c.py"], "c.py: no such file"),
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
    journal = _copied(here, "held")
    with journal.lock():
        (tmp_path / "out").mkdir()  # an empty folder may be there
        export(journal, tmp_path / "out", runtime=RUNTIME, cache=here.folder / "cache")
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_an_upload_that_cannot_be_is_one_line(here: Workshop, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("here")
    for repo in ("me/mine", "no such: name"):
        with pytest.raises(SelfImproveError, match="not uploaded") as raised:
            upload(tmp_path, repo)
        assert raised.value.exit_code == 1
        assert "\n" not in raised.value.message
        assert "hf upload" in raised.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_the_named_repository_gets_the_folders_files(workshop: Workshop, tmp_path: Path) -> None:
    with open_hub() as hub:
        words = ["export", "whole", "--adapter", "--to", str(tmp_path / "out"), "--hub", "me/tiny"]
        online = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_x", "HF_HUB_DISABLE_XET": "1"}
        done = workshop.call(*words, environment=online)
    assert done.returncode == 0, done.stderr
    assert f"uploaded to {hub.address}/me/tiny" in done.stdout
    assert hub.repositories == ["tiny"]
    assert hub.files == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_a_card_holds_no_path_of_the_machine() -> None:
    sections = {"model": {"name": "/home/me/secret/model"}, "problems": {"train": "~/mine.jsonl", "heldout": "a/b"}}
    told = recipe_told(Recipe.model_validate(sections))
    assert (told["model"]["name"], told["problems"]["train"]) == ("model", "mine.jsonl")
    assert told["problems"]["heldout"] == "a/b"
