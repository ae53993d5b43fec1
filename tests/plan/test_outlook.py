"""What samples of the base model say before anything is trained."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfimprove.plan.outlook import Outlook, Trial, advice, afforded, outlook_lines, outlook_of
from selfimprove.recipe import Recipe
from selfimprove.recipe.reading import parse_recipe


def trials(*problems: str) -> list[Trial]:
    """A sample for each letter: a is right, b and c are wrong, x can't be read, z is cut. Prefixes are the letters."""
    return [
        Trial(
            key=f"k{place}",
            answer=None if letter in "xz" else letter,
            right=letter == "a",
            unread=letter in "xz",
            cut=letter == "z",
            prefix=(ord(letter),),
        )
        for place, word in enumerate(problems)
        for letter in word
    ]


FINE = outlook_of(trials("aaab", "aaaa", "abbb", "aabc"))


def test_the_figures_are_those_of_samples_majorities_agreement_and_prefixes() -> None:
    assert (
        Outlook(
            problems=4,
            samples=4,
            single=10 / 16,
            decided=4,
            majority=3 / 4,
            agreed=3,
            agreement=2 / 3,
            begun=(1 + 1 + 0 + 1) / 4,
            solved=1.0,
            cut=0.0,
            unread=0.0,
        )
        == FINE
    )
    none = outlook_of(trials("abxz"))
    assert (none.decided, none.majority, none.agreed, none.agreement) == (0, None, 0, None)
    assert (none.cut, none.unread) == (0.25, 0.5)


@given(st.integers(1, 6).flatmap(lambda n: st.lists(st.text("abcxz", min_size=n, max_size=n), min_size=1, max_size=9)))
def test_shares_are_shares_and_what_agrees_has_a_majority(problems: list[str]) -> None:
    found = outlook_of(trials(*problems))
    for share in (found.single, found.begun, found.solved, found.cut, found.unread):
        assert 0 <= share <= 1
    assert found.agreed <= found.decided <= found.problems
    assert found.single <= found.solved
    assert found.cut <= found.unread


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"majority": 0.37}, "The majority is right 37% of the time: don't train on it"),
        ({"cut": 0.3, "unread": 0.3}, "30% of the samples are cut: raise sampling.max_new_tokens first"),
        ({"cut": 0.0, "unread": 0.3}, "Many answers can't be read"),
        ({"single": 0.1}, "Only 10% of the samples are right"),
        ({"solved": 0.2}, "Only 20% of the problems are solved at all"),
        ({"single": 0.97}, "little is left to gain"),
    ],
)
def test_advice_follows_from_the_figures_alone(changes: dict[str, float], told: str) -> None:
    found = advice(Recipe(), replace(FINE, **changes))
    assert found == [] if not told else told in found[0]
    assert advice(Recipe(), replace(FINE, problems=3, **changes)) == []


def test_the_lines_tell_counts_and_leave_out_majorities_where_answers_cannot_be_compared() -> None:
    lines = outlook_lines(Recipe(), FINE)
    assert lines[0].startswith(
        "4 samples of each of 4 problems with an answer: one sample is right 62% of the time (95%"
    )
    assert "4 problems with a majority answer, right in 3" in lines
    assert "3 problems with an answer that at least 75% of its samples give, right in 2" in lines
    own = parse_recipe({"answers": {"checker": "a.py:check"}}, "the test")
    assert not [line for line in outlook_lines(own, FINE) if "majority" in line]


def test_a_fast_machine_affords_more_problems() -> None:
    assert afforded(300, 20) == 0
    assert afforded(300, 2000) == 75
