"""The guards of a run's rounds, as a table of strings for the report."""

from __future__ import annotations

from selfimprove import formatting
from selfimprove.formatting import MISSING
from selfimprove.report.records import RunRecords
from selfimprove.report.section import Section
from selfimprove.store.records import GuardRecord

_HEADER = (
    *("round", "guard", "rule", "judged", "champion", "challenger", "change", "won–lost", "drop at most"),
    *("evidence", "needed", "outcome"),
)
_WORDS = frozenset({"guard", "rule", "outcome"})
_TOLD = (
    "Under `no proof of harm`, evidence of harm rejects the challenger; under `proof of no harm`, the challenger is "
    "accepted only with evidence of no harm. Drops are relative to the round's champion."
)


def guards_section(run: RunRecords) -> Section:
    """A row for each guard of each round that judged on it."""
    rows = tuple((str(record.round), *_cells(found)) for record in run.rounds for found in record.guards)
    return Section("Guards", (_TOLD,) if rows else (), _HEADER, rows, _WORDS)


def _cells(found: GuardRecord) -> tuple[str, ...]:
    sides = (side.accuracy if side else None for side in (found.champion, found.challenger))
    judged = MISSING if found.judged is None else f"{formatting.count(found.judged)}/{formatting.count(found.total)}"
    drop = None if found.gain_lower is None else max(0.0, -found.gain_lower)
    return (
        found.name,
        found.rule or MISSING,
        judged,
        *map(formatting.percent, sides),
        formatting.points(found.gain),
        f"{formatting.count(found.wins)}–{formatting.count(found.losses)}",
        formatting.points(drop).removeprefix("+"),
        formatting.decimal(found.evidence),
        formatting.decimal(found.threshold),
        found.reason or MISSING,
    )
