"""The gate: whether a challenger replaces the champion. Paired outcomes in, a decision in numbers and words out.

Both models answer the same held-out problems in the same seeded order, in batches; after each batch the evidence is
looked at (`gate/evidence.py` derives it). `decide` is a pure replay of all looks: given the pairs judged so far it
finds the first look that decides, so a decision stays what it was when more pairs follow, and a run that was killed in
the middle of judging decides what an unbroken one decides. At each look, in this order:

- **evidence**: the e-value has reached 1/α of the round: accepted.
- **futile**: a gain of `worthwhile` is ruled out (95 %, at all looks at once), or out of reach: if the rest went as
  well as one future in a hundred does, judged from the pairs seen, the evidence would still fall short or the gain
  stay below `worthwhile`. Rejected. Futility can only turn acceptance into rejection, so it costs power, never error.
- **undecided**: all problems are judged and the evidence falls short: rejected.

**The error budget.** Round k may err with chance α_k = α/k - α/(k+1) = α/(k(k+1)). The sum over K rounds is α -
α/(K+1): for any number of rounds, the chance that some challenger that is no better gets accepted stays below α. The
rounds may share one held-out set, since Bonferroni's sum needs no independence. What a round's training learns of
that set is one bit, accepted or not (Blum and Hardt 2015, "The Ladder", bound the same leak). While nothing was
accepted the bits are all the same and the sum is a proof. After an accepted round the champion was picked on this
very set; its luck there makes the next test harder rather than easier, which is no proof for every case: docs/gate.md
simulates it, and fresh problems each round restore the proof.

**Checker-dependent.** A verdict other than right or wrong (`unparsed`, `timed_out`, `error`) counts as wrong. The
decision is taken again with all of those counted as right on the challenger's side only, and again on the champion's
side only: unless both agree with it, it depends on the checker and not on the models.

**Guards** check more than accuracy: an accepted challenger whose pass@k fell or whose answers are cut more often is
rejected by the guard's name. Prefix entropy only raises an alarm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from selfimprove.gate.evidence import Tally, evidence, gain_lower, gain_upper, rules_out
from selfimprove.gate.intervals import Power, pass_at_k, power_lines, tango, wilson
from selfimprove.recipe import Gate

__all__ = [
    "Decision",
    "Look",
    "Pair",
    "Power",
    "Vitals",
    "alpha_of_round",
    "decide",
    "entropy_alarm",
    "guarded",
    "interval_of_gain",
    "interval_of_rate",
    "pass_at_k",
    "power_lines",
    "sentence_of_gain",
    "standing_at",
]

HOPE = 2.33
"""Standard errors above the observed gain that the unjudged problems are granted: one future in a hundred is better."""


class Standing(StrEnum):
    """How a look at the evidence stands, by the sequential rule unless said otherwise; `reason` of a `Decision`."""

    OPEN = ""
    """Not decided: judging goes on."""
    EVIDENCE = "evidence"
    """Accepted: the e-value has reached 1/α of the round."""
    FUTILE = "futile"
    """Rejected: a gain of `worthwhile` is ruled out or out of reach."""
    UNDECIDED = "undecided"
    """Rejected: all problems are judged and the evidence falls short."""
    POINT = "point"
    """The naive rule, once all problems are judged: accepted unless accuracy fell."""
    NONE = "none"
    """No rule: accepted once all problems are judged."""


@dataclass(frozen=True)
class Pair:
    """Outcome of one problem for champion and challenger: shares of correct samples, or mean scores, in [0, 1].

    They are 0 or 1 for one answer without a score. `…_unclear`: a verdict of that side was neither right nor wrong, and
    counts as wrong in the share.
    """

    champion: float
    challenger: float
    champion_unclear: bool = False
    challenger_unclear: bool = False


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at the evidence, as it goes into `round.json`."""

    judged: int
    wins: int
    losses: int
    evidence: float
    """The e-value, clipped so that it is finite."""
    threshold: float
    """1/α of the round."""
    gain: float
    """Observed gain in accuracy on the judged problems."""
    gain_upper: float
    """Upper end of a 95 % confidence sequence: gains above this are ruled out, at all looks at once."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Accepted or not, with its reason in numbers (`looks`) and words (`sentence`)."""

    accepted: bool
    reason: str
    """The value of a `Standing`, or the name of the guard that fired."""
    looks: tuple[Look, ...]
    sentence: str
    robust: bool
    """Whether the decision is the same with all unclear verdicts counted for or against the challenger."""


@dataclass(frozen=True)
class Vitals:
    """What the guards check of one model: shares in [0, 1], prefix entropy in nats."""

    pass_at_k: float
    truncated: float
    entropy: float


def alpha_of_round(alpha: float, number: int) -> float:
    """The error that round `number` (from 1) may spend: α/(k(k+1)); over any number of rounds the sum is below α."""
    if number < 1:
        raise ValueError(f"rounds are numbered from 1, not {number}")
    return alpha / (number * (number + 1))


