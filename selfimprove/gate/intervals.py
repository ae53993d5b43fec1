"""Fixed-N figures: intervals for the sealed finish, pass@k, and the power of a held-out set before it is used.

None of these may be looked at repeatedly: they hold for a number of problems chosen beforehand (`gate/evidence.py` is
for repeated looks). Power is that of McNemar's exact test at level s·α, the gate's last look. Early acceptance adds to
it and futility takes from it; in the simulation of docs/gate.md both together change it by about a point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from selfimprove.formatting import points_worth
from selfimprove.gate.editions import NOW

FLIP_RATES = (0.05, 0.10, 0.20)
LIKELY_FLIPS = 0.10
"""Share of the problems that flip in a round, as far as nothing is known of the run."""
GAINS = (0.01, 0.02, 0.03)
POWER = 0.8
LEVEL = 0.95
LARGEST_SIZE = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Power:
    """What a held-out set can detect at 80% power; gains and flip rates are shares of the problems."""

    size: int
    alpha: float
    visible: tuple[tuple[float, float | None], ...]
    """(flip rate, smallest detectable gain); None: not even a challenger without losses is detected."""
    needed: tuple[tuple[float, float, int], ...]
    """(gain, flip rate, problems needed); gains above the flip rate can't occur and are left out."""

    def lines(self) -> list[str]:
        """The figures in words, one line per flip rate."""
        return [self._line(flips, gain) for flips, gain in self.visible]

    def _line(self, flips: float, gain: float | None) -> str:
        shown = "no gain" if gain is None else f"a gain of {100 * gain:.1f} points or more"
        sizes = [f"{size:,} for {points_worth(worth)}" for worth, rate, size in self.needed if rate == flips]
        return (
            f"{self.size:,} held-out problems, {flips:.0%} flips: {shown} is detectable at {POWER:.0%} power; "
            f"needed: {', '.join(sizes)}"
        )


def power_lines(size: int, alpha: float, flip_rates: tuple[float, ...] = FLIP_RATES) -> Power:
    """The smallest gain that `size` greedily judged problems detect at 80% power, and the sizes for 1, 2 and 3 points.

    `alpha` is that of the round (`alpha_of_round`); a flip is a problem that exactly one of the two models solves.
    """
    visible = tuple((flips, smallest_gain(size, alpha, flips)) for flips in flip_rates)
    needed = tuple(
        (gain, flips, size_needed(gain, alpha, flips)) for gain in GAINS for flips in flip_rates if gain <= flips
    )
    return Power(size=size, alpha=alpha, visible=visible, needed=needed)


def power_line(size: int, alpha: float, flips: float = LIKELY_FLIPS) -> str:
    """What `size` greedily judged problems detect at 80% power, in one line, if `flips` of them flip."""
    gain = smallest_gain(size, alpha, flips)
    told = "no gain can" if gain is None else f"a gain of {100 * gain:.1f} points or more can"
    return f"power: with {size:,} held-out problems and {flips:.0%} flips {told} be detected at {POWER:.0%} power"


def power(size: int, alpha: float, flips: float, gain: float) -> float:
    """Chance that McNemar's exact test rejects at s·`alpha` after `size` problems, the number of flips being random."""
    import numpy as np
    from scipy.stats import binom

    spread = 8 * math.sqrt(size * flips * (1 - flips)) + 1
    count = np.arange(max(0, int(size * flips - spread)), min(size, int(size * flips + spread)) + 1)
    needed_wins = binom.isf(NOW.last_look * alpha, count, 0.5) + 1
    passed = binom.sf(needed_wins - 1, count, (1 + gain / flips) / 2)
    return float(np.sum(binom.pmf(count, size, flips) * passed))


def smallest_gain(size: int, alpha: float, flips: float) -> float | None:
    """The smallest gain detected at 80% power, to 1e-4; None if even the largest possible, the flip rate, isn't."""
    if power(size, alpha, flips, flips) < POWER:
        return None
    low, high = 0.0, flips
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if power(size, alpha, flips, middle) >= POWER else (middle, high)
    return high


