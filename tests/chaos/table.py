"""A self-test's report as a table for a terminal, for a file, and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from selfimprove.text.escaping import escape_text
from selfimprove.text.formatting import duration
from tests.chaos.chaos import ChaosReport, Struck
from tests.chaos.kills import WAYS, Way
from tests.chaos.trace import KINDS

if TYPE_CHECKING:
    from rich.table import Table

HEADER = ("way of killing", "kills", "where", *(f"{kind} redone" for kind in KINDS), "processes left", "records equal")
NOTE = "redone: most after one kill / in all"
FAULT_LIMIT = 300
"""Characters of one fault in a table."""


def rows_of(report: ChaosReport) -> list[tuple[str, ...]]:
    """The table below `HEADER`: a row for each way of killing, one for all of them, one with what is allowed."""
    rows = [_row(WAYS[way], _of(report, way), _equal(report, way)) for way in WAYS if _of(report, way)]
    allowed = ("allowed", "", "", *(f"{report.allowed[kind]} / -" for kind in KINDS), "0", "yes")
    return [*rows, _row("all", report.struck, report.equal, where=False), allowed]


def lines_of(report: ChaosReport) -> Iterator[str]:
    """The report as lines of text: the table in columns, then what is to be said about it."""
    table = [HEADER, *rows_of(report)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADER))]
    for row in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield NOTE
    yield from sentences(report)


def sentences(report: ChaosReport) -> Iterator[str]:
    """What stands below the table: how it was made, and each fault by name."""
    runs = f"{len(report.struck)} kills in {len(report.runs)} runs of {report.model} in {duration(report.seconds)}"
    yield f"{runs} (undisturbed: {duration(report.undisturbed_seconds)}; {', '.join(report.decisions)})."
    late = report.asked - len(report.struck)
    if late and report.equal:
        yield f"{late} of {report.asked} kills came too late each time: the run was over."
    for run in report.runs:
        for fault in run.faults:
            yield f"{run.name}: {escape_text(fault, FAULT_LIMIT)}"
    for struck in report.exceeded:
        yield f"{struck.kill.way} in {struck.place}: more redone than allowed: {struck.redone}"
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
    """The report as one line of JSON: the figures of the table, and every kill with what it cost."""
    kills = [
        {
            "run": run.name,
            "way": struck.kill.way,
            "at": struck.kill.where,
            "place": struck.place,
            "redone": struck.redone,
            "left": struck.left,
        }
        for run in report.runs
        for struck in run.struck
    ]
    told = {
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
    return json.dumps(told)


def _of(report: ChaosReport, way: Way) -> list[Struck]:
    return [struck for struck in report.struck if struck.kill.way == way]


def _equal(report: ChaosReport, way: Way) -> bool:
    return all(run.equal for run in report.runs if any(struck.kill.way == way for struck in run.struck))


def _row(name: str, struck: Sequence[Struck], equal: bool, where: bool = True) -> tuple[str, ...]:
    places = Counter(one.place.split(" ")[-1] for one in struck) if where else Counter()
    told = ", ".join(f"{place} {number}" for place, number in places.most_common())
    redone = ([one.redone.get(kind, 0) for one in struck] for kind in KINDS)
    work = (f"{max(costs, default=0)} / {sum(costs)}" for costs in redone)
    left = sum(one.left for one in struck)
    return name, str(len(struck)), told, *work, str(left), "yes" if equal else "NO"
