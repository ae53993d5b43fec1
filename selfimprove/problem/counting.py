"""Fields named like a question or a passage that hold numbers alone: these count, or name texts elsewhere.

A spreadsheet's `Question` may hold 1, 2, 3 and its text stand under `Prompt`. A field in which every row of a source
has a whole number is neither asked nor shown.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from selfimprove.problem.names import Names, Row, bare_name

LEAST_ROWS = 2
"""Rows with numbers from which on they count."""
_LONGEST = 6
"""Digits of such a number, at most."""
_MOST_SEEN = 5000
_TEXTS = frozenset(
    "passage context paragraph article document story table text dialogue dialog conversation transcript".split()
)
"""Bare names of fields whose number names a text that several questions are about."""
_GIVEN = frozenset("input inputs given giveninfo".split())
"""Bare names of fields in which numbers are what a question is about."""


@dataclass
class Counted:
    """How many rows have a number in a field, and how many a text; which numbers, and whether one stood twice."""

    numbers: int = 0
    texts: int = 0
    seen: set[int] = field(default_factory=set)
    again: bool = False

    def look(self, value: object) -> None:
        """Note what a row holds."""
        if self.texts or value is None or value == "":
            return
        if isinstance(value, str) and len(value) <= _LONGEST and (bare := value.strip()).isdecimal():
            value = int(bare)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            self.texts += 1
            return
        self.numbers += 1
        self.again |= value in self.seen
        if len(self.seen) < _MOST_SEEN:
            self.seen.add(value)

    def join(self, other: Counted) -> None:
        """Count what another has counted."""
        self.numbers += other.numbers
        self.texts += other.texts
        self.again |= other.again or not self.seen.isdisjoint(other.seen)
        self.seen |= other.seen

    @property
    def counts(self) -> bool:
        """Whether every row that was looked at has a number."""
        return not self.texts and self.numbers >= LEAST_ROWS


@lru_cache(maxsize=1000)
def counting_fields(names: Names) -> tuple[str, ...]:
    """The fields that a row of these names is read by, where another may be read in the place of one that counts."""
    fields = dict.fromkeys((*names.questions, *names.contexts))
    found = tuple(name for name in fields if bare_name(name) not in _GIVEN)
    return found if len(found) > 1 else ()


def look_at_counts(counted: dict[str, Counted], row: Row, names: Names) -> None:
    """Note which fields for questions and passages hold numbers alone."""
    for name in counting_fields(names):
        found = counted.setdefault(name, Counted())
        if not found.texts:
            found.look(row[name])


def indexes_of(counted: Mapping[str, Counted]) -> frozenset[str]:
    """The fields that hold numbers alone; none if no other is left to be asked."""
    found = frozenset(name for name, one in counted.items() if one.counts)
    return found if len(found) < len(counted) else frozenset()


def absent_of(counted: Mapping[str, Counted]) -> tuple[str, ...]:
    """Those of them that name a text which several questions are about."""
    return tuple(name for name in indexes_of(counted) if counted[name].again and bare_name(name) in _TEXTS)
