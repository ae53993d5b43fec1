"""What a run's records say, as sections of a report: pure, from plain dicts to sentences and tables of strings.

The sealed outcome comes first: it is the number that a run reports. The rounds' own figures stand below it, since they
come from problems that the rounds were chosen on. Cost charges rejected rounds too (`report/costs.py`).

Records are read as `report/records.py` reads them: what is missing is a dash. Strings from files stand here as they
are; `report.py` escapes them when it writes them out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from selfimprove.recipe import Recipe
from selfimprove.report.costs import Spent, cost_of_looks, costs, price
from selfimprove.report.records import (
    Record,
    RunRecords,
    at,
    decision,
    gain,
    interval,
    items,
    number,
    robust,
    word,
)
from selfimprove.text import formatting
from selfimprove.text.formatting import MISSING

OUTCOME = "Outcome on the sealed problems"
ROUNDS = "Rounds, on the held-out problems"
EVIDENCE = "Evidence at the last look"
COST = "Cost"
TRAINING = "Training"
DIVERSITY = "Diversity of the samples"
"""Titles that the page hangs its charts on."""


@dataclass(frozen=True)
class Section:
    """One part of a report: sentences, then a table; the columns in `words` hold text, the others figures."""

    title: str
    sentences: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    words: frozenset[str] = frozenset()


def sections(run: RunRecords) -> list[Section]:
    """The report's parts in reading order; parts with nothing to say are left out, the outcome never is."""
    optional = (
        _rounds,
        _evidence,
        _placebo,
        _cost,
        _machine,
        _training,
        _diversity,
        _verdicts,
        _certificates,
        _recipe,
        _versions,
    )
    parts = [section(run) for section in optional]
    return [_outcome(run), *(part for part in parts if part.rows or part.sentences)]


def _outcome(run: RunRecords) -> Section:
    title = OUTCOME
    looks = items(run.sealed, "looks")
    if not looks:
        return Section(title, ("Not judged yet: the sealed problems are judged once the rounds asked for are done.",))
    last, ends = looks[-1], interval(looks[-1], "gain_interval")
    change = (
        f"Base {formatting.percent(number(last, 'base_accuracy'))} → "
        f"champion {formatting.percent(number(last, 'champion_accuracy'))}: "
        f"gain {formatting.points(number(last, 'gain'))} points, 95 % interval {formatting.points_range(ends)}, "
        f"on {formatting.count(number(last, 'n'))} problems."
    )
    told = [change, formatting.verdict_on_gain(number(last, "gain"), ends)]
    if len(looks) > 1:
        told.append(f"This is look {len(looks)} at these problems; only the first look was at unseen ones.")
    told.append(word(last, "beside", "sentence"))
    rows = tuple(row for place, look in enumerate(looks, 1) for row in _sealed_look(place, look))
    header = ("look", "after rounds", "model", "accuracy", "95 % interval", "n")
    return Section(title, tuple(filter(None, told)), header, rows, frozenset({"model"}))


def _sealed_look(place: int, look: Record) -> list[tuple[str, ...]]:
    """Three rows: the base model, the champion, the gain."""
    head = (str(place), formatting.count(number(look, "rounds")))
    n = formatting.count(number(look, "n"))
    champion = f"champion: {_source(number(look, 'champion'))}"
    shares = [("base", "base"), ("champion", champion)]
    rows = [
        (
            *head,
            title,
            formatting.percent(number(look, f"{who}_accuracy")),
            formatting.percent_range(interval(look, f"{who}_interval")),
            n,
        )
        for who, title in shares
    ]
    change = (formatting.points(number(look, "gain")), formatting.points_range(interval(look, "gain_interval")))
    return [*rows, (*head, "gain, points", *change, n)]


def _rounds(run: RunRecords) -> Section:
    sentences = tuple(
        f"Round {_named(record)}: {word(record, 'decision', 'sentence')}"
        for record in run.rounds
        if word(record, "decision", "sentence")
    )
    header = ("round", "from", "judged", "champion", "challenger", "gain", "won–lost", "decision")
    rows = tuple(_round(record) for record in run.rounds)
    return Section(ROUNDS, sentences, header, rows, frozenset({"decision"}))


def _round(record: Record) -> tuple[str, ...]:
    return (
        _named(record),
        _source(number(record, "parent")),
        _judged(record),
        formatting.percent(number(record, "scorecard", "champion", "accuracy")),
        formatting.percent(number(record, "scorecard", "challenger", "accuracy")),
        formatting.points(gain(record)),
        _won_lost(record),
        decision(record),
    )


