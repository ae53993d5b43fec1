"""Guards: sets beside the held-out one on which an accepted challenger may not have fallen. Outcomes in, decision out.

Every challenger that the gate accepts is judged on the problems of each guard, against the champion, in the gate's
batches. With d the challenger's score on a problem minus the champion's, its *drop* is minus the mean of d. It is
*harmful* if its drop is above the guard's `max_drop`, else *harmless*. There are two rules:

- **no proof of harm**: the challenger is rejected once a drop above `max_drop` is shown: "harmless" is refuted.
- **proof of no harm**: it is accepted only if a drop of `max_drop` or more is ruled out: "harmful" is refuted. It is
  rejected before all is judged where harm is shown (95%, at all looks at once); that costs power and never error.

**Evidence** is the gate's with the null moved from 0 to -`max_drop`: (1-s)·M + s·F, M a mixture of bets against it
(`gate/evidence.py`), F a bet that aims at the last problem (`gate/aimed.py`), on d shifted and scaled into [-1, 1].
McNemar's exact test is one of "no difference", so it has the place of F where `max_drop` is 0; of another difference
there is none, since how likely so many losses are depends on the flip rate. The largest evidence of all looks counts,
which Ville's inequality allows.

**All guards together.** A drop that is spread over several sets may be shown on none of them. So where two or more
guards with *no proof of harm* have each let a challenger pass, the same bets are placed on all their problems as on one
set, each d shifted by its own guard's `max_drop`: "harmless on all of them" says that none of these has a mean above 0
given what was seen before, whatever guard it is of. This test is one guard more in the budget below.

**The error budget.** Call a round whose challenger the gate accepted a *judgement*. The j-th judgement has the j-th
share of `gate.guard_alpha`, and the share of a refuted null is carried on, all as in `gate/budget.py`, whose proof
holds for each of these two nulls:

- of the guards with *no proof of harm*: "the challenger is harmless on all of them". G such tests share α_j in equal
  parts, the one of all guards together among them. So the chance that a harmless challenger is rejected by any of them
  is at most α_j in the judgement, and `gate.guard_alpha` in the run, whatever the number of guards and rounds. Harm
  that was shown carries α_j on.
- of the guards with *proof of no harm*: "the challenger is harmful on one of them or more". It passes them all only if
  that guard's test errs too, so each of them has all of α_j, and the chance that a harmful challenger ever passes them
  all is at most `gate.guard_alpha` in the run. Judgements in which all of them passed carry α_j on.

How often *proof of no harm* rejects harmless challengers is a question of power: `size_for_proof` says how many
problems it takes, and `selfimprove plan` prints it. As for the gate, each test must be valid given the past. That is
why no guard's problem is held out (`problem/guarded.py`): a challenger that was chosen by its answers to the held-out
problems was not chosen by those to the guards'. Drops are measured from the champion, so those of several accepted
rounds add up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from selfimprove.formatting import points, points_worth
from selfimprove.gate.aimed import NORMAL, Aim
from selfimprove.gate.budget import alpha_of_round
from selfimprove.gate.decision import Decision, counted_as_right, number_told, unread_told
from selfimprove.gate.editions import NOW, Edition
from selfimprove.gate.evidence import Tally, evidence, evidence_against, gain_lower, rules_out
from selfimprove.gate.gains import Pair
from selfimprove.gate.intervals import FLIP_RATES, POWER
from selfimprove.recipe import Gate, Guard, Recipe


class Ruling(StrEnum):
    """What a guard found of a challenger; `reason` of a `GuardDecision`."""

    OPEN = ""
    """Not decided: judging goes on."""
    HARM_SHOWN = "harm shown"
    """Rejected, by either rule."""
    NO_HARM_SHOWN = "no harm shown"
    """Passed: all is judged, and harm isn't shown."""
    HARM_RULED_OUT = "harm ruled out"
    """Passed: all is judged, and harm was ruled out."""
    HARM_NOT_RULED_OUT = "harm not ruled out"
    """Rejected by the rule *proof of no harm*: all is judged, and it isn't."""


TOGETHER = "all guards"
"""Name of the test of all guards with *no proof of harm* together; with a space, which no guard's own has."""

_PASSED = (Ruling.NO_HARM_SHOWN, Ruling.HARM_RULED_OUT)


@dataclass(frozen=True, kw_only=True)
class GuardDecision:
    """Whether the challenger passed a guard, in numbers and words, as it goes into `round.json`."""

    passed: bool
    reason: str
    """The value of a `Ruling`."""
    judged: int
    wins: int
    losses: int
    evidence: float
    """The largest e-value of all looks, against the null that the rule asks to be refuted; finite."""
    threshold: float
    """1/α of the guard in this round."""
    gain: float
    gain_lower: float
    """Lower end of a 95% confidence sequence: a larger drop is ruled out."""
    robust: bool
    """Whether it is the same with all unclear verdicts counted for or against the challenger."""
    told: str
    """The decision in words, without the guard's name and without an end."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was judged up to a look: the bet that aims at the last problem, and the largest evidence so far."""

    tally: Tally
    aim: Aim
    evidence: float = 0.0

    def plus(self, pairs: Sequence[Pair], guard: Guard) -> Seen:
        """With these further pairs, in judging order, before the look after them."""
        fresh = [pair.challenger - pair.champion for pair in pairs]
        tally, aim = self.tally.plus(Tally.of(fresh).counts), self.aim.after(shifted(each, guard) for each in fresh)
        return replace(self, tally=tally, aim=aim)


