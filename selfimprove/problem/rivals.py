"""Two fields of a source that both look like its answer and disagree: which of them is the reference.

A data set that judges models has their answers beside its own, and one that was revised has the old labels. The order
of the names in `ANSWERS` can't tell these apart, and a wrong one poisons every verdict. So the final answers in such
fields are compared: where they differ in some rows, and agree in others or are numbers both, one of them is taken only
if its name says that it is the reference and something says that the other is not. Else the source is refused, or,
where few rows differ, these have no answer.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from selfimprove.answer import Outcome, check
from selfimprove.problem.aliases import one_answer
from selfimprove.problem.finals import final_of
from selfimprove.problem.likeness import GIVEN, TRUE, is_beside, is_of, is_reference, is_solution
from selfimprove.problem.marks import is_mark
from selfimprove.problem.names import ANSWERS, GRADES, LABELS, SCORES, SOLUTIONS, Group, Names, Row, bare_name, opened
from selfimprove.problem.option_fields import option_fields, own_fields

MOST_ROWS = 200
"""Rows of a part of a source in which such fields are compared."""
MOST_SOLVED = 50
"""Rows in which an answer is compared with what a solution ends on."""
LEAST_SOLVED = 4
"""Such rows from which on more than a quarter that differ are too many."""
MOST_CHECKED = 20
"""Formulas that are compared by the checker, of these."""
LEAST_SAME, LEAST_SHARED = 5, 3
"""One row of so many has the same in two fields that no name ties, at least, and the values that it then has."""
MOST_APART, MOST_OTHERS = 50, 3
"""Rows in which such fields are compared, and how many of these are."""
_SHORT = 60
"""Characters of a value that may be an answer by itself, at most."""
FEW = 10
"""One row of so many may differ, at most, without the source being refused."""

_TARGET = frozenset("target label".split())
_MODEL = frozenset(
    "output model predicted prediction generated generation response completion sampled guess guessed".split()
)
"""Words of the name of an answer that a model gave, or an earlier label."""
_GRADED = Group((*GRADES, *SCORES))
_SIGNS = frozenset("mistake model predicted prediction generated generation completion correctness rollout llm".split())
"""Words of fields beside which an answer may be a model's."""
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?|[-+]?\.\d+")
_FORMULA = re.compile(r"[\\$^={}/]")
_YES = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}

Found = Literal["same", "number", "word", ""]
"""Two answers are the same, or differ as numbers or as words; empty where they can't be compared."""
Pair = tuple[str, str]


@dataclass
class Rivals:
    """How often the answers of two fields agree, differ as numbers and as words, and are of different kinds.

    `shared` holds a few values that both have in one row; `apart`: the name of one tells of no answer.
    """

    rows: int = 0
    checked: int = 0
    same: int = 0
    numbers: int = 0
    words: int = 0
    unlike: int = 0
    shared: set[str] = field(default_factory=set)
    apart: bool = False

    def join(self, other: Rivals) -> None:
        """Count what another has counted."""
        self.rows += other.rows
        self.checked += other.checked
        self.same += other.same
        self.numbers += other.numbers
        self.words += other.words
        self.unlike += other.unlike
        self.shared |= other.shared
        self.apart |= other.apart

    def differ(self) -> bool:
        """Whether the two are about the same and disagree."""
        return bool(self.numbers or (self.words and self.same))

    def meet(self) -> bool:
        """Whether the two hold one thing by what they hold: so many rows have the same, and not always one value."""
        return LEAST_SAME * self.same >= self.rows and len(self.shared) >= LEAST_SHARED

    def total(self) -> int:
        """How many rows could be compared."""
        return self.same + self.numbers + self.words

    def few(self, share: int = FEW) -> bool:
        """Whether few rows differ, one of so many at most."""
        return share * (self.numbers + self.words) <= self.total()


