"""The outcome of a comparison as sections of a report: sentences, and tables of strings.

The sealed problems come first; what an arm gained beyond the placebo, what became of diversity and what it cost stand
below. Cells are escaped where they are written out (`report`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from selfimprove import formatting
from selfimprove.compare.margin import Margin
from selfimprove.compare.outcome import ENTROPY_TOKENS, ArmOutcome, Outcome, RunOutcome
from selfimprove.compare.pooling import Pooled
from selfimprove.escaping import escape_markdown
from selfimprove.formatting import MISSING
from selfimprove.report import CELL_LIMIT, section_markdown
from selfimprove.report.section import Section

ARM = frozenset({"arm"})


def sections(outcome: Outcome) -> list[Section]:
    """The tables in reading order; those with nothing to say are left out."""
    found = [
        _sealed(outcome),
        _gains(outcome),
        _between(outcome),
        _beside(outcome),
        _signal(outcome),
        _margins(outcome),
        _costs(outcome),
        _times(outcome),
        _failures(outcome),
    ]
    return [section for section in found if section.rows or section.sentences]


def markdown(outcome: Outcome) -> str:
    """The tables as Markdown."""
    parts = [part for section in sections(outcome) for part in section_markdown(section)]
    return "\n\n".join([f"# Comparison {escape_markdown(outcome.name, CELL_LIMIT)}", *parts]) + "\n"


def _sealed(outcome: Outcome) -> Section:
    header = ("arm", "seeds", "base", "champion", "95% interval", "gain", "95% interval")
    rows = tuple(_sealed_cells(arm, outcome.seeds) for arm in outcome.arms)
    asked = f"{formatting.plural(outcome.rounds, 'round')}, {formatting.plural(outcome.seeds, 'seed')}"
    told = [f"{asked}; budget per round: {outcome.budget or 'as in each recipe'}."]
    told.append(f"{outcome.sealed:,} sealed problems, the same for all. Gains in points; intervals are over problems")
    told[-1] += " and seeds." if outcome.seeds > 1 else "."
    if outcome.judged_otherwise:
        keys = ", ".join(outcome.judged_otherwise)
        told.append(f"Arms differ in {keys}: they are judged differently, so their base models differ in accuracy too.")
    return Section("Sealed problems", tuple(told), header, rows, ARM)


def _sealed_cells(arm: ArmOutcome, seeds: int) -> tuple[str, ...]:
    return (
        arm.name,
        f"{len(arm.runs)}/{seeds}",
        formatting.percent(arm.base.mean if arm.base else None),
        formatting.percent(arm.champion.mean if arm.champion else None),
        _range(arm.champion, formatting.percent_range),
        *_gain_cells(arm.gain),
    )


def _gains(outcome: Outcome) -> Section:
    """What the sealed gains are made of: answers that became readable, or right."""
    header = ("arm", "became readable", "became right", "became unreadable", "became wrong", "gain")
    rows = tuple(
        (arm.name, *formatting.split_cells(arm.split), formatting.points(arm.gain.mean))
        for arm in outcome.arms
        if arm.gain
    )
    told = (
        "In points, means over seeds. An answer that isn't right is unreadable if the checker can't read it or runs "
        "out of time on it, or if it was cut off at the token limit; otherwise, it is wrong."
    )
    return Section("What the gains are made of", (told,) if rows else (), header, rows, ARM)


def _between(outcome: Outcome) -> Section:
    """What tells arms apart: the spread over seeds, and the champions against those of the first arm."""
    first = outcome.arms[0].name
    header = ("arm", "smallest gain of a seed", "largest", f"over {first}", "95% interval")
    rows = tuple(_between_cells(arm) for arm in outcome.arms if arm.gain)
    told = (f"Champions compared with those of {first}, paired by problem and seed, in points.",)
    return Section("Between seeds and arms", told, header, rows, ARM) if len(rows) > 1 else Section("")


def _between_cells(arm: ArmOutcome) -> tuple[str, ...]:
    least, greatest = arm.gain.spread if arm.gain and len(arm.runs) > 1 else (None, None)
    return arm.name, formatting.points(least), formatting.points(greatest), *_gain_cells(arm.over_first)


def _gain_cells(gain: Pooled | None) -> tuple[str, str]:
    return formatting.points(gain.mean if gain else None), _range(gain, formatting.points_range)


def _range(pooled: Pooled | None, told: Callable[[tuple[float | None, float | None]], str]) -> str:
    return told(pooled.interval) if pooled else MISSING


def _beside(outcome: Outcome) -> Section:
    """The sealed problems under another decoding, where the runs judged that as well."""
    header = ("arm", "temperature", "samples", "base", "champion", "gain", "95% interval", "over seeds")
    rows = [_beside_cells(arm) for arm in outcome.arms if any(run.beside for run in arm.runs)]
    told = ("The interval is that of a single run; with several seeds, the smallest and the largest gain are shown.",)
    return Section("Sealed problems, drawn answers", told if rows else (), header, tuple(rows), ARM)


def _beside_cells(arm: ArmOutcome) -> tuple[str, ...]:
    found = [run.beside for run in arm.runs if run.beside]
    gains = [look.gain for look in found]
    return (
        arm.name,
        formatting.decimal(found[0].temperature),
        formatting.count(found[0].samples),
        formatting.percent(_mean([look.base_accuracy for look in found])),
        formatting.percent(_mean([look.champion_accuracy for look in found])),
        formatting.points(_mean(gains)),
        formatting.points_range(found[0].gain_interval) if len(found) == 1 else MISSING,
        formatting.points_range((min(gains), max(gains))) if len(gains) > 1 else MISSING,
    )


def _signal(outcome: Outcome) -> Section:
    header = ("arm", "accepted", "over placebo", "in rounds", "pass@k", "entropy of samples", "entropy of answers")
    rows = tuple(_signal_cells(arm, outcome.rounds) for arm in outcome.arms if arm.runs)
    told = (
        "The gain over the placebo is on held-out problems, in points: the mean and the range of all rounds. pass@k is "
        "that of base and champion, from all answers to a sealed problem. Prefix entropy, in nats, is that of the "
        f"samples in the first and the last round, and of the first {ENTROPY_TOKENS} tokens of base's and champion's "
        "answers to sealed problems.",
    )
    return Section("Signal and diversity", told if rows else (), header, rows, ARM)


def _signal_cells(arm: ArmOutcome, rounds: int) -> tuple[str, ...]:
    gains = [gain for run in arm.runs for gain in run.placebo]
    return (
        arm.name,
        f"{sum(run.accepted for run in arm.runs)}/{rounds * len(arm.runs)}",
        formatting.points(_mean(gains)),
        formatting.points_range((min(gains), max(gains))) if gains else MISSING,
        _passes(arm.runs),
        _arrow(arm.runs, "first_samples", "last_samples"),
        _arrow(arm.runs, "base_entropy", "champion_entropy"),
    )


def _margins(outcome: Outcome) -> Section:
    """What the arms' champions make of the base's own answers, for the runs that were scored."""
    header = ("arm", "seed", "right", "wrong", "change of right", "change of wrong", "margin", "95% interval")
    rows = tuple(
        (arm.name, str(run.seed), *_margin_cells(run.margin)) for arm in outcome.arms for run in arm.runs if run.margin
    )
    told = (
        "The base's right and wrong answers to held-out problems, scored under base and champion: changes of the mean "
        "log-likelihood of a token, in thousandths of a nat. The margin is the change of right answers minus that of "
        "wrong ones. It affects no decision.",
    )
    return Section("Margins", told if rows else (), header, rows, ARM)


def _margin_cells(found: Margin) -> tuple[str, ...]:
    changes = (found.change_right, found.change_wrong, found.margin)
    ends = " to ".join(map(_thousandths, found.interval)) if found.interval else MISSING
    return formatting.count(found.right), formatting.count(found.wrong), *map(_thousandths, changes), ends


def _thousandths(nats: float) -> str:
    return f"{1000 * nats:+.1f}".replace("-", "−")


def _passes(runs: Sequence[RunOutcome]) -> str:
    """`k = 4: 40.0% → 52.0%`; a dash for one answer a problem, where it is the accuracy."""
    k = runs[0].diversity.k
    before, after = (fmean(getattr(run.diversity, f"{who}_pass") for run in runs) for who in ("base", "champion"))
    return f"k = {k}: {formatting.percent(before)} → {formatting.percent(after)}" if k > 1 else MISSING


def _arrow(runs: Sequence[RunOutcome], before: str, after: str) -> str:
    told = [formatting.decimal(_mean([getattr(run.diversity, name) for run in runs])) for name in (before, after)]
    return " → ".join(told)


def _costs(outcome: Outcome) -> Section:
    header = ("arm", "rows", "sampled", "targets", "training prompts", "total", "total per point")
    rows = tuple(_cost_cells(arm) for arm in outcome.arms if arm.cost)
    told = "Means per run: rows trained on; tokens sampled, trained on and in total; total per point of sealed gain."
    return Section("Cost", (told,) if rows else (), header, rows, ARM)


def _cost_cells(arm: ArmOutcome) -> tuple[str, ...]:
    cost = arm.cost
    assert cost, "asked for only where there is one"
    counts = (cost.rows, cost.sampled, cost.targets, cost.prompts, cost.spent, arm.price)
    return arm.name, *map(formatting.count, counts)


def _times(outcome: Outcome) -> Section:
    header = ("arm", "problems per round", "without judging", "with judging", "tokens judged")
    rows = tuple(_time_cells(arm) for arm in outcome.arms if arm.cost)
    told = "Means per run. Tokens judged are those of the answers that were judged."
    return Section("Time", (told,) if rows else (), header, rows, ARM)


def _time_cells(arm: ArmOutcome) -> tuple[str, ...]:
    cost = arm.cost
    assert cost, "asked for only where there is one"
    times = formatting.duration(cost.seconds), formatting.duration(cost.all_seconds)
    return arm.name, formatting.count(arm.problems), *times, formatting.count(cost.judged)


def _failures(outcome: Outcome) -> Section:
    rows = tuple(pair for arm in outcome.arms for pair in arm.failed.items())
    return Section("Failed", (), ("run", "why"), rows, frozenset({"run", "why"}))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
