"""`verify`, `prune` and `rollback` on real runs of the loop with scripted models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from selfimprove.answer.checking import Checker
from selfimprove.errors import UsageError
from selfimprove.problem import load_problems
from selfimprove.report import status_lines
from selfimprove.report.records import read_run
from selfimprove.runs.prune import prune
from selfimprove.runs.verify import faults_in, missing_in, verify
from selfimprove.store.durable import content_hash
from selfimprove.store.journal import Identity, Journal
from tests.comparable import comparable_records
from tests.edits import edit
from tests.paths import ROOT
from tests.peers import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = {"gate": {"batch": 50, "placebo": True}}
    with Checker(workers=1) as checker:
        made = World(tmp_path_factory.mktemp("world"), checker, gains=[0.2, 0.0, 0.2], settings=settings)
        made.run(3)
        yield made


@pytest.fixture
def copy(world: World, tmp_path: Path) -> Journal:
    shutil.copytree(world.journal.folder, tmp_path / "run")
    return Journal(tmp_path / "run")


def test_an_untouched_run_verifies(copy: Journal) -> None:
    findings = verify(copy, content_hash)
    assert not faults_in(findings)
    assert len(findings) > 60


def test_a_pruned_run_and_a_rolled_back_one_verify(copy: Journal) -> None:
    prune(copy)
    copy.roll_back(1)
    assert not faults_in(verify(copy, content_hash))


def _turn_a_verdict(folder: Path) -> None:
    path = folder / "0001" / "verdicts.jsonl"
    path.write_text(path.read_text().replace('"wrong"', '"correct"', 1))


def _cut(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-40]) and None


TAMPERED: dict[str, tuple[Callable[[Path], None], str]] = {
    "recipe": (edit("recipe.json", lambda r: r["recipe"]["gate"].update(alpha=0.06)), "recipe.json: fingerprint"),
    "decision": (
        edit("0002/round.json", lambda r: r["decision"].update(accepted=True)),
        "decision from the verdicts",
    ),
    "look": (edit("0001/round.json", lambda r: r["decision"]["looks"][0].update(wins=99)), "decision from the verd"),
    "budget": (edit("0002/round.json", lambda r: r["decision"].update(alpha=0.05 / 6)), "decision from the verdicts"),
    "format": (edit("recipe.json", lambda r: r.update(format=2)), "0002/round.json: decision from the verdicts"),
    "wins": (edit("0003/round.json", lambda r: r["scorecard"].update(wins=99)), "scorecard from the verdicts"),
    "accuracy": (edit("0003/round.json", lambda r: r["scorecard"]["challenger"].update(accuracy=0.9)), "scorecard"),
    "split": (edit("0001/round.json", lambda r: r["scorecard"]["split"].update(became_right=0.9)), "scorecard from"),
    "sentence": (edit("0001/round.json", lambda r: r["decision"].update(sentence="Accepted.")), "decision from the"),
    "sealed split": (
        edit("sealed.json", lambda r: r["looks"][0]["split"].update(became_wrong=0.9)),
        "look 1: figures",
    ),
    "placebo": (edit("0001/round.json", lambda r: r["placebo"].update(gain_over_placebo=0.9)), "placebo from the"),
    "chain": (edit("0003/round.json", lambda r: r.update(chain=[1, 2])), "0003: parent"),
    "certificate": (edit("0001/round.json", lambda r: r["certificate"].update(survival=0.1)), "certificate: differs"),
    "counts": (edit("0001/done/sample.json", lambda r: r["counts"].update(rows=1)), "done/sample.json: done-record"),
    "sealed": (edit("sealed.json", lambda r: r["looks"][0].update(gain=0.9)), "look 1: figures from the verdicts"),
    "sealed verdicts": (_cut("sealed.verdicts.jsonl"), "look 1: SHA-256 of its verdicts"),
    "verdict": (_turn_a_verdict, "0001/verdicts.jsonl: SHA-256"),
    "samples": (_cut("0002/samples.jsonl"), "0002/samples.jsonl: SHA-256"),
    "adapter": (lambda folder: (folder / "0001/adapter/gain").write_text("9") and None, "0001/adapter: SHA-256: is "),
    "model": (lambda folder: (folder / "0003/model/skill").write_text("1") and None, "0003/model: SHA-256"),
}


def _untold(content: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The record as it was made before gains were split: without the parts, its sentences in other words."""
    if isinstance(content, list):
        return [_untold(value) for value in content]
    if not isinstance(content, dict):
        return content
    return {key: "Worded otherwise." if key == "sentence" else _untold(value) for key, value in content.items()
            if key != "split"}  # fmt: skip


def _make_old(folder: Path) -> None:
    for path in (*folder.glob("0*/round.json"), folder / "sealed.json"):
        path.write_text(json.dumps(_untold(json.loads(path.read_text()))))


def test_a_run_from_before_gains_were_split_is_held_to_its_figures(copy: Journal) -> None:
    _make_old(copy.folder)
    assert not faults_in(verify(copy, content_hash))
    assert "split" not in copy.round(1).record.read_text()


@pytest.mark.parametrize("name", ["decision", "look", "wins", "placebo", "sealed"])
def test_an_older_run_that_is_tampered_with_is_named(copy: Journal, name: str) -> None:
    _make_old(copy.folder)
    test_whatever_is_tampered_with_is_named(copy, name)


