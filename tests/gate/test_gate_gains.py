"""What a gain is made of: the four causes, and what they come to where answers are averaged."""

from __future__ import annotations

import math
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfimprove.gate.decision import Pair, Split, split_of
from selfimprove.round.answers import pairs_of
from selfimprove.store.rows import Answered

NAMES = ("became_readable", "became_right", "became_unreadable", "became_wrong")
RIGHT, WRONG = {"outcome": "correct"}, {"outcome": "wrong"}
UNREADABLE = [{"outcome": "unparsed"}, {"outcome": "timed_out"}, {"outcome": "wrong", "stop": "length"}]


def answered(key: str, sample: int = 0, **verdict: str) -> Answered:
    told = {"stop": "eos", "candidate": None, "stage": "", "reason": "", "text": "", "token_ids": [], **verdict}
    return Answered.model_validate({"model": 0, "key": key, "sample": sample, **told})


def split_between(before: list[dict[str, str]], after: list[dict[str, str]]) -> Split:
    """The split of one problem with these answers of champion and challenger."""
    sides = [{"k": [answered("k", place, **found) for place, found in enumerate(side)]} for side in (before, after)]
    return split_of(pairs_of(["k"], *sides))


@pytest.mark.parametrize("unreadable", UNREADABLE)
def test_each_change_of_a_greedy_answer_has_its_cause(unreadable: dict[str, str]) -> None:
    changes = [(unreadable, RIGHT), (WRONG, RIGHT), (RIGHT, unreadable), (RIGHT, WRONG)]
    for place, (before, after) in enumerate(changes):
        assert asdict(split_between([before], [after])) == {name: float(name == NAMES[place]) for name in NAMES}
    for before, after in [(unreadable, WRONG), (WRONG, unreadable), (WRONG, WRONG), (RIGHT, RIGHT)]:
        assert not any(asdict(split_between([before], [after])).values())


def test_a_right_answer_that_was_cut_is_right() -> None:
    cut = RIGHT | {"stop": "length"}
    assert split_between([WRONG], [cut]).became_right == 1
    assert not any(asdict(split_between([cut], [RIGHT])).values())


def test_averaged_answers_count_by_what_rose_and_fell_on_a_problem() -> None:
    cut = UNREADABLE[2]
    assert asdict(split_between([cut, cut, WRONG, WRONG], [RIGHT, RIGHT, RIGHT, WRONG])) == {
        "became_readable": 0.5,
        "became_right": 0.25,
        "became_unreadable": 0.0,
        "became_wrong": 0.0,
    }
    assert not any(asdict(split_between([RIGHT, WRONG, cut], [cut, RIGHT, WRONG])).values()), "samples changed places"
    fallen = split_between([RIGHT, RIGHT, WRONG], [WRONG, cut, WRONG])
    assert (fallen.became_unreadable, fallen.became_wrong) == pytest.approx((1 / 3, 1 / 3))


def test_no_problems_split_into_nothing() -> None:
    assert not any(asdict(split_of([])).values())


@st.composite
def averaged(draw: st.DrawFn) -> Pair:
    samples = draw(st.integers(1, 5))
    sides = []
    for _ in range(2):
        right = draw(st.integers(0, samples))
        sides.append((right / samples, draw(st.integers(0, samples - right)) / samples))
    (champion, before), (challenger, after) = sides
    return Pair(champion, challenger, champion_unreadable=before, challenger_unreadable=after)


@given(st.lists(averaged(), min_size=1, max_size=30))
def test_the_parts_add_up_to_the_gain_and_mirror_when_sides_change(pairs: list[Pair]) -> None:
    split = split_of(pairs)
    gained, lost = split.became_readable + split.became_right, split.became_unreadable + split.became_wrong
    gains = [pair.challenger - pair.champion for pair in pairs]
    assert math.isclose(gained, sum(gain for gain in gains if gain > 0) / len(pairs), abs_tol=1e-9)
    assert math.isclose(lost, -sum(gain for gain in gains if gain < 0) / len(pairs), abs_tol=1e-9)
    assert min(asdict(split).values()) >= 0
    turned = split_of(
        [
            Pair(
                pair.challenger,
                pair.champion,
                champion_unreadable=pair.challenger_unreadable,
                challenger_unreadable=pair.champion_unreadable,
            )
            for pair in pairs
        ]
    )
    assert (turned.became_unreadable, turned.became_wrong) == (split.became_readable, split.became_right)
    assert split_of(pairs[::-1]) == split
