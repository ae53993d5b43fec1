"""Numbered fields with a text each that belong together before a question: `line1` …, `evidence_1` …, `Satz1` …

No list has their names, and each by itself may be too short to be told for a passage: they are looked at as one.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re
from functools import lru_cache

from selfimprove.problem.likeness import ANSWERING, is_of, is_recorded, is_solution
from selfimprove.problem.names import ANSWERS, CHOSEN, LABELS, OPTIONS, PICTURES, QUESTIONS, SOLUTIONS, Names, bare_name

_NUMBERED = re.compile(r"(.*?[^\W\d_])[\W_]*(\d{1,2})")
_ROLES = frozenset((*ANSWERS, *SOLUTIONS, *OPTIONS, *CHOSEN, *LABELS, *QUESTIONS, *PICTURES)) - {"sentence"}
_OFFERING = frozenset(
    "option choice distractor wrong incorrect falsch falsche faux alternative ending opt opsi ans candidate".split()
)
_SIDE = re.compile(r"[\W_]*(?:\d{1,2}|(?<=[\W_])[a-d]|(?<=[\W_])(?:before|after|left|right|pre|post))\Z")
"""The end of a name that tells several fields of one thing apart."""

Family = tuple[str, ...]


@lru_cache(maxsize=1000)
def families(names: Names) -> tuple[Family, ...]:
    """The fields of one stem that count from 0 or 1, in their order."""
    found: dict[str, dict[int, str]] = {}
    for name in names.values():
        if (match := _NUMBERED.fullmatch(name)) and _may_be_text(match[1]):
            found.setdefault(match[1], {})[int(match[2])] = name
    runs = (sorted(family.items()) for family in found.values() if len(family) > 1)
    return tuple(
        tuple(name for _, name in run)
        for run in runs
        if run[0][0] < 2 and [place for place, _ in run] == list(range(run[0][0], run[0][0] + len(run)))
    )


def _may_be_text(stem: str) -> bool:
    """Whether fields of this stem may hold a part of a passage each."""
    bare = bare_name(stem)
    if bare in _ROLES or bare.removesuffix("s") in _ROLES or is_solution(stem):
        return False
    return not (is_of(stem, ANSWERING) or is_of(stem, _OFFERING) or is_recorded(stem))


def stem_of(name: str) -> str:
    """A name without what tells several fields of one thing apart."""
    return _SIDE.sub("", name.lower())