def decide(pairs: Sequence[Pair], total: int, settings: Gate, alpha: float) -> Decision | None:
    """The decision on the pairs judged so far, or None: go on judging. More pairs never change a decision.

    `pairs` are in judging order, of `total` held-out problems; those beyond the last whole batch wait for its rest.
    `alpha` is that of the round. Raises `ValueError` for more pairs than `total`.
    """
    if total < 1 or len(pairs) > total:
        raise ValueError(f"{len(pairs)} pairs of {total} held-out problems")
    tallies, standing = _replay(pairs, total, settings, alpha)
    if not standing:
        return None
    accepted = _accepts(standing, tallies[-1])
    looks = tuple(_look(tally, total, settings, alpha) for tally in tallies)
    judged = pairs[: looks[-1].judged]
    for_challenger = [replace(pair, challenger=1.0) if pair.challenger_unclear else pair for pair in judged]
    for_champion = [replace(pair, champion=1.0) if pair.champion_unclear else pair for pair in judged]
    robust = all(_same(accepted, counted, total, settings, alpha) for counted in (for_challenger, for_champion))
    return Decision(
        accepted=accepted,
        reason=standing.value,
        looks=looks,
        sentence=_sentence(accepted, standing, looks[-1], total, robust),
        robust=robust,
    )


def look_at(pairs: Sequence[Pair], total: int, settings: Gate, alpha: float) -> Look:
    """The figures of a look at all these pairs, decided or not; `alpha` is the round's."""
    return _look(_tally(pairs), total, settings, alpha)


def standing_at(tally: Tally, total: int, settings: Gate, alpha: float) -> Standing:
    """How a look at the first `tally.judged` of `total` problems stands. `alpha` is the round's."""
    last = tally.judged >= total
    if settings.rule != "sequential":
        return Standing(settings.rule) if last else Standing.OPEN
    greedy = settings.samples == 1
    if _passes(tally, alpha, last=last, greedy=greedy):
        return Standing.EVIDENCE
    if rules_out(tally, settings.worthwhile, greedy=greedy):
        return Standing.FUTILE
    if last:
        return Standing.UNDECIDED
    return Standing.FUTILE if _out_of_reach(tally, total, settings, alpha) else Standing.OPEN


def guarded(decision: Decision, champion: Vitals, challenger: Vitals, settings: Gate) -> Decision:
    """The decision after the guards: an accepted challenger that trips one is rejected with its name as the reason.

    With the rule `none` there are no guards.
    """
    fired = _fired(champion, challenger, settings)
    if not decision.accepted or fired is None or settings.rule == "none":
        return decision
    name, why = fired
    return replace(decision, accepted=False, reason=name, sentence=f"Rejected by the {name} guard: {why}.")


def entropy_alarm(champion: Vitals, challenger: Vitals, settings: Gate) -> str:
    """A warning in one sentence when the prefix entropy has fallen too far; else empty."""
    if challenger.entropy >= settings.min_entropy * champion.entropy:
        return ""
    return (
        f"Prefix entropy fell from {champion.entropy:.2f} to {challenger.entropy:.2f} nats, "
        f"below {settings.min_entropy:.0%} of the champion's: diversity is being eaten."
    )


def interval_of_gain(pairs: Sequence[Pair]) -> tuple[float, float]:
    """95 % interval of the challenger's accuracy minus the champion's, for one look at a set fixed beforehand.

    Tango's score interval for greedy answers; for fractions the betting interval of `gate/evidence.py`, which is wider
    and assumes nothing but independent problems. Raises `ValueError` when there are no pairs.
    """
    tally = Tally.of(pair.challenger - pair.champion for pair in pairs)
    if tally.whole:
        return tango(int(tally.wins), int(tally.losses), len(pairs))
    return gain_lower(tally, greedy=False, alpha=0.025), gain_upper(tally, greedy=False, alpha=0.025)


def interval_of_rate(successes: int, n: int) -> tuple[float, float]:
    """95 % Wilson score interval of a rate."""
    return wilson(successes, n)


def sentence_of_gain(pairs: Sequence[Pair], over: str) -> str:
    """The gain over `over` (“base”, “champion”, “placebo”) with its interval, in one sentence that names the method."""
    tally = Tally.of(pair.challenger - pair.champion for pair in pairs)
    low, high = interval_of_gain(pairs)
    method = "Tango's score" if tally.whole else "betting"
    return (
        f"Gain over {over}: {100 * tally.gain:+.1f} points on {len(pairs):,} problems "
        f"(95 % {method} interval {100 * low:+.1f} to {100 * high:+.1f})."
    )


