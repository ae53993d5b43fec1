"""A bet on averages that aims at the last problem, where a mixture of bets keeps something for every look.

With several samples a side a difference d is a fraction, and there is no exact test of "its mean is at most 0": how
likely a sum is depends on how d is spread, which the null leaves open. What takes the place of McNemar's test at the
last look is a bet again, so it needs nothing of d but that it lies in [-1, 1] and that its mean given the past is at
most 0. Any stake that the past alone fixes keeps the wealth a non-negative supermartingale, whatever the reason for it.
So the stake may be chosen with one aim: to hold 1/(s·α) at the last problem as often as possible.

If the sum of what is left were normal with mean 0 and variance V, a claim to the target T, paid if that sum exceeds
some level, would be worth T·Φ(-x) now, x the level in √V. Wealth W buys the claim with Φ(-x) = W/T, and holding it
means to stake T·φ(x)/√V, anew at every problem from the wealth there is. V is what the squares seen so far let expect;
if they mislead, power is lost and never error. The stake stays below the wealth, so that no loss takes it all.

The wealth depends on the order of the problems, as the mixture's doesn't; the order of a round is fixed by its seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import NormalDist

NORMAL = NormalDist()
EXPECTED_SQUARE, EXPECTED_WEIGHT = 1 / 6, 6.0
"""Mean square of a difference before any is seen, and how many problems' worth that counts."""
MOST_STAKE = 0.99
LOST = 1e-12
"""Share of the target below which nothing is staked any more."""


@dataclass(frozen=True, kw_only=True)
class Aim:
    """The bet after `judged` of `total` problems; `wealth` is an e-value at every problem, at first 1."""

    total: int
    target: float
    wealth: float = 1.0
    square: float = EXPECTED_SQUARE * EXPECTED_WEIGHT
    """Sum of the squared differences, with the expected ones."""
    judged: int = 0

    def after(self, differences: Iterable[float]) -> Aim:
        """The bet after these further problems, in their order."""
        wealth, square, judged = self.wealth, self.square, self.judged
        for difference in differences:
            share = wealth / self.target
            if LOST < share < 1:
                spread = math.sqrt(square / (judged + EXPECTED_WEIGHT) * (self.total - judged))
                stake = self.target * NORMAL.pdf(NORMAL.inv_cdf(share)) / spread
                wealth += min(stake, MOST_STAKE * wealth) * difference
            square += difference * difference
            judged += 1
        return replace(self, wealth=wealth, square=square, judged=judged)

    def hoped(self, rest: float) -> float:
        """About the wealth at the last problem if the differences of the unjudged ones sum to `rest`."""
        share = self.wealth / self.target
        left = self.total - self.judged
        if not (LOST < share < 1 and left):
            return self.wealth
        spread = math.sqrt(self.square / (self.judged + EXPECTED_WEIGHT) * left)
        return self.target if rest >= -NORMAL.inv_cdf(share) * spread else 0.0
