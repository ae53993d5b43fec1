"""Evaluations as sections of a report: one evaluation in full, and all of a run's in a table."""

from __future__ import annotations

from collections.abc import Sequence

from selfimprove import formatting
from selfimprove.formatting import plural
from selfimprove.report.records import RunRecords
from selfimprove.report.section import Section
from selfimprove.store.evaluations import (
    EvaluatedSource,
    Evaluation,
    GainFigures,
    GroupFigures,
    SideFigures,
    TaskFigures,
)

EVALUATIONS = "Evaluations"
DECIDES_NOTHING = "An evaluation doesn't affect the run: no round was accepted or rejected because of it."


def evaluation_sections(record: Evaluation) -> list[Section]:
    """An evaluation in reading order; parts with nothing to say are left out."""
    parts = [_models(record), _gains(record), _groups(record), _tasks(record)]
    return [part for part in parts if part.rows or part.sentences]


def evaluations_section(run: RunRecords) -> Section:
    """All evaluations of a run: a row for each model of each."""
    header = ("evaluation", "problems", "n", "model", "accuracy", "95% interval", "gain over", "gain", "95% interval")
    rows = tuple(row for record in run.evaluations for row in _listed(record))
    words = frozenset({"problems", "model", "gain over"})
    return Section(EVALUATIONS, (DECIDES_NOTHING,) if rows else (), header, rows, words)


def _listed(record: Evaluation) -> list[tuple[str, ...]]:
    gains = {gain.model: gain for gain in record.gains}
    head = (record.name, ", ".join(source.name for source in record.sources), formatting.count(record.n))
    return [
        (*head, side.model, formatting.percent(side.accuracy), formatting.percent_range(side.interval), *gain_cells)
        for side in record.sides
        for gain_cells in [_gain_in_short(gains.get(side.model))]
    ]


def _gain_in_short(gain: GainFigures | None) -> tuple[str, str, str]:
    if gain is None:
        return "", "", ""
    return gain.over, formatting.points(gain.gain), formatting.points_range(gain.interval)


def _models(record: Evaluation) -> Section:
    passes = list(record.sides[0].pass_at_k) if record.sides else []
    header = ("model", "accuracy", "95% interval", *(f"pass@{k}" for k in passes), "unreadable", "cut", "tokens")
    rows = tuple(_side(side, passes) for side in record.sides)
    header = (*header, "tokens per answer")
    return Section(f"Evaluation {record.name}", tuple(_told(record)), header, rows)


def _side(side: SideFigures, passes: Sequence[str]) -> tuple[str, ...]:
    return (
        side.model,
        formatting.percent(side.accuracy),
        formatting.percent_range(side.interval),
        *(formatting.percent(side.pass_at_k.get(k)) for k in passes),
        formatting.percent(side.unreadable),
        formatting.percent(side.truncated),
        formatting.count(side.tokens),
        formatting.decimal(side.mean_tokens),
    )


def _told(record: Evaluation) -> list[str]:
    """What was asked, what was left out of it and why, and how the problems stand to the run."""
    asked = "; ".join(_source(source) for source in record.sources)
    settings = record.settings
    drawn = f"temperature {settings.get('temperature')}" if settings.get("temperature") else "greedy"
    samples = settings.get("samples")
    each = plural(samples if isinstance(samples, int) else 1, "answer")
    told = [
        f"{plural(record.n, 'problem')}: {asked}. {each.capitalize()} each, {drawn}, at most "
        f"{settings.get('max_new_tokens')} tokens.",
        DECIDES_NOTHING,
    ]
    if record.training:
        told.append(
            f"{plural(record.training, 'training problem')} of the run (or problems too similar to one) appear only in "
            "a separate row, not in any other figure."
        )
    if record.heldout:
        told.append(
            f"The figures include {plural(record.heldout, 'held-out or guard problem')} of the run. Rounds were "
            "accepted on these problems, which favours the champion."
        )
    if record.sealed:
        told.append(f"{plural(record.sealed, 'sealed problem')} are left out until the run has judged them.")
    return [*told, *record.notes]


def _source(source: EvaluatedSource) -> str:
    """A source with how many problems it gave, and how many of its rows gave none."""
    lost = {"without a usable answer": source.set_aside, "repeated": source.repeated, "faulty": source.faulty}
    left = [f"{formatting.count(number)} {why}" for why, number in lost.items() if number]
    return f"{formatting.count(source.problems)} of {source.name}" + (f" (left out: {', '.join(left)})" if left else "")


def _gains(record: Evaluation) -> Section:
    over = record.models[0].name if record.models else ""
    header = ("model", "gain", "95% interval", "won–lost", "became readable", "right", "unreadable", "wrong")
    rows = tuple(_gain(gain) for gain in record.gains)
    return Section(f"Gain over {over} on the same problems, in points" if rows else "", (), header, rows)


def _gain(gain: GainFigures) -> tuple[str, ...]:
    return (
        gain.model,
        formatting.points(gain.gain),
        formatting.points_range(gain.interval),
        f"{formatting.count(gain.wins)}–{formatting.count(gain.losses)}",
        *formatting.split_cells(gain.split),
    )


def _groups(record: Evaluation) -> Section:
    first, *others = [model.name for model in record.models]
    paired = ("first model", "model", "accuracy", "gain") if others else ("accuracy",)
    header = ("field", "value", "n", *paired, "interval")
    rows = tuple(row for group in record.groups for row in _group(group, others))
    told = (
        f"The {plural(record.intervals, 'interval')} of this table hold simultaneously with at least 95% probability "
        f"(intervals of gains: approximately), because each is a {100 * record.level:.2f}% interval (Bonferroni).",
        _beyond(record),
    )
    title = f"By field: accuracies, and gains over {first}" if others else "By field"
    return Section(title, tuple(filter(None, told)) if rows else (), header, rows, frozenset({"value", "model"}))


def _group(group: GroupFigures, others: Sequence[str]) -> list[tuple[str, ...]]:
    """A row for each model that is compared, or one for the model that is alone."""
    head = (group.field, group.value, formatting.count(group.n), formatting.percent(group.accuracies[0]))
    if group.interval is not None:
        return [(*head, formatting.percent_range(group.interval))]
    return [
        (*head, name, formatting.percent(right), formatting.points(gain.gain), formatting.points_range(gain.interval))
        for name, right, gain in zip(others, group.accuracies[1:], group.gains, strict=True)
    ]


def _beyond(record: Evaluation) -> str:
    """Which rows differ from zero although there are so many of them."""
    names = [model.name for model in record.models[1:]]
    found = [
        f"{group.field} {group.value} ({name} {formatting.points(gain.gain)})"
        for group in record.groups
        for name, gain in zip(names, group.gains, strict=True)
        if gain.interval[0] > 0 or gain.interval[1] < 0
    ]
    if not names:
        return ""
    return f"Intervals that exclude zero: {', '.join(found)}." if found else "Each interval of a gain includes zero."


def _tasks(record: Evaluation) -> Section:
    header = ("model", "task", "metric", "filter", "value", "standard error", "n")
    told = ("By lm-evaluation-harness, with its own prompts and judging; ± is one standard error, not an interval.",)
    rows = tuple(_task(one) for one in record.tasks)
    return Section("Tasks", told if rows else (), header, rows, frozenset({"task", "metric", "filter"}))


def _task(one: TaskFigures) -> tuple[str, ...]:
    error = formatting.MISSING if one.stderr is None else f"± {one.stderr:.4f}"
    return one.model, one.task, one.metric, one.filter, f"{one.value:.4f}", error, formatting.count(one.n)
