"""The gate: whether a challenger replaces the champion. Paired outcomes in, a decision in numbers and words out.

Both models answer the same held-out problems in the same seeded order, in batches; after each batch the evidence is
looked at (`gate/evidence.py` derives it). `decide` is a pure replay of all looks: given the pairs judged so far it
finds the first look that decides, so a decision stays what it was when more pairs follow, and a run that was killed in
the middle of judging decides what an unbroken one decides. At each look, in this order:

- **evidence**: the e-value has reached 1/α of the round: accepted.
- **futile**: a gain of `worthwhile` is ruled out (95%, at all looks at once), or out of reach: if the rest went as
  well as one future in a hundred does, judged from the pairs seen, the evidence would still fall short or the gain
  stay below `worthwhile`. Rejected. Futility can only turn acceptance into rejection, so it costs power, never error.
- **undecided**: all problems are judged and the evidence falls short: rejected.

**The error budget.** Round k may err with chance α_k, so that over any number of rounds the chance that some challenger
that is no better gets accepted stays at most α; what an accepted round might spend is carried on to the next
(`gate/budget.py`, with the proof and what it needs).

**Checker-dependent.** A verdict other than right or wrong (`unparsed`, `timed_out`, `error`) counts as wrong. The
decision is taken again with all of those counted as right on the challenger's side only, and again on the champion's
side only: unless both agree with it, it depends on the checker and not on the models, and its sentence names the side.

**Guards** check more than accuracy: an accepted challenger whose pass@k fell or whose answers are cut more often is
rejected by the guard's name. Prefix entropy only raises an alarm. The sets of problems that a recipe guards beside the
held-out ones are `gate/guards.py`'s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from enum import StrEnum

from selfimprove.formatting import plural, points_worth, split_told
from selfimprove.gate.aimed import Aim
from selfimprove.gate.editions import NOW, Edition
from selfimprove.gate.evidence import Tally, evidence, gain_lower, gain_upper, rules_out
from selfimprove.gate.gains import DIGITS, Pair, Split, split_of
from selfimprove.gate.intervals import LEVEL, LIKELY_FLIPS, Power, pass_at_k, power_line, power_lines, tango, wilson
from selfimprove.recipe import Gate

__all__ = [
    "LIKELY_FLIPS",
    "Decision",
    "Look",
    "Pair",
    "Power",
    "Split",
    "Vitals",
    "counted_as_right",
    "decide",
    "entropy_alarm",
    "guarded",
    "interval_of_gain",
    "interval_of_rate",
    "number_told",
    "pass_at_k",
    "power_line",
    "power_lines",
    "sentence_of_gain",
    "split_of",
    "standing_at",
    "unread_told",
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
    """Upper end of a 95% confidence sequence: gains above this are ruled out, at all looks at once."""


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


@dataclass(frozen=True)
class _Seen:
    """What was judged up to a look; `aim` is the bet on averages, None where answers are greedy or the run is old."""

    tally: Tally
    aim: Aim | None
    edition: Edition

    def plus(self, pairs: Sequence[Pair]) -> _Seen:
        """With these further pairs, in judging order."""
        aim = self.aim.after(pair.challenger - pair.champion for pair in pairs) if self.aim else None
        return _Seen(self.tally.plus(_tally(pairs).counts), aim, self.edition)


def decide(pairs: Sequence[Pair], total: int, settings: Gate, alpha: float, edition: Edition = NOW) -> Decision | None:
    """The decision on the pairs judged so far, or None: go on judging. More pairs never change a decision.

    `pairs` are in judging order, of `total` held-out problems; those beyond the last whole batch wait for its rest.
    `alpha` is that of the round, `edition` that of the run. Raises `ValueError` for more pairs than `total`.
    """
    if total < 1 or len(pairs) > total:
        raise ValueError(f"{len(pairs)} pairs of {total} held-out problems")
    start = _before(total, settings, alpha, edition)
    seen, standing = _replay(start, pairs, total, settings, alpha)
    if not standing:
        return None
    accepted = _accepts(standing, seen[-1].tally)
    looks = tuple(_look(state, total, settings, alpha) for state in seen)
    judged = pairs[: looks[-1].judged]
    turning = [
        unread_told(unread, side)
        for side, unread, counted in counted_as_right(judged)
        if not _same(accepted, start, counted, total, settings, alpha)
    ]
    outcome, why = ("Accepted", []) if accepted else _rejected(standing, seen[-1].tally, total, settings, alpha)
    parts = [
        *why,
        *_figures(standing, looks[-1], total, split_of(judged), counted=settings.samples == 1 and seen[-1].tally.whole),
        *([] if accepted else [f"a gain above {100 * looks[-1].gain_upper:.1f} points is ruled out"]),
        *turning,
    ]
    return Decision(
        accepted=accepted,
        reason=standing.value,
        looks=looks,
        sentence=f"{outcome}: {'; '.join(parts)}.",
        robust=not turning,
    )


def look_at(pairs: Sequence[Pair], total: int, settings: Gate, alpha: float, edition: Edition = NOW) -> Look:
    """The figures of a look at all these pairs, decided or not; `alpha` and `edition` as in `decide`."""
    return _look(_before(total, settings, alpha, edition).plus(pairs), total, settings, alpha)


def standing_at(
    tally: Tally, total: int, settings: Gate, alpha: float, aim: Aim | None = None, edition: Edition = NOW
) -> Standing:
    """How a look at the first `tally.judged` of `total` problems stands. `alpha` is the round's, `aim` its bet."""
    last = tally.judged >= total
    if settings.rule != "sequential":
        return Standing(settings.rule) if last else Standing.OPEN
    greedy = settings.samples == 1
    if evidence(tally, total, alpha, greedy=greedy, aimed=aim.wealth if aim else None, edition=edition) >= 1 / alpha:
        return Standing.EVIDENCE
    if rules_out(tally, settings.worthwhile, greedy=greedy):
        return Standing.FUTILE
    if last:
        return Standing.UNDECIDED
    return Standing.FUTILE if _out_of_reach(tally, total, settings, alpha, aim, edition) else Standing.OPEN


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
        f"below {settings.min_entropy:.0%} of the champion's: the samples lose diversity."
    )


