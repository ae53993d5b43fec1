"""Decimal commas in a table: `3,5` in a file whose columns stand apart by semicolons is 3.5, and no list of 3 and 5.

Spreadsheets write both where numbers have a decimal comma. A column is read so if one of its cells can be nothing else:
a number with one comma that doesn't part thousands (`1,234`), while no cell has several commas (a list) and none a
decimal point.
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


def decimal_columns(lines: Iterable[str]) -> frozenset[int]:
    """The places of the columns in which numbers have a decimal comma, in a table of these lines.

    A table that can't be read is told by whoever reads its rows.
    """
    decimal: set[int] = set()
    other: set[int] = set()
    with suppress(csv.Error):
        for cells in csv.reader(lines, delimiter=SEPARATOR, strict=True):
            for place, cell in enumerate(cells):
                if cell.count(",") > 1 or _POINT.fullmatch(cell):
                    other.add(place)
                elif _NUMBER.fullmatch(cell) and not _THOUSANDS.fullmatch(cell):
                    decimal.add(place)
    return frozenset(decimal - other)


def with_points(cells: Sequence[str], columns: frozenset[int]) -> list[str]:
    """The cells, those numbers in these columns that have a decimal comma with a point instead."""
    return [
        f"{found[1]}.{found[2]}" if place in columns and (found := _NUMBER.fullmatch(cell)) else cell
        for place, cell in enumerate(cells)
    ]