def _evidence(run: RunRecords) -> Section:
    """The last look of each round; a decision that isn't robust hangs on the checker's unclear verdicts."""
    header = ("round", "looks", "evidence", "needed", "error budget", "gain at most", "reason", "robust")
    found = _per_round(run, EVIDENCE, header, _evidence_cells)
    uses = max((int(number(record, "scorecard", "uses_of_heldout") or 0) for record in run.rounds), default=0)
    told = (f"The held-out problems were used for {uses} decisions.",) if uses > 1 else ()
    return Section(found.title, told, header, found.rows, frozenset({"reason", "robust"}))


def _placebo(run: RunRecords) -> Section:
    """Gain over a twin trained on permuted targets, beside the gain over the champion; only where one was trained."""
    header = ("round", "placebo", "gain over placebo", "95 % interval", "gain over champion")
    rows = tuple(_placebo_cells(record) for record in run.rounds if at(record, "placebo") is not None)
    return Section("Placebo: the same training on permuted targets", (), header, rows)


def _placebo_cells(record: Record) -> tuple[str, ...]:
    return (
        _named(record),
        formatting.percent(number(record, "placebo", "scorecard", "accuracy")),
        formatting.points(number(record, "placebo", "gain_over_placebo")),
        formatting.points_range(interval(record, "placebo", "gain_interval")),
        formatting.points(gain(record)),
    )


def _evidence_cells(record: Record) -> tuple[str, ...]:
    looks = items(record, "decision", "looks")
    return (
        str(len(looks)) if looks else MISSING,
        formatting.decimal(number(looks, -1, "evidence")),
        formatting.decimal(number(looks, -1, "threshold")),
        formatting.decimal(number(record, "decision", "alpha")),
        formatting.points(number(looks, -1, "gain_upper")),
        word(record, "decision", "reason") or MISSING,
        robust(record),
    )


def _won_lost(record: Record) -> str:
    wins, losses = (formatting.count(number(record, "scorecard", key)) for key in ("wins", "losses"))
    return MISSING if wins == losses == MISSING else f"{wins}–{losses}"


def _judged(record: Record) -> str:
    judged, total = (number(record, "scorecard", key) for key in ("judged", "total"))
    return MISSING if judged is None else f"{formatting.count(judged)}/{formatting.count(total)}"


def _source(number_of_round: float | None) -> str:
    """The model of a round in a cell: `base`, `round 2`."""
    return "base" if number_of_round == 0 else MISSING if number_of_round is None else f"round {number_of_round:.0f}"


def _named(record: Record) -> str:
    return formatting.count(number(record, "round"))


def _cost(run: RunRecords) -> Section:
    """Each stage over all rounds, their sum, the sum per point of sealed gain, and the sealed looks."""
    spent, total = costs(run.rounds)
    if not spent:
        return Section(COST)
    found = price(run)
    rows = [*(_cost_row(name, cost) for name, cost in spent.items()), _cost_row("total", total)]
    if found.per_point:
        rows.append(_cost_row("per accepted point", found.per_point))
    if items(run.sealed, "looks"):
        rows.append(_cost_row("sealed, apart", cost_of_looks(run)))
    header = ("stage", "time", "sampled", "prompts", "targets", "their prompts")
    told = "Tokens sampled and their prompts, targets trained and theirs, over all rounds."
    return Section(COST, (told, found.sentence), header, tuple(rows))


def _cost_row(name: str, cost: Spent) -> tuple[str, ...]:
    tokens = (cost.sampled, cost.prompts, cost.targets, cost.trained_prompts)
    return name, formatting.duration(cost.seconds), *(formatting.count(amount) for amount in tokens)


def _machine(run: RunRecords) -> Section:
    """Peaks of memory and energy by stage; nothing where no record tells."""
    spent, total = costs(run.rounds)
    rows = [*spent.items(), ("total", total)]
    found = price(run).per_point
    if found and found.energy is not None:
        rows.append(("per accepted point", found))
    header = ("stage", "peak memory, MiB", "peak GPU memory, MiB", "energy, J")
    known = [(name, *(formatting.count(part) for part in (cost.rss, cost.gpu, cost.energy))) for name, cost in rows]
    told = any(cell != MISSING for row in known for cell in row[1:])
    return Section("Memory and energy", (), header, tuple(known) if told else ())


def _training(run: RunRecords) -> Section:
    header = ("round", "prefix rows", "full rows", "steps", "first loss", "last loss")
    return _per_round(run, TRAINING, header, _training_cells)


def _training_cells(record: Record) -> tuple[str, ...]:
    counts = {word(stage, "stage"): at(stage, "counts") for stage in items(record, "stages")}
    return (
        formatting.count(number(counts, "harvest", "prefix")),
        formatting.count(number(counts, "harvest", "full")),
        formatting.count(number(counts, "train", "steps")),
        formatting.decimal(number(counts, "train", "first_loss")),
        formatting.decimal(number(counts, "train", "last_loss")),
    )


