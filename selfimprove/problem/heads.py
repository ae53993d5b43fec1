"""What stands before the rows of a file: a JSON line that tells of the set, lines above a table's column names, texts.

A line is passed over only where the rows behind it show that it is none of them: a first object with other fields than
those by which data sets are described stays a row. A passage or an instruction that stands beside a list of rows
belongs to each of them.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import csv
import re
from collections.abc import Sequence

from selfimprove.problem.likeness import ASKING, is_of
from selfimprove.problem.names import CONTEXTS, QUESTIONS, bare_name

LOOKED_AT = 10
"""Lines among which the column names of a table are looked for."""
SEPARATORS = (",", ";", "\t", "|")

_DESCRIBING = frozenset(
    (
        "header meta metadata info dataset datasetname split version name title license licence description citation "
        "author authors created date source url homepage config features schema count size numrows rows numexamples "
        "total language lang task format type comment note"
    ).split()
)
"""Bare names of fields that tell of a whole data set."""
_PROSE = 4
"""Words of a text beside a list of rows that is more than a title."""
NAME_WORDS = 5
"""Words of a column's name, at most."""


def without_header(rows: list[tuple[int, object]]) -> list[tuple[int, object]]:
    """The rows of a part of a file without a first one that only tells of the set."""
    if len(rows) < 2 or rows[0][0] != 1:
        return rows
    (_, first), (_, second) = rows[:2]
    if not isinstance(first, dict) or not isinstance(second, dict) or not first or not first.keys().isdisjoint(second):
        return rows
    return rows[1:] if _DESCRIBING.issuperset(map(bare_name, first)) else rows


def given_to_all(whole: dict[str, object]) -> dict[str, object]:
    """The texts that stand beside a list of rows and belong to each of them: an instruction, a passage."""
    texts = {key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in whole.items()}
    return {
        key: text
        for key, text in texts.items()
        if bare_name(key) in CONTEXTS and isinstance(text, str) and len(text.split()) >= _PROSE
    }


def column_names(text: str, separator: str = "") -> tuple[int, str]:
    """How many lines stand above those with the column names of a table, and the separator between its columns.

    `separator` is the one that the file's format has, empty where the names have to tell.
    """
    lines = text.lstrip("\r\n").split("\n", LOOKED_AT)[:LOOKED_AT]
    skipped = text[: len(text) - len(text.lstrip("\r\n"))].count("\n")
    usual = separator or _separator(lines[0])
    if _ask(_cells(lines[0], usual)):
        return skipped, usual
    for place, line in enumerate(lines[1:], 1):
        used = separator or _separator(line)
        if _ask(_cells(line, used)):
            above = all(_is_remark(one, used) for one in lines[:place])
            return (skipped + place, used) if above else (skipped, usual)
    return skipped, usual


def _cells(line: str, separator: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, strict=True), [])]
    except csv.Error:
        return []


def _ask(cells: Sequence[str]) -> bool:
    """Whether these are the names of columns, one of them that of a question."""
    named = [cell for cell in cells if cell]
    if len(named) < 2 or len(set(named)) < len(named) or any(len(cell.split()) > NAME_WORDS for cell in named):
        return False
    return any(bare_name(cell) in QUESTIONS or is_of(cell, ASKING) for cell in named)


def _is_remark(line: str, separator: str) -> bool:
    """Whether the line is a title, a remark or empty: one cell at most, or a comment."""
    if line.lstrip(' "').startswith(("#", "//")):
        return True
    cells = _cells(line, separator)
    return bool(cells or not line.strip()) and sum(bool(cell) for cell in cells) < 2


def _separator(header: str) -> str:
    """The separator that cuts the header into most names; a comma where none does."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(SEPARATORS, key=bare.count)