def alphas_of_guards(
    recipe: Recipe, harm_shown: Sequence[bool], all_passed: Sequence[bool], edition: Edition = NOW
) -> dict[str, float]:
    """The error that each guard may spend in the next judgement, by its name, and all of them `TOGETHER`.

    Of each earlier judgement, `harm_shown` says whether a guard with *no proof of harm* rejected the challenger, and
    `all_passed` whether all those with *proof of no harm* let it pass.
    """
    budget = recipe.gate.model_copy(update={"alpha": recipe.gate.guard_alpha})
    harmless, harmful = alpha_of_round(budget, harm_shown), alpha_of_round(budget, all_passed)
    shared = sum(not guard.proves for guard in recipe.guards)
    together = {TOGETHER: harmless / (shared + 1)} if edition.pools and shared > 1 else {}
    each = together.get(TOGETHER, harmless / max(1, shared))
    return {guard.name: harmful if guard.proves else each for guard in recipe.guards} | together


def evidence_of_guard(
    tally: Tally, total: int, wealth: float, guard: Guard, alpha: float, *, greedy: bool, edition: Edition = NOW
) -> float:
    """The e-value at a look against the null that the guard's rule asks to be refuted; ever 1/`alpha` as in `evidence`.

    `wealth` is that of the bet on what was judged (`shifted`) that aims at the last problem of `total`.
    """
    if guard.max_drop == 0 and greedy:
        return evidence(tally.exchanged(), total, alpha, greedy=True, edition=edition)
    told, drop = (tally.exchanged(), guard.max_drop) if guard.proves else (tally, -guard.max_drop)
    share = edition.last_look
    return (1 - share) * evidence_against(told, drop, greedy=greedy) + share * wealth


def shifted(difference: float, guard: Guard) -> float:
    """The difference as a bet in [-1, 1] whose mean is at most 0 under the guard's null."""
    above = (difference + guard.max_drop) / (1 + guard.max_drop)
    return above if guard.proves else -above


def decide_guard(
    pairs: Sequence[Pair], total: int, guard: Guard, settings: Gate, alpha: float, edition: Edition = NOW
) -> GuardDecision | None:
    """The guard's decision on the pairs judged so far, or None: go on judging. More pairs never change a decision.

    `pairs` are in judging order, of the guard's `total` problems. Raises `ValueError` for more pairs than `total`.
    """
    if total < 1 or len(pairs) > total:
        raise ValueError(f"{len(pairs)} pairs of {total} problems of guard {guard.name}")
    seen, ruling = _replay(pairs, total, guard, settings, alpha, edition)
    if not ruling:
        return None
    tally, passed = seen.tally, ruling in _PASSED
    turning = [
        unread_told(unread, side)
        for side, unread, counted in counted_as_right(pairs[: int(tally.judged)])
        if not _same(passed, _replay(counted, total, guard, settings, alpha, edition)[1])
    ]
    lower = gain_lower(tally, greedy=settings.samples == 1)
    return GuardDecision(
        passed=passed,
        reason=ruling.value,
        judged=int(tally.judged),
        wins=int(tally.wins),
        losses=int(tally.losses),
        evidence=seen.evidence,
        threshold=1 / alpha,
        gain=tally.gain,
        gain_lower=lower,
        robust=not turning,
        told="; ".join([_told(ruling, seen, total, guard, alpha), *_bound(ruling, lower), *turning]),
    )


def look_at_guard(
    pairs: Sequence[Pair], total: int, guard: Guard, settings: Gate, alpha: float, edition: Edition = NOW
) -> Seen:
    """What was judged at the last look that these pairs allow, at none nothing; arguments as in `decide_guard`."""
    return _replay(pairs, total, guard, settings, alpha, edition)[0]


def decided_with_guards(decision: Decision, guards: Mapping[str, GuardDecision]) -> Decision:
    """An accepted decision after the guards that were judged: rejected by the name of the one that didn't pass."""
    for name, found in guards.items():
        if not found.passed:
            who, reason = ("all guards together",) * 2 if name == TOGETHER else (f"the guard {name}", f"guard {name}")
            sentence = f"Rejected by {who}: {found.told}."
            return replace(decision, accepted=False, reason=reason, sentence=sentence, robust=found.robust)
    changes = ", ".join(f"{name} {points(found.gain)} points" for name, found in guards.items() if name != TOGETHER)
    robust = decision.robust and all(found.robust for found in guards.values())
    return replace(decision, sentence=f"{decision.sentence} Guards passed: {changes}.", robust=robust)