@dataclass(frozen=True)
class Verdict:
    """The field that is the answer, those that are not although they look so, and pairs of which none can be told."""

    taken: str = ""
    left: frozenset[str] = frozenset()
    unsure: Mapping[Pair, Rivals] = field(default_factory=dict)


def _rank(name: str) -> int:
    """How surely the name is that of a reference."""
    return 2 if is_of(name, TRUE) else 1 if is_of(name, _TARGET) else 0


@lru_cache(maxsize=1000)
def _pairs(names: Names) -> tuple[Pair, ...]:
    """The fields of these that may be the answer, each with those that are taken after it."""
    usual = names.among(ANSWERS)
    like = [name for name in names.like_answers if name not in usual and _rank(name)]
    like += [name for name in names.values() if name not in usual and name not in like and _is_reference(name)]
    labels = [name for name in names.among(LABELS) if name not in usual and not is_beside(name)]
    found = (*usual, *like, *labels)
    graded = names.among(_GRADED) or any(is_of(name, _SIGNS) for name in names.values())
    solved = names.get("solution") if usual and _rank(usual[0]) < 2 and not graded else None
    return (
        ((usual[0], solved),)
        if solved and len(found) == 1
        else tuple(
            (first, second)
            for place, first in enumerate(found)
            for second in found[place + 1 :]
            if _rank(first) < 2 or _rank(second) == 2  # else the name of the first tells
        )
    )


@lru_cache(maxsize=1000)
def _apart(names: Names) -> tuple[Pair, ...]:
    """The first of the fields that may be the answer, with others that may be it although no list has their names."""
    first = next(iter((*names.among(ANSWERS), *names.like_answers, *names.among(SOLUTIONS))), "")
    if not first or _rank(first) == 2 or option_fields(names) or own_fields(names):
        return ()
    told = {name for pair in _pairs(names) for name in pair}
    others = [name for name in names.values() if name not in told and name not in names.questions and name != first]
    likely = [name for name in others if is_reference(name) and not is_of(name, GIVEN)]
    said = frozenset((first, *likely, *(name for name in others if is_of(name, _MODEL))))
    plain = [name for name in names.others if name in others and name not in said and not names.contexts]
    return tuple((first, name) for name in (*likely, *plain[:MOST_OTHERS]))


def _look_apart(rivals: dict[Pair, Rivals], row: Row, names: Names) -> None:
    """Compare the row's answer with short values under names that tell little."""
    for pair in _apart(names):
        first, second = row[pair[0]], row[pair[1]]
        if not _is_short(first) or not _is_short(second) or is_mark(pair[1], second):
            continue
        found = rivals.setdefault(pair, Rivals(apart=True))
        if found.rows >= MOST_APART:
            continue
        found.rows += 1
        kind = "same" if str(first).strip() == str(second).strip() else compared(row, pair, exact=False)
        found.same += kind == "same"
        found.numbers += kind == "number"
        found.words += kind == "word"
        if kind == "same" and len(found.shared) < LEAST_SHARED:
            found.shared.add(str(first))


def _is_short(value: object) -> bool:
    """Whether this may be an answer by itself, and no list of them."""
    if isinstance(value, str):
        return 0 < len(value) <= _SHORT and value[:1] not in "[{"
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_reference(name: str) -> bool:
    """Whether this is a solution that is called the right one."""
    return is_solution(name) and is_of(name, TRUE)


def look(rivals: dict[Pair, Rivals], row: Row, names: Names) -> None:
    """Compare the fields of a row that may be its answer."""
    _look_apart(rivals, row, names)
    for pair in _pairs(names):
        first, second = row[pair[0]], row[pair[1]]
        if first in (None, "", []) or second in (None, "", []):
            continue
        found = rivals.setdefault(pair, Rivals())
        if found.rows >= (MOST_SOLVED if bare_name(pair[1]) == "solution" else MOST_ROWS):
            continue
        found.rows += 1
        kind = "same" if first == second else compared(row, pair, exact=found.checked < MOST_CHECKED)
        found.checked += kind != "same"
        found.same += kind == "same"
        found.numbers += kind == "number" and names_number(pair)
        found.words += kind == "word"
        found.unlike += not kind and _is_short(first) and _is_short(second)


