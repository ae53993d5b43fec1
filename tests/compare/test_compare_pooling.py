"""Pooling over problems and seeds: what holds for all tables, and how often the interval holds the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfimprove.compare.pooling import pooled_gain, pooled_rate
from selfimprove.gate.decision import Pair, interval_of_gain, interval_of_rate

Tables = tuple[list[list[float]], list[list[float]]]


@st.composite
def pairs_of_tables(draw: st.DrawFn) -> Tables:
    problems, seeds, samples = draw(st.integers(1, 12)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    share = st.integers(0, samples).map(lambda right: right / samples)
    rows = st.lists(st.lists(share, min_size=seeds, max_size=seeds), min_size=problems, max_size=problems)
    return draw(rows), draw(rows)


@settings(deadline=None)  # the first call loads scipy
@given(pairs_of_tables())
def test_the_interval_holds_the_mean_and_turns_with_the_sides(tables: Tables) -> None:
    before, after = tables
    gain, loss, rate = pooled_gain(before, after), pooled_gain(after, before), pooled_rate(after)
    assert -1 <= gain.interval[0] <= gain.mean + 1e-9
    assert gain.mean - 1e-9 <= gain.interval[1] <= 1
    assert 0 <= rate.interval[0] <= rate.mean + 1e-9
    assert rate.mean - 1e-9 <= rate.interval[1] <= 1
    assert gain.spread[0] - 1e-9 <= gain.mean <= gain.spread[1] + 1e-9
    assert loss.mean == pytest.approx(-gain.mean)
    assert loss.interval == pytest.approx((-gain.interval[1], -gain.interval[0]), abs=1e-5)


@settings(deadline=None)  # the first call loads scipy
@given(pairs_of_tables(), st.randoms(use_true_random=False))
def test_the_order_of_problems_and_seeds_means_nothing(tables: Tables, random: object) -> None:
    before, after = (np.array(table) for table in tables)
    problems, seeds = before.shape
    rows, columns = list(range(problems)), list(range(seeds))
    random.shuffle(rows)  # type: ignore[attr-defined]
    random.shuffle(columns)  # type: ignore[attr-defined]
    shuffled = [table[rows][:, columns].tolist() for table in (before, after)]
    one, other = pooled_gain(*tables), pooled_gain(shuffled[0], shuffled[1])
    assert one.mean == pytest.approx(other.mean)
    assert one.interval == pytest.approx(other.interval, abs=1e-5)


def test_one_seed_has_the_interval_of_its_own_report() -> None:
    before, after = [[0.0], [1.0], [0.0], [0.0]], [[1.0], [1.0], [0.0], [1.0]]
    pairs = [Pair(old[0], new[0]) for old, new in zip(before, after, strict=True)]
    assert pooled_gain(before, after).interval == interval_of_gain(pairs)
    assert pooled_rate(after).interval == interval_of_rate(3, 4)


def test_no_problems_are_refused() -> None:
    with pytest.raises(ValueError, match="no problems"):
        pooled_rate([])


def _covered(seed_spread: float) -> tuple[float, float]:
    """How often the interval over problems and seeds holds the true gain, and one over problems alone does."""
    from scipy.stats import t

    rng, truth, problems, seeds, repeats = np.random.default_rng(3), 0.1, 80, 4, 400
    both = alone = 0
    for _ in range(repeats):
        by_problem = rng.normal(0, 0.2, (problems, 1))
        by_seed = rng.normal(0, seed_spread, (1, seeds))
        table = np.clip(truth + by_problem + by_seed + rng.normal(0, 0.2, (problems, seeds)), -1, 1)
        base = np.clip(-table, 0, 1)
        low, high = pooled_gain(base.tolist(), (base + table).tolist()).interval
        both += low <= truth <= high
        means = table.mean(axis=1)
        reach = t.ppf(0.975, problems - 1) * means.std(ddof=1) / problems**0.5
        alone += abs(means.mean() - truth) <= reach
    return both / repeats, alone / repeats


def test_the_interval_holds_the_truth_where_seeds_differ_and_problems_alone_do_not() -> None:
    both, alone = _covered(0.1)
    assert both >= 0.92
    assert alone < 0.75


def test_the_interval_is_not_wasteful_where_seeds_do_not_differ() -> None:
    both, _ = _covered(0.0)
    assert 0.92 <= both <= 0.995