def interval_of_gain(pairs: Sequence[Pair], level: float = LEVEL) -> tuple[float, float]:
    """Interval, by default of 95%, of the challenger's accuracy minus the champion's.

    For one look at a set fixed beforehand: Tango's score interval for greedy answers; for fractions the betting
    interval of `gate/evidence.py`, which is wider and assumes nothing but independent problems. Raises `ValueError`
    when there are no pairs.
    """
    tally = Tally.of(pair.challenger - pair.champion for pair in pairs)
    if tally.whole:
        return tango(int(tally.wins), int(tally.losses), len(pairs), level)
    side = round((1 - level) / 2, DIGITS)
    return gain_lower(tally, greedy=False, alpha=side), gain_upper(tally, greedy=False, alpha=side)


def interval_of_rate(successes: int, n: int) -> tuple[float, float]:
    """95% Wilson score interval of a rate."""
    return wilson(successes, n)


def sentence_of_gain(pairs: Sequence[Pair], over: str) -> str:
    """The gain over `over` (“base”, “champion”, “placebo”) in one sentence: its interval, and what it is made of."""
    tally = Tally.of(pair.challenger - pair.champion for pair in pairs)
    low, high = interval_of_gain(pairs)
    method = "Tango's 95% score interval" if tally.whole else "95% betting interval"
    return (
        f"Gain over {over}: {100 * tally.gain:+.1f} points on {len(pairs):,} problems "
        f"({method} {100 * low:+.1f} to {100 * high:+.1f}): {split_told(split_of(pairs))}."
    )


def _before(total: int, settings: Gate, alpha: float, edition: Edition) -> _Seen:
    """Nothing judged yet; averages have a bet that aims at the error that their last look has."""
    target = 1 / (edition.last_look * alpha)
    return _Seen(Tally(()), Aim(total=total, target=target) if edition.aims and settings.samples > 1 else None, edition)


def _replay(
    state: _Seen, pairs: Sequence[Pair], total: int, settings: Gate, alpha: float
) -> tuple[list[_Seen], Standing]:
    """What was judged at the looks from `state` up to the first that decides, and how the last of them stands."""
    seen: list[_Seen] = []
    start = 0
    for judged in [*range(settings.batch, total, settings.batch), total]:
        if judged > len(pairs):
            break
        state = state.plus(pairs[start:judged])
        start = judged
        seen.append(state)
        standing = standing_at(state.tally, total, settings, alpha, state.aim, state.edition)
        if standing:
            return seen, standing
    return seen, Standing.OPEN


def _tally(pairs: Sequence[Pair]) -> Tally:
    return Tally.of(pair.challenger - pair.champion for pair in pairs)


def _out_of_reach(tally: Tally, total: int, settings: Gate, alpha: float, aim: Aim | None, edition: Edition) -> bool:
    """Whether the evidence falls short, or the gain below `worthwhile`, even if the rest goes very well."""
    rest = _optimistic_rest(tally, total)
    end = tally.plus(rest)
    hoped = aim.hoped(sum(value * count for value, count in rest)) if aim else None
    if end.gain < settings.worthwhile:
        return True
    return evidence(end, total, alpha, greedy=settings.samples == 1, aimed=hoped, edition=edition) < 1 / alpha


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


