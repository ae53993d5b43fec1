"""Runs that are judged by a checker of one's own, through the real loop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from selfimprove.errors import UsageError
from selfimprove.events import Note
from selfimprove.problem.judging import open_checker
from selfimprove.recipe import Answers
from selfimprove.report import report_markdown
from selfimprove.report.records import read_run
from selfimprove.runs.verify import faults_in, verify
from selfimprove.store.durable import content_hash
from tests.peers import World

SUMS = """
import re

def check(completion, problem):
    found = int(re.findall(r"-?\\d+", completion)[-1])
    wanted = int(problem.answer)
    if completion.startswith("The") and found % 17 == 3:
        raise RuntimeError("seventeen\\nand three")
    if completion.startswith("The") and found in (55, 72):
        while True:
            pass
    return 1.0 if found == wanted else 0.25 if abs(found - wanted) == 1 else 0.0

def truth(completion, problem):
    return int(re.findall(r"-?\\d+", completion)[-1]) == int(problem.answer)
"""


FEW = {"train_size": 20, "heldout_size": 60, "sealed_size": 20}


@contextmanager
def world_of(tmp_path: Path, function: str, **settings: dict[str, object]) -> Iterator[World]:
    tmp_path.mkdir(exist_ok=True)
    file = tmp_path / "sums.py"
    file.write_text(SUMS, "utf-8")
    name = f"{file}:{function}"
    sections = {"answers": {"checker": name}, "problems": FEW, **settings}
    with open_checker(Answers(checker=name), 2) as checker:
        yield World(tmp_path, checker, gains=[0.4, 0.2], settings=sections)


def rows_of(world: World, number: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in world.journal.round(number).verdicts.read_text().splitlines()]


def test_truth_values_make_the_records_of_the_answer_checker(tmp_path: Path) -> None:
    """The same verdicts, so the same flips at the same looks; evidence alone is told apart, since scores may come."""
    decisions = []
    with world_of(tmp_path / "own", "truth") as world:
        world.run(1)
        assert not any("score" in row for row in rows_of(world, 1))
        decisions.append(_figures(world))
        plain = World(tmp_path / "plain", world.checker, gains=[0.4, 0.2], settings={"problems": FEW})
    with open_checker(Answers()) as checker:
        plain.checker = checker
        plain.run(1)
    decisions.append(_figures(plain))
    assert decisions[0] == decisions[1]


def _figures(world: World) -> dict[str, Any]:
    """Of round 1 the scorecard, and the decision without its evidence."""
    record = world.round(1)
    decision, card = record["decision"], record["scorecard"]
    looks = [{key: value for key, value in look.items() if key != "evidence"} for look in decision["looks"]]
    sentence = decision["sentence"].partition("; evidence")[0]
    return {**decision, "looks": looks, "sentence": sentence, "card": card}


def test_scores_count_as_fractions_and_failures_are_told_and_counted(tmp_path: Path) -> None:
    with world_of(tmp_path, "check") as world:
        assert world.checker.own is not None
        world.checker.own._timeout = 0.5
        look = world.run(1)
        rows = rows_of(world, 1)
        card = world.round(1)["scorecard"]
        assert {row.get("score") for row in rows} == {None, 0.25}
        assert {row["outcome"] for row in rows} == {"correct", "wrong", "error", "timed_out"}
        base = [row for row in rows if row["model"] == 0 and row["key"] in {one["key"] for one in rows if one["model"]}]
        values = [1.0 if row["outcome"] == "correct" else row.get("score", 0.0) for row in base]
        assert card["champion"]["accuracy"] == pytest.approx(sum(values) / len(values))
        assert card["champion"]["error"] + card["challenger"]["error"] > 0
        notes = [event.text for event in world.events if isinstance(event, Note)]
        told = [note for note in notes if "the checker gave no verdict on an answer to" in note]
        assert any("RuntimeError: seventeen⏎and three" in note for note in told)
        assert any("not judged in time" in note for note in told)
        assert not any("\n" in note for note in told)
        assert 0 < look.base_accuracy < look.champion_accuracy
        assert faults_in(verify(world.journal, content_hash)) == []
        report_markdown(read_run(world.journal.folder.parent, "run"))


def test_a_changed_checker_refuses_to_resume_and_is_named(tmp_path: Path) -> None:
    with world_of(tmp_path, "truth") as world:
        world.run(1)
        bound = json.loads(world.journal.recipe_path.read_text())
        assert bound["checker"] == content_hash(tmp_path / "sums.py")
        world.run(1)
        (tmp_path / "sums.py").write_text(SUMS.replace("== int", "!= int"), "utf-8")
        with pytest.raises(UsageError, match=r"the checker of run `run` changed \(.*sums\.py:truth\)"):
            world.run(2)


def test_a_run_without_one_has_no_such_key(tmp_path: Path) -> None:
    with open_checker(Answers()) as checker:
        world = World(tmp_path, checker, gains=[0.4])
        world.run(1)
    assert "checker" not in json.loads(world.journal.recipe_path.read_text())


def test_verified_samples_are_those_that_it_accepts(tmp_path: Path) -> None:
    rft = {"prefixes": {"select": "verified", "length": "full"}, "sampling": {"max_new_tokens": 24, "chunk_rows": 16}}
    with world_of(tmp_path, "truth", **rft) as world:
        world.run(1)
        kept, dropped = (world.round(1)["stages"][1]["counts"][name] for name in ("examples", "dropped"))
    assert 0 < kept < 20
    assert sum(dropped.values()) == 20 - kept
