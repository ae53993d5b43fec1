"""Rows inside the one object that a `.json` file is, where no list of objects holds them.

Columns by their names, as pandas writes them (`orient="list"`, `"columns"`, `"split"`), objects by their ids, and
answers by their questions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from selfimprove.problem.names import QUESTIONS, bare_name

_ASKS = 3
"""Words of a question that stands as the name of its answer, at least."""


def are_rows(value: object) -> bool:
    """Whether the value is a list of objects."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def rows_within(whole: dict[str, object]) -> Iterable[object]:
    """The rows that the object holds; the object itself where it is a row."""
    if (split := _split(whole)) is not None:
        return split
    if (columns := _columns(whole)) is not None:
        return columns
    if len(whole) > 1 and are_rows(list(whole.values())):
        return whole.values()
    return _answers_by_questions(whole) or [whole]


def _split(whole: dict[str, object]) -> list[object] | None:
    """The rows below their column names, both in lists of their own."""
    names, rows = whole.get("columns"), whole.get("data")
    if not whole.keys() <= {"columns", "index", "data"} or not isinstance(names, list) or not isinstance(rows, list):
        return None
    whole_rows = all(isinstance(row, list) and len(row) == len(names) for row in rows)
    named = all(isinstance(name, str) for name in names)
    return [dict(zip(names, row, strict=True)) for row in rows] if rows and whole_rows and named else None


def _columns(whole: dict[str, object]) -> list[object] | None:
    """The rows of an object of columns, one of them of questions: lists of one length, or objects of the same keys."""
    cells = [
        list(value) if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
        for value in whole.values()
    ]
    names = [_singular(key) for key in whole]
    if len(cells) < 2 or len({len(column) for column in cells}) > 1 or len(cells[0]) < 2:
        return None
    kinds = {type(value) for value in whole.values()}
    keyed = [tuple(value) for value in whole.values() if isinstance(value, dict)]
    if len(kinds) > 1 or len(set(keyed)) > 1 or len(set(names)) < len(names):
        return None
    if {bare_name(name) for name in names}.isdisjoint(QUESTIONS):
        return None
    return [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]


def _singular(name: str) -> str:
    """The name of one question for a column that is called by several (`questions`); else the name."""
    bare = bare_name(name)
    return name[:-1] if bare not in QUESTIONS and bare[-1:] == "s" and bare[:-1] in QUESTIONS else name


def _answers_by_questions(whole: dict[str, object]) -> Sequence[object]:
    """A row for each answer whose name is its question; none where a name is too short to ask."""
    plain = all(isinstance(value, (str, int, float)) and not isinstance(value, bool) for value in whole.values())
    asked = len(whole) > 1 and all(len(name.split()) >= _ASKS for name in whole)
    return [{"question": name, "answer": value} for name, value in whole.items()] if plain and asked else []
