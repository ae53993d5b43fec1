"""Evidence that one model beats another, from paired outcomes: numbers in, numbers out.

**What carries evidence.** Champion and challenger answer the same problems. With d the challenger's score on a
problem minus the champion's, the null hypothesis is that the challenger is no better: the mean of d, given everything
seen before, is at most 0. Problems that both solve or both miss have d = 0 and say nothing about it.

**Betting.** Start with one unit of wealth and stake a share b (0 < b < 1) of it on every problem: wealth is
multiplied by 1 + b·d, whose mean is at most 1 under the null. So the wealth K(b) = Π(1 + b·d) is a non-negative
supermartingale, and so is its average over any distribution of b that is fixed before the data. Ville's inequality
then bounds the chance that it *ever* reaches 1/α by α: it may be looked at as often as one likes (Ville 1939; Shafer
2021, "Testing by betting"; Ramdas, Grünwald, Vovk, Shafer 2023, "Game-theoretic statistics and safe anytime-valid
inference"; for means of bounded values Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by
betting").

**The mixture over win rates.** With one greedy answer a side, d is -1, 0 or 1, and K(b) = (1 + b)^w (1 - b)^l for w
wins and l losses. Put q = (1 + b)/2: this is (q/½)^w ((1-q)/½)^l, the likelihood ratio of "a flip is a win with
probability q" against a fair coin. Averaged over q from a Beta(a, a) cut to (½, 1), whose density is 2 q^(a-1)
(1-q)^(a-1) / B(a, a),

    M = 2^(w+l+1) · B(w+a, l+a) / B(a, a) · I_½(l+a, w+a),

I the regularised incomplete beta function (I_½(l+a, w+a) is the chance that a Beta(w+a, l+a) lies above ½). With
several samples a side d is a fraction, the integral has no closed form, and a quadrature over b stands for it: its
nodes with weights that sum to 1 are themselves a distribution of b, so nothing of the guarantee is lost to rounding.

**The last look.** An e-process pays for every look that could have been taken. Looks end when the held-out problems
do, and the exact fixed-N test (McNemar's) wastes nothing there. It needs more than the null above: problems that are
drawn independently, or in random order, so that given which of them flip each flip is a win with chance at most ½,
whatever the others were. (Were flips to stop once enough are won, the null above would hold, and the test would err.)
Let F be 1/(s·α) at the last look if that test's p-value is at most s·α, else 0: its mean under the null is at most 1.
The evidence used is m·M + s·F, m + s < 1 (`gate/editions.py`). It passes 1/α when M passes 1/(m·α) at any look, or when
McNemar's test at level s·α rejects at the last one.

**Foreseeing it.** Once many wins stand, F is all but certain long before the last look. Given which problems flip, its
mean given what was judged, D = P(the test rejects | wins and losses so far, k flips to come)/(s·α), is a martingale,
since further flips are fair coins at best. k is not known; but the test looks at no more than k, so the least such
chance over all k that may come is at most D, and may stand for F at any look. How many may come is known but for a
chance of (1 - m - s)·α: problems are judged in random order, so given all flips of the set those among the first ones
judged are hypergeometric, and a total under which so few had a chance below (1 - m - s)·α/N at the look can be left
out; all N places where a look could be have (1 - m - s)·α together.

**Averages.** Fractions have no such exact test. With several samples a side F is the wealth of a bet that aims at
1/(s·α) at the last problem (`gate/aimed.py`), and m is 1 - s. With one, scores of a checker may still be fractions,
which nobody knows beforehand: then F is 0, and a recipe with a checker of its own keeps more for M (`SCORED`). That
costs power and no validity: round each fraction at random to 0 or ±1 so that its mean stays. The rounded differences
meet the null too, and where none was a fraction McNemar's test sees the same in both, so it rejects no more often.

**What is ruled out.** The same bet turned round, on "the mean of d is at least g", multiplies wealth by 1 + c·(g -
d)/(1 - g), 0 < c < 1, which is not negative and grows with g: all g at which the average has reached 1/0.05 are ruled
out, at every look at once (a 95% confidence sequence).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from selfimprove.gate.editions import NOW, Edition

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FLIP_SHAPE = 3.0
"""a of the Beta(a, a) over win rates: its median above ½ is 0.63, a gain of 4 points at a flip rate of 15%."""
FRACTION_SHAPE = 1.0
"""The same for fractions: differences are smaller, so larger stakes are better."""
BOUND_ALPHA = 0.05
"""Chance that the upper bound on the gain is ever too low."""
NODES = 128
LARGEST_LOG = 700.0
"""Evidence is clipped to exp of this, so that it is a finite number in JSON."""


@dataclass(frozen=True)
class Tally:
    """How often each difference occurred: all that the evidence depends on, so that order can't matter.

    `counts` pairs a difference in [-1, 1] with how many problems had it, sorted; counts of an assumed future may be
    fractional.
    """

    counts: tuple[tuple[float, float], ...]

    @staticmethod
    def of(differences: Iterable[float]) -> Tally:
        """The tally of these differences; raises `ValueError` for one outside [-1, 1]."""
        counts: dict[float, float] = {}
        for value in differences:
            if not -1 <= value <= 1:
                raise ValueError(f"a difference of two shares lies in [-1, 1], not {value}")
            counts[value] = counts.get(value, 0) + 1
        return Tally(tuple(sorted(counts.items())))

    def plus(self, counts: Iterable[tuple[float, float]]) -> Tally:
        """This tally with `counts` (difference, how many) added."""
        total = dict(self.counts)
        for value, count in counts:
            total[value] = total.get(value, 0) + count
        return Tally(tuple(sorted(total.items())))

    def exchanged(self) -> Tally:
        """The tally with champion and challenger exchanged."""
        return Tally(tuple((-value, count) for value, count in reversed(self.counts)))

    @property
    def judged(self) -> float:
        """Number of problems."""
        return sum(count for _, count in self.counts)

    @property
    def wins(self) -> float:
        """Problems on which the challenger did better."""
        return sum(count for value, count in self.counts if value > 0)

    @property
    def losses(self) -> float:
        """Problems on which the challenger did worse."""
        return sum(count for value, count in self.counts if value < 0)

    @property
    def gain(self) -> float:
        """Mean difference; 0 when nothing was judged."""
        return sum(value * count for value, count in self.counts) / self.judged if self.counts else 0.0

    @property
    def square(self) -> float:
        """Sum of the squared differences; the number of flips if all are 0 or ±1."""
        return sum(value * value * count for value, count in self.counts)

    @property
    def whole(self) -> bool:
        """Whether every difference is -1, 0 or 1, as greedy answers give."""
        return all(value in (-1, 0, 1) for value, _ in self.counts)


def log_evidence(tally: Tally, shape: float) -> float:
    """Log of the mixture e-value M against "no better"; symmetric, monotone, order-free (derived above)."""
    if not tally.whole:
        return _log_average(tally, 0.0, 1, shape)
    from scipy.special import betainc, betaln

    won, lost = tally.wins + shape, tally.losses + shape
    above = float(betainc(lost, won, 0.5))
    if above == 0:
        return -math.inf
    flips = tally.wins + tally.losses
    return float((flips + 1) * math.log(2) + betaln(won, lost) - betaln(shape, shape) + math.log(above))


def exact_p(wins: float, losses: float) -> float:
    """One-sided p-value of McNemar's exact test: the chance of at least this many wins among fair flips."""
    from scipy.special import betainc

    return float(betainc(wins, losses + 1, 0.5)) if wins > 0 else 1.0


