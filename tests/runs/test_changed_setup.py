"""Runs that go on with other programs: models are compared under one engine and one checker, on the same problems."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from selfimprove import events as ev
from selfimprove.answer.checking import Checker
from selfimprove.errors import UsageError
from selfimprove.events import Event, StageFinished
from selfimprove.round.answers import RunAnswers, read_answers
from selfimprove.round.judge import JUDGED_AGAIN
from selfimprove.runs.verify import faults_in, verify
from selfimprove.store.durable import content_hash
from tests.peers import World

SMALL: dict[str, dict[str, Any]] = {"problems": {"heldout_size": 100, "sealed_size": 60}}
ALIKE = {**SMALL, "gate": {"worthwhile": 0.01}}


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Checker(workers=1) as made:
        yield made


def change_engine(world: World) -> None:
    """The next starts have an engine under which the same weights solve 15 points more."""
    world.engine, world.forgets = "another", lambda model, question: -0.15


def stop_at(world: World, wanted: Callable[[Event], bool]) -> None:
    """Interrupt the run at the first event that is wanted."""

    def on(event: Event) -> None:
        if wanted(event):
            raise KeyboardInterrupt

    world.on_event = on


def told(world: World) -> list[str]:
    return [event.text for event in world.events if isinstance(event, ev.Note) and JUDGED_AGAIN in event.text]


def test_what_another_engine_solves_is_no_gain(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.0, 0.0], settings=ALIKE)
    world.run(1)
    change_engine(world)
    look = world.run(2)
    assert not world.round(2)["decision"]["accepted"]
    assert world.round(2)["scorecard"]["wins"] == world.round(2)["scorecard"]["losses"] == 0
    assert look.gain == 0
    assert told(world) == [f"round 2: {JUDGED_AGAIN}"]
    assert faults_in(verify(world.journal, content_hash)) == []


def test_a_champion_that_was_judged_under_this_setup_is_not_judged_again(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.0, 0.0, 0.0], settings=ALIKE)
    world.run(1)
    change_engine(world)
    world.run(2)
    world.engine, world.forgets = "scripted", lambda model, question: 0.0
    world.run(3)
    assert [RunAnswers(world.journal).of(number, 0) == {} for number in (1, 2, 3)] == [False, False, True]
    assert told(world) == [f"round 2: {JUDGED_AGAIN}"]
    assert faults_in(verify(world.journal, content_hash)) == []


def test_a_judging_that_an_engine_left_unfinished_is_made_by_the_next_engine_alone(
    tmp_path: Path, checker: Checker
) -> None:
    world = World(tmp_path, checker, gains=[0.0], settings=ALIKE)
    stop_at(world, lambda event: isinstance(event, ev.Looked) and event.judged == 50)
    with pytest.raises(KeyboardInterrupt):
        world.run(1)
    world.on_event = lambda event: None
    assert read_answers(world.journal.round(1).verdicts, 1)
    change_engine(world)
    world.run(1)
    assert {row.setup for row in RunAnswers(world.journal).rows(1)} == {world.machinery().setup}
    assert world.round(1)["scorecard"]["wins"] == world.round(1)["scorecard"]["losses"] == 0
    assert faults_in(verify(world.journal, content_hash)) == []


def test_a_second_sealed_look_compares_answers_of_its_own_engine(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.2, 0.2], settings=ALIKE)
    first = world.run(1)
    change_engine(world)
    second = world.run(2)
    assert (first.look, second.look) == (1, 2)
    assert second.base_accuracy > first.base_accuracy
    rows = read_answers(world.journal.sealed_verdicts, 0)
    assert {len(found) for found in rows.values()} == {2}
    assert faults_in(verify(world.journal, content_hash)) == []


@pytest.mark.parametrize("stage", ["sample", "train", "merge"])
def test_a_round_that_was_begun_with_another_champion_begins_again_after_a_rollback(
    stage: str, tmp_path: Path, checker: Checker
) -> None:
    world = World(tmp_path, checker, gains=[0.2, 0.15, 0.0], settings=SMALL)
    world.run(2)
    stop_at(world, lambda event: isinstance(event, StageFinished) and (event.number, event.stage) == (3, stage))
    with pytest.raises(KeyboardInterrupt):
        world.run(3)
    world.on_event = lambda event: None
    world.journal.roll_back(2)
    assert world.journal.unfinished() is not None
    world.journal.roll_back(1)
    assert world.journal.unfinished() is None
    world.run(3)
    card = world.round(3)["scorecard"]
    assert (world.round(3)["chain"], card["wins"], card["losses"]) == ([1], 0, 0)
    assert faults_in(verify(world.journal, content_hash)) == []


class Loaded(Checker):
    """The checker on a machine with so much other work that some references miss the deadline."""

    def faults_of_references(self, references: Sequence[str]) -> list[str | None]:
        found = super().faults_of_references(references)
        return ["not judged in time" if place % 97 == 5 else fault for place, fault in enumerate(found)]


@pytest.mark.parametrize("first", ["loaded", "idle"])
def test_all_starts_work_on_the_problems_that_the_first_admitted(first: str, tmp_path: Path, checker: Checker) -> None:
    with Loaded(workers=1) as loaded:
        starts = (loaded, checker) if first == "loaded" else (checker, loaded)
        world = World(tmp_path, starts[0], gains=[0.0, 0.0], settings=SMALL)
        world.run(1)
        world.checker = starts[1]
        world.run(2)
    set_aside = len(json.loads(world.journal.recipe_path.read_text())["faulty"])
    assert bool(set_aside) == (first == "loaded")
    totals = [world.round(number)["scorecard"]["total"] for number in (1, 2)]
    assert totals[0] == totals[1]
    assert (totals[0] < 100) == bool(set_aside)
    assert faults_in(verify(world.journal, content_hash)) == []


def test_a_recipe_that_was_changed_by_hand_in_the_folder_is_refused(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.0, 0.0], settings=SMALL)
    world.run(1)
    stored = json.loads(world.journal.recipe_path.read_text())
    stored["recipe"]["gate"]["alpha"] = 0.9
    world.journal.recipe_path.write_text(json.dumps(stored))
    world.settings = {**SMALL, "gate": {"alpha": 0.9}}
    with pytest.raises(UsageError, match=r"recipe\.json was changed by hand"):
        world.run(2)
