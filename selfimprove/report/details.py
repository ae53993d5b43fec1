"""The further tables of a report's page: what its charts draw, in figures, and the openings of the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from selfimprove import formatting
from selfimprove.formatting import MISSING
from selfimprove.report.contests import Contest
from selfimprove.report.costs import costs
from selfimprove.report.records import RunRecords
from selfimprove.report.section import Section
from selfimprove.report.sections import COST, DIVERSITY, EVIDENCE, ROUNDS, TRAINING
from selfimprove.report.series import Loss, Opening, RoundFigures, batch_rows, losses, openings, spreads

FIFTHS = 5


def details_of(
    title: str, run: RunRecords, contests: Sequence[Contest], rounds: Sequence[RoundFigures]
) -> list[Section]:
    """The further tables of a section, by its title; tables without rows are left out."""
    made: dict[str, Callable[[], list[Section]]] = {
        ROUNDS: lambda: [_intervals(rounds)],
        EVIDENCE: lambda: [_looks(run)],
        COST: lambda: [_time_by_round(run)],
        TRAINING: lambda: [_losses(run)],
        DIVERSITY: lambda: [*(_openings(contest) for contest in reversed(contests)), _lengths(contests)],
    }
    return [section for section in made.get(title, list)() if section.rows]


def _intervals(rounds: Sequence[RoundFigures]) -> Section:
    header = ("round", "champion", "95% interval", "challenger", "95% interval", "gain, points", "at all looks, 95%")
    rows = tuple(
        (
            str(found.number),
            formatting.percent(found.champion),
            formatting.percent_range(found.champion_interval),
            formatting.percent(found.challenger),
            formatting.percent_range(found.challenger_interval),
            formatting.points(found.gain),
            formatting.points_range(found.gain_interval),
        )
        for found in rounds
    )
    told = (
        "Accuracies have Wilson intervals, each for one model on its own. The interval of the gain is computed from "
        "the pairs of answers and is simultaneously valid at all looks, so early stopping doesn't bias it."
    )
    return Section("Accuracies with their intervals", (told,), header, rows)


def _looks(run: RunRecords) -> Section:
    header = ("round", "judged", "won–lost", "evidence", "needed", "gain, points", "gain at most")
    rows = tuple(
        (
            str(place),
            formatting.count(look.judged),
            f"{formatting.count(look.wins)}–{formatting.count(look.losses)}",
            formatting.decimal(look.evidence),
            formatting.decimal(look.threshold),
            formatting.points(look.gain),
            formatting.points(look.gain_upper),
        )
        for place, record in enumerate(run.rounds, start=1)
        for look in record.decision.looks
    )
    return Section("Every look of the gate", (), header, rows)


def _time_by_round(run: RunRecords) -> Section:
    spent = [costs([record])[0] for record in run.rounds]
    stages = list(dict.fromkeys(stage for found in spent for stage in found))
    rows = tuple(
        (str(place), *(formatting.duration(found[stage].seconds if stage in found else None) for stage in stages))
        for place, found in enumerate(spent, start=1)
    )
    return Section("Time by round and stage", (), ("round", *stages), rows if stages else ())


def _losses(run: RunRecords) -> Section:
    found = [losses(record, batch_rows(run.recipe)) for record in run.rounds]
    rows = tuple((str(loss.number), str(loss.steps), *_means(loss)) for loss in found if loss.points)
    header = ("round", "steps", *(f"{part}/{FIFTHS}" for part in range(1, FIFTHS + 1)))
    return Section("Mean loss by fifths of the steps", (), header, rows)


def _means(loss: Loss) -> list[str]:
    """The mean loss of each fifth of the steps; a dash where a fifth has no step."""
    parts: list[list[float]] = [[] for _ in range(FIFTHS)]
    for step, value in loss.points:
        parts[min(FIFTHS - 1, int(FIFTHS * (step - 0.5) / loss.steps))].append(value)
    return [formatting.decimal(sum(part) / len(part) if part else None) for part in parts]


def _lengths(contests: Sequence[Contest]) -> Section:
    header = ("model", "answers", "10th percentile", "median", "90th percentile", "cut at the limit")
    rows = tuple(
        (
            "base" if spread.model == 0 else f"round {spread.model}",
            formatting.count(spread.answers),
            formatting.count(spread.low),
            formatting.count(spread.median),
            formatting.count(spread.high),
            formatting.percent(spread.cut),
        )
        for spread in spreads(contests)
    )
    return Section("Lengths of judged answers, in tokens", ("Percentiles of each model's answers.",), header, rows)


def openings_title(number: int) -> str:
    """The title of a round's table of openings."""
    return f"Most common openings, round {number}"


def _openings(contest: Contest) -> Section:
    header = ("opening", "champion", "right among these", "challenger", "right among these")
    sizes = [sum(map(len, side.values())) for side in (contest.champion, contest.challenger)]
    words, common = openings(contest)
    rows = tuple(_opening(found, sizes) for found in common)
    begun = formatting.plural(words, "word").removeprefix("1 ")
    told = (
        f"An opening is the first {begun} of a judged answer. The table counts the answers that begin with "
        "it, and those of them that are right."
    )
    return Section(openings_title(contest.number), (told,), header, rows, frozenset(header[:1]))


def _opening(found: Opening, sizes: Sequence[int]) -> tuple[str, ...]:
    cells = [found.words or "(empty)"]
    for (begun, right), size in zip((found.champion, found.challenger), sizes, strict=True):
        cells += [
            formatting.percent(begun / size) if size else MISSING,
            formatting.percent(right / begun) if begun else MISSING,
        ]
    return tuple(cells)