def evidence(
    tally: Tally, total: int, alpha: float, *, greedy: bool, aimed: float | None = None, edition: Edition = NOW
) -> float:
    """The e-value at a look, finite; at least 1/`alpha` at any look with chance at most `alpha` under the null.

    `total`: the held-out problems, of which those of `tally` are judged. `greedy`: one answer a side, for which the
    exact test exists unless one has a score that is a fraction. `aimed` is the wealth of the bet that stands for that
    test with averages; without one they have the mixture alone.
    """
    mixture = math.exp(min(LARGEST_LOG, log_evidence(tally, _shape(greedy))))
    if not greedy:
        share = edition.last_look
        return mixture if aimed is None else (1 - share) * mixture + share * aimed
    return edition.bets * mixture + rejection_chance(tally, total, alpha, edition) / alpha


def rejection_chance(tally: Tally, total: int, alpha: float, edition: Edition = NOW) -> float:
    """The least chance that McNemar's test at level s·`alpha` rejects at the last look, if the rest are fair flips.

    Over all numbers of flips that may come, none included: 0 while the test doesn't reject yet. At the last look 1 if
    it rejects, else 0.
    """
    level, rest = edition.last_look * alpha, round(total - tally.judged)
    if not tally.whole or exact_p(tally.wins, tally.losses) > level:
        return 0.0
    if rest == 0 or not edition.foresight:
        return 1.0 if rest == 0 else 0.0
    return _least_chance(int(tally.wins), int(tally.losses), int(tally.judged), total, level, edition.foresight * alpha)