def test_a_sentence_may_be_worded_otherwise(copy: Journal) -> None:
    def reword(record: dict[str, Any]) -> None:
        before = record["decision"]["sentence"]
        record["decision"]["sentence"] = before.replace(" problems: ", " of the problems, ")
        assert record["decision"]["sentence"] != before

    edit("0001/round.json", reword)(copy.folder)
    assert not faults_in(verify(copy, content_hash))


def test_the_example_is_held_to_its_figures() -> None:
    findings = verify(Journal(ROOT / "rounds" / "example"), content_hash)
    assert not faults_in(findings)
    assert {finding.what for finding in missing_in(findings)} == {"SHA-256", "adapters merged"}


def test_weights_that_were_left_out_are_missing_and_no_fault(copy: Journal) -> None:
    shutil.rmtree(copy.round(1).adapter)
    shutil.rmtree(copy.round(3).adapter)
    copy.round(3).adapter.mkdir()
    (copy.round(3).adapter / "adapter_config.json").write_text("{}")
    findings = verify(copy, content_hash)
    assert not faults_in(findings)
    assert {(found.where, found.what) for found in missing_in(findings)} >= {
        ("0001/adapter", "SHA-256"),
        ("0003/adapter", "SHA-256"),
    }


@pytest.mark.parametrize("name", TAMPERED)
def test_whatever_is_tampered_with_is_named(copy: Journal, name: str) -> None:
    tamper, named = TAMPERED[name]
    tamper(copy.folder)
    told = [f"{f.where}: {f.what}: {f.fault}" for f in faults_in(verify(copy, content_hash))]
    assert any(named in line for line in told), told


def test_the_error_of_an_accepted_round_is_carried_on_and_stands_in_the_record(copy: Journal) -> None:
    rounds = copy.rounds()
    assert [record.accepted for record in rounds] == [True, False, True]
    assert [record.decision.alpha for record in rounds] == pytest.approx([0.05 / 2, 0.05 * 4 / 6, 0.05 / 12])


@pytest.mark.parametrize("samples", [1, 2])
def test_an_old_run_keeps_its_rules_when_it_goes_on_and_verifies(tmp_path: Path, samples: int) -> None:
    with Checker(workers=1) as checker:
        gate = {"batch": 50, "samples": samples}
        world = World(tmp_path, checker, gains=[0.0, 0.2, 0.2], settings={"gate": gate})
        journal, recipe = world.journal, world.recipe()
        journal.bind(recipe, Identity("base", load_problems(recipe.problems).fingerprint()))
        edit("recipe.json", lambda record: record.update(format=2))(journal.folder)
        world.run(1)
        world.run(3)
    rounds = journal.rounds()
    assert [record.accepted for record in rounds] == [False, True, True]
    assert [record.decision.alpha for record in rounds] == [0.05 / 2, 0.05 / 6, 0.05 / 12]
    assert [record.format for record in rounds] == [2, 2, 2]
    assert not faults_in(verify(journal, content_hash))
    edit("recipe.json", lambda record: record.update(format=3))(journal.folder)
    told = [f"{found.where}: {found.what}" for found in faults_in(verify(journal, content_hash))]
    otherwise = [3] if samples == 1 else [2, 3]  # round 3 by its budget, averages that differ by their last look
    assert told == [f"{number:04}/round.json: decision from the verdicts" for number in otherwise]


def test_a_verdict_turned_with_its_hash_is_found_by_the_arithmetic(copy: Journal) -> None:
    before = content_hash(copy.round(1).verdicts)
    _turn_a_verdict(copy.folder)
    fresh = content_hash(copy.round(1).verdicts)
    for name in ("0001/round.json", "0001/done/judge.json"):
        text = (copy.folder / name).read_text()
        assert before in text
        (copy.folder / name).write_text(text.replace(before, fresh))
    told = [finding.what for finding in faults_in(verify(copy, content_hash))]
    assert any("from the verdicts" in what for what in told)


def test_prune_deletes_models_and_scratch_and_says_how_much(copy: Journal) -> None:
    (copy.round(2).path / ".train-work").mkdir()
    (copy.round(2).path / ".train-work" / "checkpoint").write_bytes(b"x" * 1000)
    before = comparable_records(copy.folder)
    pruned = prune(copy)
    assert {gone.path.relative_to(copy.folder).as_posix() for gone in pruned} == {"0003/model", "0002/.train-work"}
    assert sum(gone.size for gone in pruned) == 1000 + len("0.700000")
    assert comparable_records(copy.folder) == {k: v for k, v in before.items() if "/model/" not in k}
    assert prune(copy) == []


def test_status_and_report_follow_a_rollback(copy: Journal) -> None:
    copy.roll_back(1)
    line = status_lines([read_run(copy.folder.parent, "run")])[0]
    assert "champion: the model of round 1" in line
    assert "rolled back to the model of round 1" in line
    assert "this champion is not judged yet" in line


def test_a_held_run_is_not_pruned(copy: Journal) -> None:
    with copy.lock(), pytest.raises(UsageError, match="in use by"):
        prune(Journal(copy.folder))