def size_needed(gain: float, alpha: float, flips: float) -> int:
    """Problems needed to detect `gain` at 80% power, to 1%; at most ten million."""
    low, high = 1, 2
    while power(high, alpha, flips, gain) < POWER and high < LARGEST_SIZE:
        low, high = high, 2 * high
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, alpha, flips, gain) >= POWER else (middle, high)
    return high


def tango(wins: int, losses: int, size: int, level: float = LEVEL) -> tuple[float, float]:
    """Score interval of (wins - losses)/size, a difference of paired proportions, by inverting the score test.

    Tango 1998, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design", Statistics in Medicine 17. Raises `ValueError` when `size` is below 1 or below the flips.
    """
    if size < max(1, wins + losses):
        raise ValueError(f"{wins} wins and {losses} losses don't fit into {size} problems")
    from scipy.optimize import brentq
    from scipy.stats import norm

    z = float(norm.ppf((1 + level) / 2))
    gain = (wins - losses) / size

    def beyond(difference: float, side: int) -> float:
        return side * _tango_score(wins, losses, size, difference) - z

    edge = 1 - 1e-12
    low = -1.0 if gain <= -edge else brentq(beyond, -edge, gain, args=(1,))
    high = 1.0 if gain >= edge else brentq(beyond, gain, edge, args=(-1,))
    return float(low), float(high)


def wilson(successes: int, size: int) -> tuple[float, float]:
    """95% Wilson score interval of a rate. Raises `ValueError` unless 0 <= successes <= size and size >= 1.

    Newcombe 1998, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17, method 3. The
    floats of `scipy.stats.binomtest`, whose import alone takes a second of each report.
    """
    from scipy.special import ndtri

    if not (0 <= successes <= size and size >= 1):
        raise ValueError(f"{successes} of {size} is no rate")
    rate, z = successes / size, float(ndtri((1 + LEVEL) / 2))
    below = 2 * (size + z**2)
    center = (2 * size * rate + z**2) / below
    delta = z / below * math.sqrt(4 * size * rate * (1 - rate) + z**2)
    return (center - delta if successes else 0.0), (center + delta if successes < size else 1.0)


def clopper_pearson(successes: int, size: int, level: float) -> tuple[float, float]:
    """Exact interval of a rate, which misses it with a chance of at most 1 − `level`; raises as `wilson` does."""
    from scipy.stats import binomtest

    interval = binomtest(successes, size).proportion_ci(level, method="exact")
    return float(interval.low), float(interval.high)


def pass_at_k(n: int, correct: int, k: int) -> float:
    """Unbiased estimate of the chance that one of `k` samples is correct, from `correct` of `n` samples.

    1 - C(n - correct, k) / C(n, k), Chen et al. 2021 (arXiv 2107.03374). Raises `ValueError` unless 1 <= k <= n and
    0 <= correct <= n.
    """
    if not (1 <= k <= n and 0 <= correct <= n):
        raise ValueError(f"pass@{k} can't be taken from {correct} correct of {n} samples")
    return 1 - math.comb(n - correct, k) / math.comb(n, k)


def _tango_score(wins: int, losses: int, size: int, difference: float) -> float:
    """(observed - assumed difference) / standard error, with the flip rate most likely under `difference`."""
    b = -wins - losses + (2 * size - wins + losses) * difference
    c = -losses * difference * (1 - difference)
    rate = (math.sqrt(max(0.0, b * b - 8 * size * c)) - b) / (4 * size)
    variance = size * (2 * rate + difference * (1 - difference))
    gap = wins - losses - size * difference
    if variance <= 0:
        return 0.0 if gap == 0 else math.copysign(1e9, gap)
    return gap / math.sqrt(variance)