def _same(accepted: bool, start: _Seen, pairs: Sequence[Pair], total: int, settings: Gate, alpha: float) -> bool:
    seen, standing = _replay(start, pairs, total, settings, alpha)
    return bool(standing) and _accepts(standing, seen[-1].tally) == accepted


def _look(seen: _Seen, total: int, settings: Gate, alpha: float) -> Look:
    tally, greedy = seen.tally, settings.samples == 1
    aimed = seen.aim.wealth if seen.aim else None
    value = evidence(tally, total, alpha, greedy=greedy, aimed=aimed, edition=seen.edition)
    return Look(
        judged=int(tally.judged),
        wins=int(tally.wins),
        losses=int(tally.losses),
        evidence=value,
        threshold=1 / alpha,
        gain=tally.gain,
        gain_upper=gain_upper(tally, greedy=greedy),
    )


def counted_as_right(pairs: Sequence[Pair]) -> list[tuple[str, int, list[Pair]]]:
    """Each side with its unclear problems: how many they are, and the pairs with all of them counted as right."""
    challenger = [replace(pair, challenger=1.0) if pair.challenger_unclear else pair for pair in pairs]
    champion = [replace(pair, champion=1.0) if pair.champion_unclear else pair for pair in pairs]
    return [
        ("challenger", sum(pair.challenger_unclear for pair in pairs), challenger),
        ("champion", sum(pair.champion_unclear for pair in pairs), champion),
    ]


def unread_told(unread: int, side: str) -> str:
    """That so many unclear problems of a side could reverse a decision."""
    problems = "1 problem" if unread == 1 else f"{unread:,} problems"
    return f"checker-dependent: the {side}'s unparsed or timed-out answers to {problems} could reverse the decision"


def _rejected(standing: Standing, tally: Tally, total: int, settings: Gate, alpha: float) -> tuple[str, list[str]]:
    """How the sentence of a rejection begins, and why judging stopped; the figures follow in the sentence."""
    worth = points_worth(settings.worthwhile)
    if standing is Standing.POINT:
        return "Rejected", ["accuracy fell"]
    if standing is Standing.UNDECIDED:
        return "Rejected as undecided", ["all problems are judged and the evidence falls short"]
    if rules_out(tally, settings.worthwhile, greedy=settings.samples == 1):
        return "Rejected as futile", [f"a gain of {worth} or more is ruled out"]
    end, others = tally.plus(_optimistic_rest(tally, total)), total - int(tally.judged)
    short, least = ("gain", worth) if end.gain < settings.worthwhile else ("evidence", number_told(1 / alpha))
    return "Rejected as futile", [f"even if the other {others:,} problems go well, the {short} stays below {least}"]


def _figures(standing: Standing, look: Look, total: int, split: Split, *, counted: bool) -> list[str]:
    """The sentence's figures: flips, what they are made of (counted, or in points), and the evidence or the gain."""
    of_total = "" if look.judged == total else f" of {total:,}"
    flips = f"{plural(look.wins + look.losses, 'flip')} in {look.judged:,}{of_total} problems"
    if counted:
        readable, right, unreadable, wrong = (round(part * look.judged) for part in astuple(split))
        won, lost = _became("readable", readable, "right", right), _became("unreadable", unreadable, "wrong", wrong)
        parts = [f"{flips}: {look.wins} won{won}, {look.losses} lost{lost}"]
    else:
        parts = [f"{flips}: {look.wins} won, {look.losses} lost", split_told(split)]
    if standing in (Standing.POINT, Standing.NONE):
        rule = "by the naive rule" if standing is Standing.POINT else "without a rule"
        return [*parts, f"gain {100 * look.gain:+.1f} points, {rule}"]
    return [*parts, f"evidence {number_told(look.evidence)}, needs {number_told(look.threshold)}"]


def _became(one: str, first: int, other: str, second: int) -> str:
    """What so many flips of one kind became, in parentheses; empty where there are none."""
    if first and second:
        return f" ({first} became {one}, {second} became {other})"
    return f" (all became {one if first else other})" if first or second else ""


def number_told(value: float) -> str:
    """An e-value or a threshold in words: whole from 10 on."""
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
            f"the share of cut answers rose from {champion.truncated:.1%} to {challenger.truncated:.1%}, "
            f"by more than {100 * settings.max_truncation_rise:g} points"
        )
    return None
