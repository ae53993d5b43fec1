from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from selfimprove.gate.evidence import exact_p
from selfimprove.gate.intervals import (
    pass_at_k,
    power,
    power_line,
    power_lines,
    size_needed,
    smallest_gain,
    tango,
    wilson,
)
from tests import paths

CASES: dict[str, list[dict[str, Any]]] = json.loads((paths.CASES / "gate_intervals.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES["tango"])
def test_tango_gives_the_published_interval(case: dict[str, Any]) -> None:
    assert tango(case["wins"], case["losses"], case["size"]) == pytest.approx((case["low"], case["high"]), abs=6e-4)


@pytest.mark.parametrize("case", CASES["wilson"])
def test_wilson_gives_the_published_interval(case: dict[str, Any]) -> None:
    assert wilson(case["successes"], case["size"]) == pytest.approx((case["low"], case["high"]), abs=6e-5)


@pytest.mark.parametrize("size", [1, 2, 7, 64, 512, 1319])
def test_wilson_gives_the_floats_of_scipy(size: int) -> None:
    for successes in {*range(min(size, 40) + 1), size // 2, size - 1, size}:
        interval = binomtest(successes, size).proportion_ci(0.95, method="wilson")
        assert wilson(successes, size) == (interval.low, interval.high)
    for faulty in (-1, size + 1):
        with pytest.raises(ValueError, match="no rate"):
            wilson(faulty, size)


@pytest.mark.parametrize("case", CASES["mcnemar"])
def test_the_exact_test_counts_fair_coins(case: dict[str, Any]) -> None:
    assert exact_p(case["wins"], case["losses"]) == pytest.approx(case["p"])


@pytest.mark.parametrize("case", CASES["pass_at_k"])
def test_pass_at_k_is_unbiased(case: dict[str, Any]) -> None:
    assert pass_at_k(case["n"], case["correct"], case["k"]) == pytest.approx(case["value"])


@pytest.mark.parametrize(("n", "correct", "k"), [(4, 5, 1), (4, 1, 5), (4, -1, 1), (4, 1, 0)])
def test_pass_at_k_refuses_what_cannot_be(n: int, correct: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@"):
        pass_at_k(n, correct, k)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 300))
@settings(deadline=None, max_examples=50)
def test_tango_ends_where_a_score_test_by_search_just_rejects(wins: int, losses: int, rest: int) -> None:
    """The likelihood of the flips is maximised by search here, by the root of a quadratic there."""
    size = wins + losses + rest
    for end in tango(wins, losses, size):
        assert -1 <= end <= 1
        if abs(end) < 0.999 and wins + losses > 0:
            assert abs(score_by_search(wins, losses, size, end)) == pytest.approx(1.959964, abs=2e-3)


def score_by_search(wins: int, losses: int, size: int, difference: float) -> float:
    from scipy.optimize import minimize_scalar

    def badness(lost: float) -> float:
        parts = [(wins, lost + difference), (losses, lost), (size - wins - losses, 1 - 2 * lost - difference)]
        return -sum(count * math.log(max(rate, 1e-300)) for count, rate in parts if count)

    low, high = max(0.0, -difference), (1 - difference) / 2
    lost = minimize_scalar(badness, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
    return (wins - losses - size * difference) / math.sqrt(size * (2 * lost + difference * (1 - difference)))


def test_tango_refuses_more_flips_than_problems() -> None:
    with pytest.raises(ValueError, match="fit"):
        tango(3, 3, 5)


def test_power_is_that_of_the_exact_test_summed_over_all_outcomes() -> None:
    size, alpha, flips, gain = 40, 0.1, 0.3, 0.2
    won, lost = (flips + gain) / 2, (flips - gain) / 2
    total = sum(
        math.comb(size, w) * math.comb(size - w, x) * won**w * lost**x * (1 - flips) ** (size - w - x)
        for w in range(size + 1)
        for x in range(size + 1 - w)
        if exact_p(w, x) <= 0.97 * alpha
    )
    assert power(size, alpha, flips, gain) == pytest.approx(total, abs=1e-9)


def test_power_at_no_gain_stays_below_alpha() -> None:
    assert power(500, 0.05, 0.1, 0.0) <= 0.97 * 0.05


def test_the_visible_gain_and_the_size_needed_are_each_others_inverse() -> None:
    gain = smallest_gain(1000, 0.025, 0.1)
    assert gain is not None
    assert size_needed(gain, 0.025, 0.1) == pytest.approx(1000, rel=0.05)


def test_power_is_said_in_lines_and_says_when_nothing_is_visible() -> None:
    small, large = power_lines(30, 0.025), power_lines(500, 0.025)
    assert small.visible[0] == (0.05, None)
    assert small.lines()[0].startswith("30 held-out problems, 5% flips: no gain is detectable at 80% power; needed: ")
    assert power_line(30, 0.025, 0.05) == (
        "power: with 30 held-out problems and 5% flips no gain can be detected at 80% power"
    )
    assert power_line(500, 0.025) == (
        "power: with 500 held-out problems and 10% flips a gain of 4.1 points or more can be detected at 80% power"
    )
    assert large.lines()[1].startswith("500 held-out problems, 10% flips: a gain of 4.1 points or more is detectable")
    assert len(large.needed) == 9
