"""One mean and its 95% interval from a table of problems by seeds: outcomes in, numbers out.

x_ps is what problem p gave in the run with seed s: a share of right answers, or a difference of two. Problems are
drawn from a population and so are seeds, and each cell has its own luck: x_ps = μ + a_p + b_s + e_ps. The estimate of μ
is the mean of all cells, its variance σ_a²/P + σ_b²/S + σ_e²/(PS). The variance of the problems' means over P estimates
the first and the last term, that of the seeds' means over S the second and the last, so their sum less the residual's
share is the variance wanted (the moment estimator of a crossed design; Owen 2007, "The pigeonhole bootstrap", Annals of
Applied Statistics 1, shows that resampling problems alone, or seeds alone, falls short of it). It is taken no smaller
than any of the three, and the interval is Student's t with Satterthwaite's degrees of freedom. Two seeds that disagree
give a wide interval, as they should.

With one seed nothing is known of the spread between seeds: the interval is that of the run's own report over problems
(Wilson's for a rate, Tango's for a paired difference of greedy answers, the betting interval otherwise), and so it is
where all cells are equal, or there is one problem, and no spread can be seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from selfimprove.gate.decision import Pair, interval_of_gain, interval_of_rate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEVEL = 0.95


@dataclass(frozen=True)
class Pooled:
    """A mean over problems and seeds with its 95% interval, and the smallest and largest mean of a seed."""

    mean: float
    interval: tuple[float, float]
    spread: tuple[float, float]


def pooled_rate(shares: Sequence[Sequence[float]]) -> Pooled:
    """The mean of shares in [0, 1], one row a problem, one column a seed; raises `ValueError` for an empty table."""
    table = _table(shares)
    interval = _crossed(table, 0.0, 1.0)
    if interval is None:
        n = table.shape[0]
        interval = interval_of_rate(round(float(table.mean(axis=1).sum())), n)
    return _pooled(table, interval)


def pooled_gain(before: Sequence[Sequence[float]], after: Sequence[Sequence[float]]) -> Pooled:
    """The mean of `after` less `before`, tables as in `pooled_rate` of equal shape, problem by problem."""
    table = _table(after) - _table(before)
    interval = _crossed(table, -1.0, 1.0)
    if interval is None:
        interval = interval_of_gain([Pair(fmean(old), fmean(new)) for old, new in zip(before, after, strict=True)])
    return _pooled(table, interval)


def _table(rows: Sequence[Sequence[float]]) -> Floats:
    import numpy as np

    table: Floats = np.array(rows, dtype=np.float64)
    if table.ndim != 2 or not table.size:
        raise ValueError("no problems, or no seeds")
    return table


def _pooled(table: Floats, interval: tuple[float, float]) -> Pooled:
    seeds = table.mean(axis=0)
    return Pooled(float(table.mean()), interval, (float(seeds.min()), float(seeds.max())))


def _crossed(table: Floats, lowest: float, highest: float) -> tuple[float, float] | None:
    """The interval over problems and seeds, within its bounds; None where the table shows no spread between seeds."""
    from scipy.stats import t

    problems, seeds = table.shape
    if problems < 2 or seeds < 2 or float(table.max()) == float(table.min()):
        return None
    rows, columns, residual = _variances(table)
    variance = max(rows + columns - residual, rows, columns, residual)
    apart = rows**2 / (problems - 1), columns**2 / (seeds - 1), residual**2 / ((problems - 1) * (seeds - 1))
    freedom = variance**2 / sum(apart)
    reach = float(t.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(variance)
    mean = float(table.mean())
    return max(lowest, mean - reach), min(highest, mean + reach)


def _variances(table: Floats) -> tuple[float, float, float]:
    """Variance of the mean as the problems' means show it, as the seeds' means do, and the residual's share of both."""
    problems, seeds = table.shape
    by_problem, by_seed = table.mean(axis=1), table.mean(axis=0)
    left = table - by_problem[:, None] - by_seed[None, :] + table.mean()
    error = float((left**2).sum()) / ((problems - 1) * (seeds - 1))
    return float(by_problem.var(ddof=1)) / problems, float(by_seed.var(ddof=1)) / seeds, error / (problems * seeds)
