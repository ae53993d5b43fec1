"""What a report's page derives from verdict rows: flips with their questions, openings, thinned losses."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfimprove.report.contests import Contest, contests
from selfimprove.report.flips import shown_flips
from selfimprove.report.records import RunRecords, read_run
from selfimprove.report.series import losses, openings
from selfimprove.store.journal import Journal
from selfimprove.store.records import BoundRecord, Counts, StageRecord
from selfimprove.store.rows import Answered
from tests import example
from tests.example import RUNS


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The example's records in a folder of their own."""
    shutil.copytree(RUNS / "example", tmp_path / "example")
    return tmp_path


def test_questions_that_the_history_lost_come_from_the_source(copy: Path) -> None:
    run = read_run(copy, "example")
    (copy / "example/events.jsonl").unlink()
    shown, sentence = shown_flips(run, contests(run), 1000)
    asked = {flip.asked.question: flip.asked.reference for found in shown for flip in found.shown if flip.asked}
    assert sentence == ""
    assert asked["What is 84 + 81?"] == "165"
    assert all(flip.asked for found in shown for flip in found.shown)


def test_a_source_that_changed_is_not_asked(copy: Path) -> None:
    (copy / "example/events.jsonl").unlink()
    stored = json.loads((copy / "example/recipe.json").read_text())
    (copy / "example/recipe.json").write_text(json.dumps(stored | {"problems": "0" * 64}))
    run = read_run(copy, "example")
    shown, sentence = shown_flips(run, contests(run), 1000)
    count = sum(example.flip_counts())
    assert sentence == (
        f"The questions of {count} of {count} flips are not available: the problem source has changed since the run."
    )
    assert not any(flip.asked for found in shown for flip in found.shown)


def begun(folder: Path) -> RunRecords:
    """A run without rounds on a data set of the hub."""
    bound = BoundRecord(model="m", problems="p", recipe={"problems": {"train": "some/dataset"}})
    return RunRecords(
        name="r", journal=Journal(folder), bound=bound, recipe=None, rounds=(), looks=(), rollbacks=(), running=""
    )


def judged(key: str, model: int, correct: bool, text: str) -> Answered:
    return Answered(
        model=model,
        key=key,
        sample=0,
        outcome="correct" if correct else "wrong",
        candidate=None,
        stage="",
        reason="",
        stop="eos",
        token_ids=tuple(range(len(text.split()))),
        text=text,
    )


def made_contest(outcomes: dict[str, tuple[bool, bool]]) -> Contest:
    """A contest of answers that say what they are: (champion right, challenger right) by key."""
    sides = [
        {key: (judged(key, side, right[side], f"so it is {right[side]}"),) for key, right in outcomes.items()}
        for side in (0, 1)
    ]
    return Contest(1, sides[0], sides[1])


@given(st.integers(0, 30), st.integers(0, 30), st.integers(2, 20))
def test_a_cut_keeps_lost_and_won_flips_and_counts_the_rest(won: int, lost: int, most: int) -> None:
    outcomes = {f"w{place:02}": (False, True) for place in range(won)}
    outcomes |= {f"l{place:02}": (True, False) for place in range(lost)}
    run = begun(Path("nowhere"))
    found = shown_flips(run, [made_contest(outcomes)], most)[0][0]
    kept = Counter(flip.won for flip in found.shown)
    assert (found.won, found.lost) == (won, lost)
    assert len(found.shown) == min(most, won + lost)
    assert found.left_out == won + lost - len(found.shown)
    assert kept[True] >= min(won, most // 2)
    assert kept[False] >= min(lost, most // 2)


def test_a_pair_of_answers_that_two_problems_share_is_not_looked_up_in_the_history(tmp_path: Path) -> None:
    same = {"event": "flip", "time": 1.0, "number": 1, "won": True}
    same |= {"champion_text": "so it is False", "challenger_text": "so it is True"}
    events = [same | {"question": f"Question {place}?", "reference": "1"} for place in (1, 2)]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    run = begun(tmp_path)
    two = made_contest({"a": (False, True), "b": (False, True)})
    shown, sentence = shown_flips(run, [two], 10)
    assert [flip.asked for flip in shown[0].shown] == [None, None]
    assert "on the hub, and a report doesn't use the network" in sentence
    (tmp_path / "events.jsonl").write_text(json.dumps(events[0]) + "\n")
    one = shown_flips(run, [made_contest({"a": (False, True)})], 10)[0][0].shown[0]
    assert one.asked is not None
    assert one.asked.question == "Question 1?"


def test_openings_have_the_accuracy_of_the_answers_that_begin_so() -> None:
    outcomes = {f"k{place}": (place < 2, place < 5) for place in range(6)}
    words, found = openings(made_contest(outcomes))
    assert words == 3
    assert [(opening.words, opening.champion, opening.challenger) for opening in found] == [
        ("so it is", (6, 2), (6, 5))
    ]


def test_losses_are_thinned_by_averages() -> None:
    whole = read_run(RUNS, "example").rounds[0]
    stage = StageRecord(stage="train", counts=Counts(losses=(1.0, 3.0) * 200), sha256={})
    found = losses(whole.model_copy(update={"stages": (stage,)}))
    assert (found.steps, len(found.points)) == (400, 200)
    assert found.points[0] == (1.5, 2.0)
