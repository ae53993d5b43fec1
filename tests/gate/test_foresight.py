"""The last look's test foreseen: what it may never do, held by exact sums over all outcomes of fair flips."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from selfimprove.gate.editions import FORMAT_3, NOW, Edition
from selfimprove.gate.evidence import Tally, evidence, exact_p, rejection_chance


def tally(wins: int, losses: int, judged: int) -> Tally:
    return Tally(((-1.0, losses), (0.0, judged - wins - losses), (1.0, wins)))


def chance_of_acceptance(flips_at_looks: list[int], looks: list[int], alpha: float, edition: Edition) -> float:
    """Exactly how often fair flips, so many up to each look, are accepted at any of them."""
    chances, accepted, seen = {0: 1.0}, 0.0, 0
    for judged, flips in zip(looks, flips_at_looks, strict=True):
        for _ in range(flips - seen):
            spread: dict[int, float] = {}
            for wins, chance in chances.items():
                for more in (0, 1):
                    spread[wins + more] = spread.get(wins + more, 0.0) + chance / 2
            chances = spread
        seen, left = flips, {}
        for wins, chance in chances.items():
            state = tally(wins, flips - wins, judged)
            if evidence(state, looks[-1], alpha, greedy=True, edition=edition) >= 1 / alpha:
                accepted += chance
            else:
                left[wins] = chance
        chances = left
    return accepted


@st.composite
def judgings(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Looks at up to 80 problems, and how many have flipped by each of them."""
    sizes = draw(st.lists(st.integers(1, 16), min_size=1, max_size=5))
    flips = [draw(st.integers(0, size)) for size in sizes]
    looks, seen = ([sum(part[: n + 1]) for n in range(len(part))] for part in (sizes, flips))
    return looks, seen


@given(judgings(), st.sampled_from([0.025, 0.1, 0.4]), st.sampled_from([NOW, FORMAT_3]))
@settings(deadline=None, max_examples=60)
def test_fair_flips_are_accepted_no_more_often_than_alpha(
    judging: tuple[list[int], list[int]], alpha: float, edition: Edition
) -> None:
    looks, flips = judging
    assert chance_of_acceptance(flips, looks, alpha, edition) <= alpha


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 100), st.integers(0, 100))
@settings(deadline=None)
def test_a_foreseen_rejection_is_no_likelier_than_it_is_for_any_number_of_flips_that_may_come(
    wins: int, losses: int, same: int, rest: int
) -> None:
    """Against the walk itself, one flip at a time, for the flips of which a chance above the spared error is left."""
    alpha, judged = 0.05, wins + losses + same
    total = judged + rest
    if not judged:
        return
    level, told = NOW.last_look * alpha, rejection_chance(tally(wins, losses, judged), total, alpha)
    chances = {wins: 1.0}
    for further in range(rest + 1):
        flips = wins + losses + further
        if hypergeom.cdf(wins + losses, total, flips, judged) <= NOW.foresight * alpha / total:
            break
        rejects = sum(chance for won, chance in chances.items() if exact_p(won, flips - won) <= level)
        assert told <= rejects + 1e-9
        chances = {
            won: chances.get(won, 0.0) / 2 + chances.get(won - 1, 0.0) / 2 for won in range(wins, wins + further + 2)
        }


@pytest.mark.parametrize(("wins", "told"), [(62, "accepted"), (52, "open"), (40, "open")])
def test_a_last_look_that_is_all_but_certain_ends_judging(wins: int, told: str) -> None:
    """After 832 of 1,000 problems: bets alone fall short of 1/α in each."""
    state = tally(wins, 28, 832)
    found = evidence(state, 1000, 0.025, greedy=True)
    assert (found >= 40) == (told == "accepted")
    assert evidence(state, 1000, 0.025, greedy=True, edition=replace(NOW, foresight=0.0)) < 40
    assert rejection_chance(state, 1000, 0.025, FORMAT_3) == 0


def test_more_wins_never_lower_the_chance_and_the_last_look_is_certain() -> None:
    chances = [rejection_chance(tally(wins, 20, 600), 800, 0.025) for wins in range(20, 60)]
    assert all(one <= other for one, other in pairwise(chances))
    assert rejection_chance(tally(40, 20, 800), 800, 0.025) in (0.0, 1.0)
