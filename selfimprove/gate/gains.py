"""What a gain is made of: paired outcomes in, the gain split by what the answers were before and after.

A model that learned to finish and to state its answer gains accuracy without reasoning any better. So an answer that is
not right is one of two things: *unreadable* (the checker found no answer or ran out of time, or the answer was cut at
the token limit) or *wrong*. Each problem on which the two models differ moves the gain by one of four ways:

| before | after | |
| --- | --- | --- |
| unreadable | right | became readable |
| wrong | right | became right |
| right | unreadable | became unreadable |
| right | wrong | became wrong |

The first two minus the last two are the gain, exactly.

**Several answers to a problem.** Sides are then shares of the answers, and which of them became which can't be told
from samples. Of a problem whose share of right answers rose by d, as much of d as the share of unreadable answers fell
by became readable, and the rest became right; of a fall, likewise. So a problem counts on one side only, as it does
among the flips, samples that merely change places count for nothing, and with one answer it is the table above.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DIGITS = 12
"""Digits after the point of a part: what is beyond comes from adding thirds as floats."""


@dataclass(frozen=True)
class Pair:
    """Outcome of one problem for champion and challenger: shares of correct samples, or mean scores, in [0, 1].

    They are 0 or 1 for one answer without a score. `…_unclear`: a verdict of that side was neither right nor wrong, and
    counts as wrong in the share.
    `…_unreadable`: the share of that side's samples that aren't correct and are unclear or cut at the token limit.
    """

    champion: float
    challenger: float
    champion_unclear: bool = False
    challenger_unclear: bool = False
    champion_unreadable: float = 0.0
    challenger_unreadable: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Split:
    """A gain by its causes, each a share of the problems in [0, 1] as the gain itself."""

    became_readable: float
    became_right: float
    became_unreadable: float
    became_wrong: float


def split_of(pairs: Sequence[Pair]) -> Split:
    """The gain of the challenger over the champion on these problems, split; zeros where there are none."""
    size = max(1, len(pairs))
    won = [_parts(pair.challenger - pair.champion, _fallen(pair)) for pair in pairs]
    lost = [_parts(pair.champion - pair.challenger, -_fallen(pair)) for pair in pairs]
    return Split(
        became_readable=_mean((readable for readable, _ in won), size),
        became_right=_mean((right for _, right in won), size),
        became_unreadable=_mean((unreadable for unreadable, _ in lost), size),
        became_wrong=_mean((wrong for _, wrong in lost), size),
    )


def _fallen(pair: Pair) -> float:
    """By how much the share of unreadable answers fell."""
    return pair.champion_unreadable - pair.challenger_unreadable


def _parts(risen: float, fallen: float) -> tuple[float, float]:
    """A rise of the share of right answers: as much of it as the unreadable ones fell by, and the rest."""
    readable = min(max(0.0, risen), max(0.0, fallen))
    return readable, max(0.0, risen) - readable


def _mean(parts: Iterable[float], size: int) -> float:
    return round(math.fsum(parts) / size, DIGITS)
