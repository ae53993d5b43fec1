"""All guards with *no proof of harm* tested together, on the problems of all of them (`gate/guards.py` says why).

The bets of a guard, placed on one line of problems: those of the first guard in judging order, then those of the next.
Each difference is shifted by its own guard's `max_drop`. Nothing is judged for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfimprove.formatting import points
from selfimprove.gate.aimed import Aim
from selfimprove.gate.decision import counted_as_right, number_told, unread_told
from selfimprove.gate.editions import NOW, Edition
from selfimprove.gate.evidence import Tally, evidence_against, gain_lower
from selfimprove.gate.gains import Pair
from selfimprove.gate.guards import GuardDecision, Ruling, shifted
from selfimprove.recipe import Gate, Guard


@dataclass(frozen=True, kw_only=True)
class Passed:
    """A guard with *no proof of harm* that let a challenger pass, with the pairs of its problems in judging order."""

    guard: Guard
    pairs: tuple[Pair, ...]


def decide_together(passed: Sequence[Passed], settings: Gate, alpha: float, edition: Edition = NOW) -> GuardDecision:
    """Whether the guards together show that the challenger is harmful on one of them or more.

    `alpha` is the error that this test may spend. Raises `ValueError` if no problems were judged.
    """
    pairs = [pair for each in passed for pair in each.pairs]
    if not pairs:
        raise ValueError("no problems of any guard were judged")
    found, tally = _evidence(passed, settings, alpha, edition), _tally(passed)
    shown = found >= 1 / alpha
    counted = zip(*(counted_as_right(each.pairs) for each in passed), strict=True)
    turning = [
        unread_told(sum(unread for _, unread, _ in side), side[0][0])
        for side in counted
        if (_evidence(_with(passed, [turned for _, _, turned in side]), settings, alpha, edition) >= 1 / alpha) != shown
    ]
    which = "is shown" if shown else "isn't shown"
    told = (
        f"harm on at least one of the {len(passed)} guards {which}; {int(tally.wins)} won, {int(tally.losses)} lost in "
        f"{len(pairs):,} problems, {points(tally.gain)} points; evidence {number_told(found)}, needs "
        f"{number_told(1 / alpha)}"
    )
    return GuardDecision(
        passed=not shown,
        reason=(Ruling.HARM_SHOWN if shown else Ruling.NO_HARM_SHOWN).value,
        judged=len(pairs),
        wins=int(tally.wins),
        losses=int(tally.losses),
        evidence=found,
        threshold=1 / alpha,
        gain=tally.gain,
        gain_lower=gain_lower(tally, greedy=settings.samples == 1),
        robust=not turning,
        told="; ".join([told, *turning]),
    )


def _evidence(passed: Sequence[Passed], settings: Gate, alpha: float, edition: Edition) -> float:
    """The largest e-value of all looks, one after each batch of a guard, against "harmless on all of them"."""
    total, share, greedy = sum(len(each.pairs) for each in passed), edition.last_look, settings.samples == 1
    tally, aim, most = Tally(()), Aim(total=total, target=1 / (share * alpha)), 0.0
    for each in passed:
        for start in range(0, len(each.pairs), settings.batch):
            batch = each.pairs[start : start + settings.batch]
            fresh = [shifted(pair.challenger - pair.champion, each.guard) for pair in batch]
            tally, aim = tally.plus(Tally.of(fresh).counts), aim.after(fresh)
            mixture = evidence_against(tally.exchanged(), 0.0, greedy=greedy)
            most = max(most, (1 - share) * mixture + share * aim.wealth)
    return most


def _tally(passed: Sequence[Passed]) -> Tally:
    return Tally.of(pair.challenger - pair.champion for each in passed for pair in each.pairs)


def _with(passed: Sequence[Passed], turned: Sequence[Sequence[Pair]]) -> list[Passed]:
    return [Passed(guard=each.guard, pairs=tuple(pairs)) for each, pairs in zip(passed, turned, strict=True)]
