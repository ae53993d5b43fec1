"""What picking champions on one held-out set can have cost: how far their gain on it lies above the true one.

Every accepted challenger won on this very set, so part of its gain there may be luck, and the next one is tested
against that luck. It is most where true gains are too small to be seen every time. With f the share of problems that
flip in a round and n the problems, it is measured in √(f/n), the standard error of a round's gain;
`benchmarks/gate_simulation.py` lets runs of 20 rounds reuse one set, with true gains of several sizes, and the largest
figures are those here (docs/gate.md, “reuse”). The sealed problems have no part in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

LUCK = (0.0, 2.4, 3.6, 4.4, 4.5, 4.8)
"""Mean luck after 0, 1, 2, … accepts on one set, in √(f/n); more accepts add none: luck that is too large is lost."""
MOST_LUCK = (0.0, 3.5, 5.3, 6.5, 6.8, 7.5)
"""What one run in 20 exceeds."""


@dataclass(frozen=True)
class Reuse:
    """Points of accuracy, as shares, by which a champion's gain on a reused held-out set may be too high."""

    mean: float
    most: float
    """Exceeded in one run of 20."""


def cost_of_reuse(accepts: int, flips: float, problems: int) -> Reuse:
    """At most this, after so many accepts on one set of `problems`, of which the share `flips` flips in a round."""
    unit, place = math.sqrt(flips / problems), min(accepts, len(LUCK) - 1)
    return Reuse(LUCK[place] * unit, MOST_LUCK[place] * unit)
