"""Marks beside an answer that say whether it is right: those of a student's, a model's or a rollout's.

An answer that is marked wrong is no reference, however the mark is written: `false`, `no`, `0`, `incorrect`, a reward
of 0. What single marks leave open all rows tell: 0 and 1 are marks only in a field that holds nothing else, and a word
only in one of which most values are marks. A mark tells of the row's one answer; beside a reference, or beside what a
model said in another field, it tells nothing of it.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from selfimprove.problem.likeness import is_of, is_recorded, is_reference, words_of
from selfimprove.problem.names import ANSWERS, GRADES, QUESTIONS, SOLUTIONS, Names, Row, bare_name

Said = Literal["right", "wrong", "one", "zero", "other", ""]
"""What a value says as a mark: in words, by a number, nothing of the kind; empty without a value."""

_MARKING = frozenset(
    "correct correctness right verdict judgment judgement grade graded passed pass reward rewards score accuracy acc "
    "em match verify".split()
)
"""Words of fields in which 0 and 1 may be marks too."""
_CHECKED = "verified"
"""A word of fields in which nothing but `false` may say that the answers were not looked at yet."""
_TELLING = frozenset((*_MARKING, "status", "quality", "outcome", "valid", "accepted", _CHECKED))
"""Words of fields in which words may be marks."""
_NO_MARK = frozenset(
    "problem question difficulty level confidence similarity relevance answer solution count number index idx id "
    "option choice letter type name text reason explanation response output completion key".split()
)
"""Words of fields whose values tell of something else."""
_WRONG = frozenset("incorrect wrong false fail failed reject rejected bad invalid no falsch incorrecto".split())
_RIGHT = frozenset("correct right true pass passed accept accepted good valid yes ok richtig correcto".split())
_LETTERED = re.compile(r"[a-e]\s*[:.)]\s*(?=[a-z])")
"""The letter of a grade before its word, as graders are asked for: `B: INCORRECT`."""
_LONGEST = 20
"""Characters of a mark, at most."""
_RESPONDING = frozenset(
    "response output completion prediction predicted generated generation model solution student attempt step llm "
    "rollout resp".split()
)
"""Words of fields with what a model said, of which a mark may tell."""

_TOOK = frozenset("ms sec seconds duration latency".split())


def said_by(name: str, value: object) -> Said:
    """What the value of a field says as a mark."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "right" if value else "wrong"
    text = value.strip().casefold() if isinstance(value, str) and len(value) <= _LONGEST else value
    if isinstance(text, str) and (word := _LETTERED.sub("", text, count=1)) in _WRONG | _RIGHT:
        return "wrong" if word in _WRONG else "right"
    if text in (0, 1, -1, "0", "1", "0.0", "1.0", "-1", "-1.0") and not _MARKING.isdisjoint(words_of(name)):
        return "one" if text in (1, "1", "1.0") else "zero"
    return "other"


@lru_cache(maxsize=1000)
def mark_fields(names: Names) -> tuple[str, ...]:
    """The fields whose names say that they may hold a mark."""
    return tuple(
        name
        for bare, name in names.items()
        if bare in GRADES[:3]
        or (
            not _TELLING.isdisjoint(words := words_of(name))
            and _NO_MARK.isdisjoint(words)
            and bare not in ANSWERS
            and bare not in QUESTIONS
        )
    )


@lru_cache(maxsize=1000)
def marked_field(names: Names) -> str:
    """The field with the row's one answer, of which a mark tells; empty where it may tell of something else."""
    marks = mark_fields(names)
    answers = names.among(ANSWERS) or names.like_answers
    responding = [name for name in names.values() if name not in marks and _responds(name)]
    if answers:
        sure = is_reference(answers[0]) or bare_name(answers[0]) in ("target", "targets", "ideal")
        return "" if responding or sure else answers[0]
    said = names.among(SOLUTIONS)
    return said[0] if len(said) == 1 and set(responding) <= set(said) else ""


def _responds(name: str) -> bool:
    """Whether the field holds what a model said, and not how long it took."""
    return is_of(name, _RESPONDING) and not is_recorded(name) and _TOOK.isdisjoint(words_of(name))


def marks_of(marks: Mapping[str, Counter[str]]) -> frozenset[str]:
    """The fields that hold marks, as all rows tell, by what they hold."""
    return frozenset(name for name, found in marks.items() if _are_marks(name, found))


def _are_marks(name: str, found: Counter[str]) -> bool:
    numbers = found["one"] + found["zero"]
    if _CHECKED in words_of(name) and not found["right"]:
        return False
    return not found["other"] if numbers else found["right"] + found["wrong"] > found["other"]


def wrong_by(row: Row, names: Names, marks: frozenset[str]) -> str:
    """The field that marks the row's answer as wrong; empty without one."""
    for name in mark_fields(names) if marks else ():
        if name in marks and said_by(name, row[name]) in ("wrong", "zero"):
            return name
    return ""


def is_mark(name: str, value: object) -> bool:
    """Whether the value may be a mark and no answer, in a field that may hold either (`correct`)."""
    return said_by(bare_name(name), value) not in ("other", "")