def _replay(
    pairs: Sequence[Pair], total: int, guard: Guard, settings: Gate, alpha: float, edition: Edition
) -> tuple[Seen, Ruling]:
    """What was judged at the first look that decides, and what it decides."""
    seen = Seen(tally=Tally(()), aim=Aim(total=total, target=1 / (edition.last_look * alpha)))
    start, greedy = 0, settings.samples == 1
    for judged in [*range(settings.batch, total, settings.batch), total]:
        if judged > len(pairs):
            break
        seen, start = seen.plus(pairs[start:judged], guard), judged
        wealth = seen.aim.wealth
        found = evidence_of_guard(seen.tally, total, wealth, guard, alpha, greedy=greedy, edition=edition)
        seen = replace(seen, evidence=max(seen.evidence, found))
        if ruling := _ruling(seen, guard, alpha, last=judged == total, greedy=greedy):
            return seen, ruling
    return seen, Ruling.OPEN


def _same(passed: bool, ruling: Ruling) -> bool:
    return ruling is not Ruling.OPEN and (ruling in _PASSED) == passed


def _ruling(seen: Seen, guard: Guard, alpha: float, *, last: bool, greedy: bool) -> Ruling:
    refuted = seen.evidence >= 1 / alpha
    if not guard.proves:
        return Ruling.HARM_SHOWN if refuted else Ruling.NO_HARM_SHOWN if last else Ruling.OPEN
    if not refuted and rules_out(seen.tally, -guard.max_drop, greedy=greedy):
        return Ruling.HARM_SHOWN
    return (Ruling.HARM_RULED_OUT if refuted else Ruling.HARM_NOT_RULED_OUT) if last else Ruling.OPEN


def _told(ruling: Ruling, seen: Seen, total: int, guard: Guard, alpha: float) -> str:
    tally, least = seen.tally, points_worth(guard.max_drop)
    why = {
        Ruling.HARM_SHOWN: f"a drop of more than {least} is shown",
        Ruling.NO_HARM_SHOWN: f"no drop of more than {least} is shown",
        Ruling.HARM_RULED_OUT: f"a drop of {least} or more is ruled out",
        Ruling.HARM_NOT_RULED_OUT: f"a drop of {least} or more is not ruled out",
    }[ruling]
    of_total = "" if tally.judged == total else f" of {total:,}"
    return (
        f"{why}; {int(tally.wins)} won, {int(tally.losses)} lost in {int(tally.judged):,}{of_total} problems, "
        f"{points(tally.gain)} points; evidence {number_told(seen.evidence)}, needs {number_told(1 / alpha)}"
    )


def _bound(ruling: Ruling, lower: float) -> list[str]:
    return [f"a drop above {-100 * lower:.1f} points is ruled out"] if ruling in _PASSED and lower < 0 else []


# --- power, before anything is judged ---

OF_BETTING = 1.1
"""Problems that the bets take for each one of a test that knew the flip rate (docs/gate.md, simulated)."""


def size_for_proof(guard: Guard, alpha: float, flips: float) -> int:
    """About the problems with which a challenger without a drop passes *proof of no harm* at 80% power.

    By the normal approximation of a test at level s·`alpha`; docs/gate.md compares it with what is seen.
    """
    return math.ceil(OF_BETTING * flips * (_deviations(alpha) / guard.max_drop) ** 2)


def drop_shown(guard: Guard, alpha: float, flips: float) -> float | None:
    """About the smallest drop that *no proof of harm* detects at 80% power; None if the flip rate is smaller."""
    drop = guard.max_drop + _deviations(alpha) * math.sqrt(OF_BETTING * flips / guard.size)
    return drop if drop <= flips else None


def guard_lines(recipe: Recipe) -> list[str]:
    """What each guard can tell in the first round whose challenger passes the gate, a line each."""
    alphas = alphas_of_guards(recipe, (), ())
    return [_line(guard, alphas[guard.name]) for guard in recipe.guards]


def _line(guard: Guard, alpha: float) -> str:
    name = f"guard {guard.name}, {guard.size:,} problems"
    most = points_worth(guard.max_drop)
    if guard.proves:
        sizes = [f"{size_for_proof(guard, alpha, flips):,} at {flips:.0%} flips" for flips in FLIP_RATES]
        needed = f"for a challenger without a drop to pass at {POWER:.0%} power: {', '.join(sizes)}"
        return f"{name}: a drop of {most} or more must be ruled out; problems needed {needed}"
    drops = [(flips, drop_shown(guard, alpha, flips)) for flips in FLIP_RATES]
    seen = [f"{100 * drop:.1f} at {flips:.0%} flips" if drop else f"none at {flips:.0%} flips" for flips, drop in drops]
    detected = f"detectable at {POWER:.0%} power, in points: {', '.join(seen)}"
    return f"{name}: a drop of more than {most} must not be shown; {detected}"


def _deviations(alpha: float) -> float:
    """Standard errors between the null and what is detected at 80% power."""
    return -NORMAL.inv_cdf(NOW.last_look * alpha) + NORMAL.inv_cdf(POWER)
