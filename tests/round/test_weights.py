"""Rows that weigh more, less or negatively: agreement, pass rates, caps and wrong answers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfimprove.answer.checking import Checker
from selfimprove.errors import StageError, UsageError
from selfimprove.recipe import Prefixes
from selfimprove.recipe.reading import parse_recipe
from selfimprove.round.prefixes import Choice, Harvest, Prompts, harvest
from selfimprove.round.selection import consistent, verified
from selfimprove.sampling import Completion, Row, StopReason
from selfimprove.store.rows import Kind
from tests.peers import World

END = 0
WHOLE = Prefixes(select="verified", length="full")


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Checker(workers=1) as made:
        yield made


words = st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=6)


def sampled(*problems: str, cut: str = "") -> list[Completion]:
    """A completion for each letter of each word; letters of `cut` are cut at the token limit."""
    return [
        Completion(
            key=f"k{place}",
            sample=sample,
            token_ids=(ord(letter), END),
            stop=StopReason.LENGTH if letter in cut else StopReason.EOS,
            seed=0,
        )
        for place, word in enumerate(problems)
        for sample, letter in enumerate(word)
    ]


def answers_of(found: list[Completion]) -> dict[Row, str | None]:
    """A letter is its own answer, c is none."""
    return {c.row: None if c.token_ids[0] == ord("c") else chr(c.token_ids[0]) for c in found}


def harvested(found: list[Completion], choice: Choice, settings: Prefixes = WHOLE, negatives: float = 0.0) -> Harvest:
    kinds = {c.row: Kind.FULL for c in found}
    prompts = {c.key: Prompts((1,), (2,)) for c in found}
    return harvest(found, kinds, prompts, settings, END, choice, negatives)


def right_and_wrong(found: list[Completion], *, weighted: bool = False) -> Choice:
    """a is right, b wrong, c says nothing."""
    answers = answers_of(found)
    right, wrong = ([row for row, letter in answers.items() if letter == each] for each in "ab")
    return verified(found, right, wrong, weighted=weighted)


def test_little_agreement_trains_nothing_and_more_weighs_more() -> None:
    found = sampled("aaab", "aabc", "aaaa", "abc")
    answers = answers_of(found)
    choice = consistent(found, answers, 0.75, weighted=True)
    assert {key for key, _ in choice.weights} == {"k0", "k2"}
    assert (choice.weights["k0", 0], choice.weights["k2", 0]) == (0.75, 1.0)
    assert {choice.reasons[row] for row in choice.reasons if row[0] == "k1"} == {"little_agreement"}
    assert {choice.reasons[row] for row in choice.reasons if row[0] == "k3"} == {"no_majority"}
    assert choice.wrong == {("k0", 3)}
    assert set(consistent(found, answers, 0.5).weights.values()) == {1.0}


@given(words, st.floats(0, 1))
def test_agreement_only_leaves_out_whole_problems(problems: list[str], least: float) -> None:
    found = sampled(*problems)
    every, some = consistent(found, answers_of(found)), consistent(found, answers_of(found), least)
    kept = {key for key, _ in some.weights}
    assert some.weights == {row: weight for row, weight in every.weights.items() if row[0] in kept}
    assert some.wrong <= every.wrong


@given(words)
def test_pass_rates_weigh_problems_that_are_half_solved_most_and_the_mean_weight_is_one(problems: list[str]) -> None:
    found = sampled(*problems)
    examples = harvested(found, right_and_wrong(found, weighted=True)).examples
    if not examples:
        return
    assert sum(e.weight for e in examples) / len(examples) == pytest.approx(1)
    rates = {f"k{place}": (word.count("a") + 1) / (len(word) + 2) for place, word in enumerate(problems)}
    ranked = sorted(examples, key=lambda e: abs(rates[e.key] - 0.5))
    assert all(one.weight >= other.weight - 1e-9 for one, other in pairwise(ranked))


@given(words, st.integers(1, 4))
def test_a_problem_has_no_more_rows_than_per_problem_and_they_are_the_first(problems: list[str], most: int) -> None:
    found = sampled(*problems)
    choice = right_and_wrong(found)
    settings = WHOLE.model_copy(update={"per_problem": most})
    every, capped = (harvested(found, choice, each, negatives=0.5) for each in (WHOLE, settings))
    for kind in (Kind.FULL, Kind.WRONG):
        for place in range(len(problems)):
            whole, part = (
                [e.sample for e in found.examples if e.key == f"k{place}" and e.kind == kind]
                for found in (every, capped)
            )
            assert part == whole[:most]
    assert len(capped.examples) + sum(capped.dropped.values()) == len(found)


def test_wrong_answers_become_rows_of_the_weight_asked_for_and_nothing_unread_or_cut_does() -> None:
    found = sampled("aabc", "bbbb", "bz", cut="z")
    choice = right_and_wrong(found)
    result = harvested(found, choice, negatives=0.5)
    wrong = [e for e in result.examples if e.kind == Kind.WRONG]
    assert [(e.key, e.sample, e.weight) for e in wrong] == [
        ("k0", 2, 0.5),
        *(("k1", n, 0.5) for n in range(4)),
        ("k2", 0, 0.5),
    ]
    assert all(e.prompt_ids == (1,) and e.target_ids[-1] == END for e in wrong)
    assert {e.weight for e in result.examples if e.kind == Kind.FULL} == {1.0}
    assert not [e for e in harvested(found, choice).examples if e.kind == Kind.WRONG]
    late = verified(sampled("az", cut="z"), [("k0", 0)], [("k0", 1)])
    assert harvested(sampled("az", cut="z"), late, negatives=1.0).dropped == {"cut": 1}


@pytest.mark.parametrize("select", ["verified", "consistent"])
def test_a_round_trains_on_wrong_answers_and_counts_them(tmp_path: Path, checker: Checker, select: str) -> None:
    settings = {
        "sampling": {"samples": 4},
        "prefixes": {"select": select, "length": "full", "per_problem": 1, "weighted": True},
        "training": {"negatives": 0.25},
    }
    world = World(tmp_path, checker, gains=[0.1], settings=settings, openings=(("So ", 0.9), ("Perhaps ", 0.1)))
    world.run(1)
    counts = {stage["stage"]: stage["counts"] for stage in world.round(1)["stages"]}["harvest"]
    trained = world.trained[0]
    assert counts["wrong"] == sum(example.kind == "wrong" for example in trained) > 0
    assert counts["full"] == sum(example.kind == "full" for example in trained) > 0
    assert {example.weight for example in trained if example.kind == "wrong"} == {0.25}
    rows = [(example.key, example.kind) for example in trained]
    assert len(rows) == len(set(rows))


def test_wrong_answers_alone_are_no_round(tmp_path: Path, checker: Checker) -> None:
    settings = {
        "sampling": {"samples": 2},
        "prefixes": {"select": "verified", "length": "full"},
        "training": {"negatives": 1.0},
    }
    world = World(tmp_path, checker, gains=[0.1], settings=settings, openings=(("So ", 0.0),))
    with pytest.raises(StageError, match="to learn from"):
        world.run(1)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"prefixes": {"least_agreement": 0.75}}, "prefixes.least_agreement is for prefixes.select = `consistent`"),
        ({"training": {"negatives": 0.5}}, "`verified` or `consistent`, not `all`"),
        ({"training": {"negatives": -1}}, "training.negatives"),
        ({"prefixes": {"per_problem": -1}}, "prefixes.per_problem"),
    ],
)
def test_a_recipe_that_cannot_tell_wrong_answers_or_a_majority_is_refused(given: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_recipe(given, "the test")
    assert told in str(refused.value)