def names_number(pair: Pair) -> bool:
    """Whether numbers in both fields may be answers: one in a label is that of a class."""
    return not any(is_of(name, frozenset(("label",))) for name in pair)


def compared(row: Row, pair: Pair, *, exact: bool) -> Found:
    """How the answers of two fields of a row compare; `exact`: formulas by the checker."""
    firsts, seconds = (_answers_in(row[name], name) for name in pair)
    found = [_compared(one, other, exact=exact) for one in firsts for other in seconds]
    return "same" if "same" in found else next((kind for kind in found if kind), "")


def _answers_in(value: object, name: str) -> list[str]:
    inner = opened(value)
    values = inner if isinstance(inner, (list, tuple)) and len(inner) < 20 else [inner]
    if bare_name(name) == "solution":
        values = [one for one in values if _tells_end(one)]
    finals = [final_of(one, name, "") for one in values]
    return [str(final.text).strip() for final in finals if final.text and final.text.strip()]


def _tells_end(solution: object) -> bool:
    """Whether a solution marks its final answer, or is a number."""
    text = str(solution)
    return "\\boxed" in text or "####" in text or bool(_NUMBER.fullmatch(text.strip()))


def _compared(one: str, other: str, *, exact: bool) -> Found:
    first, second = (text.strip("$ .").casefold() for text in (one, other))
    if first == second or (first in _YES and _YES[first] == _YES.get(second)):
        return "same"
    bools = (first in _YES) + (second in _YES)
    letters = sum(len(text) == 1 and text.isalpha() for text in (first, second))
    if 1 in (bools, letters):
        return ""
    if 2 in (bools, letters):
        return "word"
    numbers = [_NUMBER.fullmatch(text) for text in (first, second)]
    if all(numbers):
        return "same" if float(first.replace(",", "")) == float(second.replace(",", "")) else "number"
    if any(numbers) or _FORMULA.search(first) or _FORMULA.search(second):
        if {match.replace(",", "") for match in _NUMBER.findall(first)} & set(_NUMBER.findall(second.replace(",", ""))):
            return "same" if any(numbers) else ""
        if not exact or not (_FORMULA.search(first) or _FORMULA.search(second)):
            return ""
        outcome = check(f"\\boxed{{{one}}}", other).outcome
        return "same" if outcome is Outcome.CORRECT else "number" if outcome is Outcome.WRONG else ""
    return "same" if one_answer([one, other]) else "word"


def judged(rivals: Mapping[Pair, Rivals], known: Iterable[str]) -> Verdict:
    """Which of the fields that were compared is the answer; `known` are the names of all fields."""
    signs = any(is_of(name, _SIGNS) for name in known)
    taken: dict[str, None] = {}
    left: set[str] = set()
    unsure: dict[Pair, Rivals] = {}
    for (first, second), found in rivals.items():
        ranks = _rank(first), _rank(second)
        unlike = ranks[1] == 2 > ranks[0] and found.unlike and found.same
        if found.apart and not found.meet():
            continue
        if not found.differ() and not unlike:
            if found.words and _rank(first) == 0 and is_of(second, frozenset(("target",))):
                unsure[first, second] = found
            continue
        solved = bare_name(second) == "solution"
        if is_solution(second) and (found.few(LEAST_SOLVED if solved else FEW) or found.total() < LEAST_SOLVED):
            continue
        if ranks[1] > ranks[0] and (ranks[1] == 2 or signs or is_of(first, _MODEL)):
            taken[second] = None
            left.add(first)
        else:
            unsure[first, second] = found
    taken = {name: None for name in taken if name not in left}
    unsure = {pair: found for pair, found in unsure.items() if left.isdisjoint(pair)}
    return Verdict(next(iter(taken), ""), frozenset(left), unsure)