def _replay(pairs: Sequence[Pair], total: int, settings: Gate, alpha: float) -> tuple[list[Tally], Standing]:
    """The tallies at the looks up to the first that decides, and how the last of them stands."""
    tallies: list[Tally] = []
    tally, start = Tally(()), 0
    for judged in [*range(settings.batch, total, settings.batch), total]:
        if judged > len(pairs):
            break
        tally = tally.plus(_tally(pairs[start:judged]).counts)
        start = judged
        tallies.append(tally)
        standing = standing_at(tally, total, settings, alpha)
        if standing:
            return tallies, standing
    return tallies, Standing.OPEN


def _tally(pairs: Sequence[Pair]) -> Tally:
    return Tally.of(pair.challenger - pair.champion for pair in pairs)


def _passes(tally: Tally, alpha: float, *, last: bool, greedy: bool) -> bool:
    return evidence(tally, alpha, last=last, greedy=greedy) >= 1 / alpha


def _out_of_reach(tally: Tally, total: int, settings: Gate, alpha: float) -> bool:
    """Whether the evidence falls short, or the gain below `worthwhile`, even if the rest goes very well."""
    end = tally.plus(_optimistic_rest(tally, total))
    return end.gain < settings.worthwhile or not _passes(end, alpha, last=True, greedy=settings.samples == 1)


def _optimistic_rest(tally: Tally, total: int) -> list[tuple[float, float]]:
    """Assumed counts of differences in the problems still to judge, with a gain that one future in a hundred exceeds.

    The predictive standard deviation of the rest's mean is the square root of v·(1/judged + 1/rest), v the mean square
    of a difference; one flip is added to the data as a prior, so that no flips so far isn't taken for certainty.
    """
    judged, rest = tally.judged, total - tally.judged
    flips = tally.wins + tally.losses
    step = math.sqrt(tally.square / flips) if flips else 1.0
    spread = math.sqrt((tally.square + 1) / (judged + 1) * (1 / judged + 1 / rest))
    drift = max(-1.0, min(1.0, (tally.gain + HOPE * spread) / step))
    share = max(abs(drift), (flips + 1) / (judged + 1))
    return [(step, rest * (share + drift) / 2), (-step, rest * (share - drift) / 2), (0.0, rest * (1 - share))]


def _accepts(standing: Standing, tally: Tally) -> bool:
    return standing in (Standing.EVIDENCE, Standing.NONE) or (standing is Standing.POINT and tally.gain >= 0)


def _same(accepted: bool, pairs: Sequence[Pair], total: int, settings: Gate, alpha: float) -> bool:
    tallies, standing = _replay(pairs, total, settings, alpha)
    return bool(standing) and _accepts(standing, tallies[-1]) == accepted


def _look(tally: Tally, total: int, settings: Gate, alpha: float) -> Look:
    greedy = settings.samples == 1
    value = evidence(tally, alpha, last=tally.judged >= total, greedy=greedy)
    return Look(
        judged=int(tally.judged),
        wins=int(tally.wins),
        losses=int(tally.losses),
        evidence=value,
        threshold=1 / alpha,
        gain=tally.gain,
        gain_upper=gain_upper(tally, greedy=greedy),
    )


def _sentence(accepted: bool, standing: Standing, look: Look, total: int, robust: bool) -> str:
    word = "Accepted" if accepted else "Rejected"
    of_total = "" if look.judged == total else f" of {total:,}"
    flips = look.wins + look.losses
    parts = [f"{look.wins} won, {look.losses} lost of {flips} flips after {look.judged:,}{of_total} problems"]
    if standing in (Standing.POINT, Standing.NONE):
        rule = "by the naive rule" if standing is Standing.POINT else "without a rule"
        parts.append(f"gain {100 * look.gain:+.1f} points, {rule}")
    else:
        parts.append(f"evidence {_number(look.evidence)}, needs {_number(look.threshold)}")
    if not accepted:
        parts.append(f"a gain above {100 * look.gain_upper:.1f} points is ruled out")
    if not robust:
        parts.append("checker-dependent: unclear verdicts could turn it")
    return f"{word}: {'; '.join(parts)}."


def _number(value: float) -> str:
    if value >= 1e6:
        return f"{value:.1e}"
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _fired(champion: Vitals, challenger: Vitals, settings: Gate) -> tuple[str, str] | None:
    """Name and cause of the first guard that fires, None if none does."""
    if champion.pass_at_k - challenger.pass_at_k > settings.max_pass_drop:
        return "pass@k", (
            f"pass@k fell from {champion.pass_at_k:.1%} to {challenger.pass_at_k:.1%}, "
            f"by more than {100 * settings.max_pass_drop:g} points"
        )
    if challenger.truncated - champion.truncated > settings.max_truncation_rise:
        return "truncation", (
            f"cut answers rose from {champion.truncated:.1%} to {challenger.truncated:.1%}, "
            f"by more than {100 * settings.max_truncation_rise:g} points"
        )
    return None
