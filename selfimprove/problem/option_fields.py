"""The fields of a row that hold its options: one with all of them, or one for each.

Options in a field each are numbered or lettered (`A` … `D`, `option1` …, `ending0` …), or a right answer has its wrong
ones beside it (`Correct Answer` with `Incorrect Answer 1` …, `distractor1` …).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from selfimprove.problem.names import OPTIONS, Names, Row, opened
from selfimprove.problem.options import LETTERS, Options, consecutive, is_plain, read_options

_NUMBERED = re.compile(r"(q?(?:option|opt|op)|choice|(?:mc)?answer|ans|sol|ending|candidate|)([a-j]|\d)")
_WRONG = re.compile(r"(?:incorrectanswers?|distractors?|wronganswers?|incorrectoptions?)\d*")
_NAMED_SO = re.compile(r"(?!correct|right|gold|num|n)\w*(?:choices|options|candidates|alternatives)")
"""Bare names of fields that hold options, whatever stands before."""
_RIGHT = ("correctanswer", "bestanswer", "rightanswer", "correctoption", "correctchoice")


def options_in(row: Row, names: Names, named: str, value: object) -> Options | None:
    """The options of a row; `names` are its fields by their bare names, `value` is what the field `named` holds."""
    if named:
        found = read_options(value)
        return None if found is None else replace(found, fields=(named,))
    return _several_fields(row, names)


@lru_cache(maxsize=1000)
def option_fields(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, of a row's bare ones, under which options may stand."""
    beside = {"label", "correct", "answerkey", "ra", "correctanswerid", "correctansweridx"} & set(names)
    found = [name for name in names if name in OPTIONS or _NAMED_SO.fullmatch(name)]
    return tuple(name for name in found if name != "answers" or beside)


def _several_fields(row: Row, names: Names) -> Options | None:
    if not _may_be_several(tuple(names)):
        return None
    wrong = [name for bare, name in sorted(names.items()) if _WRONG.fullmatch(bare)]
    right = next((names[bare] for bare in _RIGHT if bare in names), None)
    if wrong and right is not None:
        return _with_distractors(row, right, wrong)
    groups: dict[str, dict[str, str]] = {}
    for bare, name in names.items():
        match = _NUMBERED.fullmatch(bare)
        if match and (match[1] or not match[2].isdigit()) and is_plain(row[name]) and str(row[name]).strip():
            groups.setdefault(match[1], {})[match[2]] = name
    for group in groups.values():
        keys = sorted(group)
        if len(keys) >= 2 and consecutive([key.upper() for key in keys]):
            texts = tuple(str(row[group[key]]).strip() for key in keys)
            return Options(
                texts=texts, labels=tuple(key.upper() for key in keys), fields=tuple(group[key] for key in keys),
                separate=True,
            )  # fmt: skip
    return None


@lru_cache(maxsize=1000)
def _may_be_several(names: tuple[str, ...]) -> bool:
    """Whether options may stand in fields of their own, judged by the row's bare names."""
    return any(_WRONG.fullmatch(name) for name in names) or sum(bool(_NUMBERED.fullmatch(one)) for one in names) > 1


def _with_distractors(row: Row, right: str, wrong: Sequence[str]) -> Options | None:
    others: list[str] = []
    for name in wrong:
        value = row[name]
        cells = value if isinstance(value, (list, tuple)) else [value]
        if isinstance(value, str) and name.rstrip(" _").endswith("s"):
            cells = value.split(";")
        others += [str(cell).strip() for cell in cells if is_plain(cell) and str(cell).strip()]
    correct = opened(row[right])
    if not others or not is_plain(correct) or not str(correct).strip() or str(correct).strip() in others:
        return None
    texts = (str(correct).strip(), *dict.fromkeys(others))
    return Options(texts=texts[: len(LETTERS)], right=0, fields=(right, *wrong), separate=True)
