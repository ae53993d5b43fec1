"""Rows as their questions: one for each of several about a passage, with the fields of the object that holds it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from selfimprove.problem.likeness import ASKING, is_beside, is_of
from selfimprove.problem.names import (
    ANSWERS,
    CHOSEN,
    CONTEXTS,
    LABELS,
    NESTED,
    OPTIONS,
    QUESTIONS,
    SOLUTIONS,
    Names,
    Row,
    bare_name,
    opened,
)
from selfimprove.problem.option_fields import option_fields, own_fields
from selfimprove.problem.options import read_options

_ROLES = frozenset((*ANSWERS, *SOLUTIONS, *OPTIONS, *CHOSEN))
_OPTIONS = frozenset(OPTIONS) - {"answers", "candidates"}
_SHOWN = frozenset("example demo shot demonstration exemplar icl fewshot".split())  # noqa: SIM905 - reads best
"""Words of lists of solved questions that are shown before another one."""
_ASKS = 4
"""Words of a text that may be a question."""
_BELONGING = frozenset((*OPTIONS, *CONTEXTS)) - frozenset(QUESTIONS)
"""Names of what a question has to be shown with."""


def unfolded(row: object) -> list[Row] | list[object]:
    """The questions that a row asks about one passage, a row each with what stands beside them; else the row.

    Of a row that holds nothing but another row it is that one.
    """
    if not isinstance(row, dict):
        return [row]
    if len(row) == 1 and _asks(inner := next(iter(row.values()))):
        return [inner]
    if not any(isinstance(inner, list) for inner in row.values()):
        return [row]
    for key, inner in row.items():
        if isinstance(inner, list) and inner and bare_name(key) in NESTED:
            beside = {name: value for name, value in row.items() if name != key}
            rows = [one for each in inner for one in unfolded(each)]
            if all(map(_asks, rows)):
                return [{**beside, **one} for one in rows if isinstance(one, dict)]
    return _apart(row) or _only_examples(row) or [row]


def _only_examples(row: Row) -> list[Row]:
    """The examples of a row that asks nothing itself: those of its one list of objects that ask and answer; or none.

    Several that are called examples may be shown before a question under another name, so these are none.
    """
    lists = [(name, value) for name, value in row.items() if isinstance(value, list) and value]
    found = [(name, value) for name, value in lists if all(map(_asks_and_answers, value))]
    if found and any(bare_name(name) in QUESTIONS or (is_of(name, ASKING) and not is_beside(name)) for name in row):
        return []
    if len(found) != 1:
        return []
    name, examples = found[0]
    beside = {other: value for other, value in row.items() if other != name}
    shown = is_of(name, _SHOWN) and (len(examples) > 1 or any(map(_may_ask, beside, beside.values())))
    return [] if shown else [{**beside, **one} for one in examples]


def _may_ask(name: str, value: object) -> bool:
    """Whether a text under this name may be what is asked."""
    told = is_beside(name) or is_of(name, frozenset(("description", "citation")))
    return isinstance(value, str) and len(value.split()) > _ASKS and not told


def _asks_and_answers(one: object) -> bool:
    """Whether this is a question, or the input of a task, with its answer or its options."""
    if not isinstance(one, dict):
        return False
    names = {bare_name(name) for name in one}
    return not names.isdisjoint(_ASKED) and not names.isdisjoint(_ROLES)


def _apart(row: Row) -> list[Row]:
    """The questions of a row that has lists of them, of their options and of their answers, side by side; else none."""
    key = next((name for name, value in row.items() if isinstance(value, list) and bare_name(name) == "questions"), "")
    asked = row[key] if key else None
    if not isinstance(asked, list) or not asked or not all(isinstance(one, str) for one in asked):
        return []
    names = {bare_name(name): name for name in row}
    lists = {name: value for name, value in row.items() if isinstance(value, list) and len(value) == len(asked)}
    options = [name for bare in OPTIONS if (name := names.get(bare, "")) in lists and bare != "answers"]
    if (
        not options
        or not all(isinstance(one, (list, dict)) for one in lists[options[0]])
        or names.get("answers") not in lists
    ):
        return []
    single = {names["questions"]: "question", names["answers"]: "answer"}
    beside = {name: value for name, value in row.items() if name not in lists}
    columns = {single.get(name, name): value for name, value in lists.items()}
    return [{**beside, **dict(zip(columns, cells, strict=True))} for cells in zip(*columns.values(), strict=True)]


def decoded(row: Row, names: Names, named: Iterable[str]) -> Row:
    """The row with the objects that are written as text in fields of no known role as what they are."""
    found: Row = {}
    for name, value in row.items():
        if isinstance(value, str) and value[:1] == "{" and name in _holding(names) and name not in named:
            inner = opened(value)
            if isinstance(inner, dict):
                found[name] = inner
    return {**row, **found} if found else row


@lru_cache(maxsize=1000)
def _holding(names: Names) -> frozenset[str]:
    """The fields that may hold a row or what belongs to one, and neither question nor answer themselves."""
    return frozenset(
        name
        for bare, name in names.items()
        if bare not in _ROLES and bare not in LABELS and bare not in CONTEXTS and name not in names.like_answers
    )


def lifted(row: Row, names: Names, named: Iterable[str]) -> Row:
    """The row with the fields of the one object that holds its question and more in the place of that object.

    The object itself stays in the row where one of the names in the recipe, `named`, goes into it.
    """
    if names.questions:
        holder = names.questions[0]
        held = row[holder]
        if not isinstance(held, dict) or len(held) < 2 or not _asks(held):
            if dict not in map(type, row.values()) or option_fields(names) or own_fields(names):
                return row
            offering = [name for name, inner in row.items() if _offers(inner)]
            return _in_its_place(row, offering[0], named) if len(offering) == 1 else row
        return _in_its_place(row, holder, named)
    more = _BELONGING if names.among(ANSWERS) or names.contexts else _BELONGING | _ROLES
    holders = [
        name
        for name, inner in row.items()
        if isinstance(inner, dict) and _asks(inner) and not more.isdisjoint(map(bare_name, inner))
    ]
    if len(holders) != 1:
        return row
    return _in_its_place(row, holders[0], named)


def _offers(inner: object) -> bool:
    """Whether this is an object with options in it, beside a question that stands outside."""
    return isinstance(inner, dict) and any(
        bare_name(name) in _OPTIONS and isinstance(value, (list, tuple, dict)) and read_options(value) is not None
        for name, value in inner.items()
    )


def _in_its_place(row: Row, holder: str, named: Iterable[str]) -> Row:
    """The row with the fields of the object in one of its own in the place of that."""
    kept = {holder: row[holder]} if any(name.startswith(f"{holder}.") for name in named) else {}
    flat: Row = {}
    for name, value in row.items():
        if name == holder and isinstance(value, dict):
            flat |= {key: inner for key, inner in value.items() if key == holder or key not in row}
        elif name != holder:
            flat.setdefault(name, value)
    return flat | kept


def _asks(inner: object) -> bool:
    """Whether this is a row with a question in it."""
    return isinstance(inner, dict) and any(bare_name(name) in _ASKING for name in inner)


_ASKED = frozenset("question problem prompt query instruction stem input".split())  # noqa: SIM905 - reads best
_ASKING = frozenset(QUESTIONS) - {"content", "input", "inputs", "sentence", "turns", "ctx"}
