"""The report as a table for a terminal, as plain text, and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from selfimprove.escaping import escape_text
from selfimprove.formatting import duration
from tests.chaos.harness import ChaosReport, KillOutcome
from tests.chaos.kill_plan import WAYS, Way
from tests.chaos.trace import KINDS
from tests.chaos.workload import TINY

if TYPE_CHECKING:
    from rich.table import Table

HEADER = ("kind of kill", "kills", "where", *(f"{kind} redone" for kind in KINDS), "processes left", "records equal")
NOTE = "redone: most after one kill / in all"
FAULT_LIMIT = 300
"""Characters of one fault in a table."""


def rows_of(report: ChaosReport) -> list[tuple[str, ...]]:
    """The rows below `HEADER`: one for each kind of kill, one for all of them, one with what is allowed."""
    rows = [_row(WAYS[way], _of(report, way), _equal(report, way)) for way in WAYS if _of(report, way)]
    allowed = ("allowed", "", "", *(f"{report.allowed[kind]} / -" for kind in KINDS), "0", "yes")
    return [*rows, _row("all", report.carried_out, report.equal, where=False), allowed]


def lines_of(report: ChaosReport) -> Iterator[str]:
    """The report as lines of text: the table in columns, then the sentences below it."""
    table = [HEADER, *rows_of(report)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADER))]
    for row in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield NOTE
    yield from sentences(report)


def sentences(report: ChaosReport) -> Iterator[str]:
    """What is below the table: how it was made, each difference by name, and the result."""
    model = "the tiny model" if report.model == TINY else report.model
    runs = f"{len(report.carried_out)} kills in {len(report.runs)} runs of {model} in {duration(report.seconds)}"
    yield f"{runs} (undisturbed: {duration(report.undisturbed_seconds)}; {', '.join(report.decisions)})."
    late = report.asked - len(report.carried_out)
    if late and report.equal:
        yield f"{late} of {report.asked} kills came too late each time: the run was over."
    for run in report.runs:
        for fault in run.faults:
            yield f"{run.name}: {escape_text(fault, FAULT_LIMIT)}"
    for outcome in report.exceeded:
        yield f"{outcome.kill.way} in {outcome.place}: more redone than allowed: {outcome.redone}"
    yield "PASSED" if report.passed else "FAILED"


def rich_table(report: ChaosReport) -> Table:
    """The table for a terminal."""
    from rich.table import Table

    *ways, whole, allowed = rows_of(report)
    table = Table(caption=NOTE, caption_justify="left")
    for name in HEADER:
        table.add_column(name, overflow="fold")
    for row in ways:
        table.add_row(*row, end_section=row is ways[-1])
    table.add_row(*whole, style="bold")
    table.add_row(*allowed, style="dim")
    return table


def json_of(report: ChaosReport) -> str:
    """The report as one line of JSON: the figures of the table, and every kill with the work it cost."""
    kills = [
        {
            "run": run.name,
            "way": outcome.kill.way,
            "at": outcome.kill.where,
            "place": outcome.place,
            "redone": outcome.redone,
            "left": outcome.left,
        }
        for run in report.runs
        for outcome in run.carried_out
    ]
    content = {
        "passed": report.passed,
        "records_equal": report.equal,
        "model": report.model,
        "seed": report.seed,
        "asked": report.asked,
        "decisions": report.decisions,
        "undisturbed_seconds": report.undisturbed_seconds,
        "seconds": report.seconds,
        "allowed": report.allowed,
        "faults": {run.name: run.faults for run in report.runs if run.faults},
        "kills": kills,
    }
    return json.dumps(content)


def _of(report: ChaosReport, way: Way) -> list[KillOutcome]:
    return [outcome for outcome in report.carried_out if outcome.kill.way == way]


def _equal(report: ChaosReport, way: Way) -> bool:
    return all(run.equal for run in report.runs if any(outcome.kill.way == way for outcome in run.carried_out))


def _row(name: str, outcomes: Sequence[KillOutcome], equal: bool, where: bool = True) -> tuple[str, ...]:
    places = Counter(one.place.split(" ")[-1] for one in outcomes) if where else Counter()
    counted = ", ".join(f"{place} {number}" for place, number in places.most_common())
    redone = ([one.redone.get(kind, 0) for one in outcomes] for kind in KINDS)
    work = (f"{max(units, default=0)} / {sum(units)}" for units in redone)
    left = sum(one.left for one in outcomes)
    return name, str(len(outcomes)), counted, *work, str(left), "yes" if equal else "NO"
