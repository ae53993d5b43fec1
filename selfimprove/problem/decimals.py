"""Decimal commas in a table: `3,5` in a file whose columns stand apart by semicolons is 3.5, and no list of 3 and 5.

Spreadsheets write both where numbers have a decimal comma. A column is read so if one of its cells can be nothing else:
a number with one comma that doesn't part thousands (`1,234`), while no cell has several commas (a list) and none a
decimal point. Points in such a column part thousands: `16.250,00` is 16250.00, and `12.500` is 12500.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress

SEPARATOR = ";"
"""The separator of columns beside which a comma may stand in a number."""

_UNIT = r"(?:\s*[^\d\s,;.]\S{0,7})?\s*"
_NUMBER = re.compile(rf"(\s*[+−-]?\d+),(\d+{_UNIT})")
_THOUSANDS = re.compile(rf"\s*[+−-]?[1-9]\d{{0,2}},\d{{3}}{_UNIT}")
_POINT = re.compile(rf"\s*[+−-]?\d+\.\d+{_UNIT}")
_GROUPED = re.compile(rf"(\s*[+−-]?[1-9]\d{{0,2}}(?:\.\d{{3}})+)(?:,(\d+))?({_UNIT})")
"""A number with points between its thousands, whole or with a decimal comma."""


def decimal_columns(lines: Iterable[str]) -> frozenset[int]:
    """The places of the columns in which numbers have a decimal comma, in a table of these lines.

    A table that can't be read is told by whoever reads its rows.
    """
    decimal: set[int] = set()
    other: set[int] = set()
    with suppress(csv.Error):
        for cells in csv.reader(lines, delimiter=SEPARATOR, strict=True):
            for place, cell in enumerate(cells):
                grouped = _GROUPED.fullmatch(cell)
                if cell.count(",") > 1 or (_POINT.fullmatch(cell) and not grouped):
                    other.add(place)
                elif (grouped and grouped[2]) or (_NUMBER.fullmatch(cell) and not _THOUSANDS.fullmatch(cell)):
                    decimal.add(place)
    return frozenset(decimal - other)


def with_points(cells: Sequence[str], columns: frozenset[int]) -> list[str]:
    """The cells, the numbers in these columns with a decimal point for their comma, and without points before it."""
    return [_with_point(cell) if place in columns else cell for place, cell in enumerate(cells)]


def _with_point(cell: str) -> str:
    if grouped := _GROUPED.fullmatch(cell):
        whole, decimals, unit = grouped.groups()
        return whole.replace(".", "") + (f".{decimals}" if decimals else "") + unit
    found = _NUMBER.fullmatch(cell)
    return f"{found[1]}.{found[2]}" if found else cell