@lru_cache(maxsize=1 << 16)
def _least_chance(wins: int, losses: int, judged: int, total: int, level: float, beyond: float) -> float:
    import numpy as np
    from scipy.stats import binom

    flips = wins + losses
    further = np.arange(1, _most_flips(flips, judged, total, beyond / total) + 1)
    needed = _wins_needed(level, total)[flips + further] - wins
    return float(binom.sf(needed - 1, further, 0.5).min(initial=1.0))


@lru_cache
def _wins_needed(level: float, most: int) -> Floats:
    """With how many wins McNemar's test at this level rejects, of 0 to `most` flips; more than them: with none."""
    import numpy as np
    from scipy.stats import binom

    return np.asarray(binom.isf(level, np.arange(most + 1), 0.5) + 1)


@lru_cache(maxsize=1 << 16)
def _most_flips(flips: int, judged: int, total: int, level: float) -> int:
    """How many of the unjudged problems can flip: with more, so few `flips` of the `judged` have chance ≤ `level`."""
    from scipy.stats import hypergeom

    low, high = -1, total - judged
    while high - low > 1:
        middle = (low + high) // 2
        excluded = hypergeom.cdf(flips, total, flips + middle + 1, judged) <= level
        low, high = (low, middle) if excluded else (middle, high)
    return high


def evidence_against(tally: Tally, gain: float, *, greedy: bool) -> float:
    """The e-value of bets against "the mean difference is `gain` or more", finite: ever 1/α with chance at most α."""
    return math.exp(min(LARGEST_LOG, _log_average(tally, gain, -1, _shape(greedy))))


def rules_out(tally: Tally, gain: float, *, greedy: bool, alpha: float = BOUND_ALPHA) -> bool:
    """Whether a mean difference of `gain` or more is ruled out: wrongly so at any look with chance at most `alpha`."""
    return _log_average(tally, gain, -1, _shape(greedy)) >= -math.log(alpha)


def gain_upper(tally: Tally, *, greedy: bool, alpha: float = BOUND_ALPHA) -> float:
    """Smallest gain that is ruled out, in [-1, 1], to 1e-6: an upper bound that holds at all looks at once."""
    low, high = -1.0, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if rules_out(tally, middle, greedy=greedy, alpha=alpha) else (middle, high)
    return high


def gain_lower(tally: Tally, *, greedy: bool, alpha: float = BOUND_ALPHA) -> float:
    """Lower bound on the gain: the upper one with champion and challenger exchanged."""
    return -gain_upper(tally.exchanged(), greedy=greedy, alpha=alpha)


def _shape(greedy: bool) -> float:
    return FLIP_SHAPE if greedy else FRACTION_SHAPE


def _log_average(tally: Tally, gain: float, sign: int, shape: float) -> float:
    """Log of the average wealth of bets that the mean lies above (`sign` 1) or below (-1) `gain`."""
    import numpy as np

    stakes, weights = _stakes(shape)
    total = np.log(weights)
    for value, count in tally.counts:
        if value != gain:
            total = total + count * np.log1p(stakes * (sign * (value - gain) / (1 + sign * gain)))
    top = float(total.max())
    return top + math.log(float(np.exp(total - top).sum()))


@lru_cache
def _stakes(shape: float) -> tuple[Floats, Floats]:
    """Nodes in (0, 1) and weights that sum to 1, of the density proportional to (1 - b²)^(shape - 1)."""
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    stakes = (nodes + 1) / 2
    weights = weights * (1 - stakes**2) ** (shape - 1)
    return stakes, weights / weights.sum()
