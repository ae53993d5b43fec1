"""Benchmarks of this program against others and against itself, one file each, and the table that they fill.

A *row* holds two measured quantities of the same unit: ours and the baseline, each measured once per repeat. The two
alternate within a repeat, so that a machine that slows down slows both. The table has both medians with the smallest
and the largest repeat, and the *ratio* of the medians with the smallest and largest ratio of a repeat. `reach` is the
target of the ratio: at most or at least. A row whose package isn't installed, or whose work failed, says so in its note
and has no figures: absent is not zero.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from selfimprove import formatting
from selfimprove.formatting import MISSING


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; `ours` and `other` have one figure per repeat, none if it wasn't measured."""

    name: str
    what: str
    against: str
    unit: str = ""
    ours: tuple[float, ...] = ()
    other: tuple[float, ...] = ()
    reach: float | None = None
    side: Literal["at most", "at least"] = "at most"
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Median of ours over median of the other; None if one is missing or the other is 0."""
        if not (self.ours and self.other) or not statistics.median(self.other):
            return None
        return statistics.median(self.ours) / statistics.median(self.other)

    @property
    def ratios(self) -> tuple[float, ...]:
        """The ratio of each repeat."""
        return tuple(ours / other for ours, other in zip(self.ours, self.other, strict=False) if other)

    @property
    def reached(self) -> bool | None:
        """Whether the ratio of the medians is on the right side of `reach`; None if there is nothing to compare."""
        if self.ratio is None or self.reach is None:
            return None
        return self.ratio <= self.reach if self.side == "at most" else self.ratio >= self.reach

    def to_json(self) -> dict[str, Any]:
        """The row with its medians, ratio and outcome, as JSON."""
        medians = {"ours_median": _median(self.ours), "other_median": _median(self.other)}
        return {**asdict(self), **medians, "ratio": self.ratio, "ratios": self.ratios, "reached": self.reached}


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, with their notes below it."""
    lines = ["| what | against | ours | the other | ratio | to reach | reached |", "| --- " * 7 + "|"]
    lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
    notes = [f"- {row.what} / {row.against}: {row.note}" for row in rows if row.note]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _cells(row: Row) -> tuple[str, ...]:
    share = row.side == "at most"
    spread = f" ({_ratio(min(row.ratios), share)} to {_ratio(max(row.ratios), share)})" if len(row.ratios) > 1 else ""
    return (
        row.what,
        row.against,
        _spread(row.ours, row.unit),
        _spread(row.other, row.unit),
        _ratio(row.ratio, share) + spread,
        MISSING if row.reach is None else f"{row.side} {_ratio(row.reach, share)}",
        {True: "yes", False: "no", None: MISSING if row.reach is None else "not measured"}[row.reached],
    )


def _ratio(ratio: float | None, share: bool) -> str:
    return formatting.percent(ratio) if share or ratio is None else f"{ratio:.2f} ×"


def _spread(values: Sequence[float], unit: str) -> str:
    if not values:
        return MISSING
    ends = f" ({formatting.decimal(min(values))} to {formatting.decimal(max(values))})" if len(values) > 1 else ""
    return f"{formatting.decimal(_median(values))}{ends} {unit}".rstrip()


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