def _diversity(run: RunRecords) -> Section:
    header = ("round", "distinct prefixes", "entropy (nats)", "mean tokens", "truncated")
    return _per_round(run, DIVERSITY, header, _diversity_cells)


def _diversity_cells(record: Record) -> tuple[str, ...]:
    return (
        formatting.percent(number(record, "prefixes", "distinct_prefixes")),
        formatting.decimal(number(record, "prefixes", "prefix_entropy")),
        formatting.decimal(number(record, "prefixes", "mean_tokens")),
        formatting.percent(number(record, "prefixes", "truncated")),
    )


VERDICTS = ("correct", "wrong", "unparsed", "timed_out", "truncated")


def _verdicts(run: RunRecords) -> Section:
    """What the checker said of champion and challenger, as `58 → 69`."""
    header = ("round", *(name.replace("_", " ") for name in VERDICTS), "mean tokens")
    return _per_round(run, "Verdicts, champion → challenger", header, _verdict_cells)


def _verdict_cells(record: Record) -> tuple[str, ...]:
    counts = (_pair(record, name, formatting.count) for name in VERDICTS)
    return (*counts, _pair(record, "mean_tokens", formatting.decimal))


def _pair(record: Record, name: str, told: Callable[[float | None], str]) -> str:
    before, after = (told(number(record, "scorecard", side, name)) for side in ("champion", "challenger"))
    return MISSING if before == after == MISSING else f"{before} → {after}"


def _certificates(run: RunRecords) -> Section:
    header = ("round", "certificate", "effect kept", "delta kept", "unchanged", "agreement", "KL", "failures")
    found = _per_round(run, "Merge certificates", header, _certificate_cells)
    return Section(found.title, found.sentences, header, found.rows, frozenset({"certificate", "failures"}))


def _certificate_cells(record: Record) -> tuple[str, ...]:
    passed = at(record, "certificate", "passed")
    failures = [fault for fault in items(record, "certificate", "failures") if isinstance(fault, str)]
    return (
        "passed" if passed is True else "failed" if passed is False else MISSING,
        formatting.percent(number(record, "certificate", "functional_share")),
        formatting.percent(number(record, "certificate", "survival")),
        formatting.percent(number(record, "certificate", "unchanged_weights")),
        formatting.percent(number(record, "certificate", "agreement")),
        formatting.decimal(number(record, "certificate", "kl")),
        "; ".join(failures) or ("none" if passed is True else MISSING),
    )


def _per_round(
    run: RunRecords, title: str, header: tuple[str, ...], cells: Callable[[Record], tuple[str, ...]]
) -> Section:
    """A row for each round; no section where no round has a figure for it."""
    rows = tuple((_named(record), *cells(record)) for record in run.rounds)
    known = any(cell != MISSING for row in rows for cell in row[1:])
    return Section(title, (), header, rows if known else ())


def _recipe(run: RunRecords) -> Section:
    """The keys whose value isn't the default; `format` is the file's, not the recipe's."""
    default = flat(Recipe().model_dump(mode="json"))
    own = {key: value for key, value in flat(run.recipe).items() if key != "format"}
    rows = tuple(
        (key, json.dumps(own[key], ensure_ascii=False, default=str), json.dumps(default.get(key), ensure_ascii=False))
        for key in sorted(own)
        if key not in default or own[key] != default[key]
    )
    title, header = "Recipe, where it differs from the defaults", ("key", "value", "default")
    return Section(title, () if rows else ("All keys have their defaults.",), header, rows, frozenset(header))


def flat(data: Any, prefix: str = "") -> Record:  # noqa: ANN401 - parsed JSON of any shape
    """The values of nested tables by their dotted keys."""
    if not isinstance(data, dict) or not (data or not prefix):
        return {prefix.removesuffix("."): data}
    found: Record = {}
    for key, value in data.items():
        found |= flat(value, f"{prefix}{key}.")
    return found


def _versions(run: RunRecords) -> Section:
    """Each package with its version, or its versions in the order of the rounds where they changed."""
    seen: dict[str, list[str]] = {}
    for record in run.rounds:
        found = at(record, "versions")
        for name, version in found.items() if isinstance(found, dict) else ():
            versions = seen.setdefault(str(name), [])
            if str(version) not in versions:
                versions.append(str(version))
    rows = tuple((name, ", then ".join(versions)) for name, versions in sorted(seen.items()))
    return Section("Versions", (), ("package", "version"), rows, frozenset({"package", "version"}))
