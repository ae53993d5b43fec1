"""What all readers of a row share: the recipe's names, the fields of rows by their bare names, and what was used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from selfimprove.problem.counting import indexes_of
from selfimprove.problem.extras import Role, why_taken
from selfimprove.problem.finals import Kind
from selfimprove.problem.guess import Guess, told_of
from selfimprove.problem.learnt import Learnt
from selfimprove.problem.likeness import TRUE, is_of
from selfimprove.problem.marks import marks_of
from selfimprove.problem.names import CONTAINERS, QUESTIONS, Names, Row, bare_name, listed, opened
from selfimprove.problem.rivals import Verdict
from selfimprove.recipe import Problems

ROLES = ("question", "context", "options", "answer")


class SetAside(Exception):  # noqa: N818 - no error: the row is set aside
    """This row can't be asked as it stands."""

    def __init__(self, kind: Kind, why: str) -> None:
        super().__init__(why)
        self.kind, self.why = kind, why


class Lookup:
    """The names under which the rows of a source are looked up; `used` counts the fields that were read by role.

    `roles` and `guess` are what all rows said of fields that no name tells of, once they were all looked at (`settle`),
    `verdict` what they said of several that look like the answer, `aliased` of lists of answers, `formal` of programs,
    `whole` of texts that hold the question, `marks` of fields that say of an answer whether it is right, `indexes` of
    fields for a question or a passage that hold numbers alone.
    """

    def __init__(self, named: Problems) -> None:
        self.named = named
        self.used: dict[str, Counter[str]] = {role: Counter() for role in ROLES}
        self.learnt = Learnt(lacking={role: getattr(named, role) for role in ROLES if getattr(named, role)})
        self.roles: dict[str, Role] = {}
        self.guess = Guess()
        self.verdict = Verdict()
        self.aliased: frozenset[str] = frozenset()
        self.formal: frozenset[str] = frozenset()
        self.whole: frozenset[str] = frozenset()
        self.marks: frozenset[str] = frozenset()
        self.indexes: frozenset[str] = frozenset()
        self.scales: dict[str, None] = {}
        self._settled = False
        self._names: dict[tuple[object, ...], Names] = {}

    def settle(self) -> None:
        """Draw what follows from all rows; to be called when all were looked at, and again for nothing."""
        if not self._settled:
            self._settled = True
            told = (self.named.question, self.named.answer, self.named.options)
            self.roles = {name: role for name, role in self.learnt.roles().items() if name not in told}
            self.guess = self.learnt.guess()
            self.aliased, self.formal = self.learnt.aliased(), self.learnt.formal()
            self.whole, self.marks = self.learnt.whole(), marks_of(self.learnt.marks)
            self.indexes = indexes_of(self.learnt.counted) - {self.named.question, self.named.context}
            if self.indexes:  # what was looked at beside a number may be the question
                self.roles = {name: role for name, role in self.roles.items() if bare_name(name) not in QUESTIONS}
            self.verdict = Verdict() if self.named.answer else self.learnt.verdict()

    def notes(self) -> tuple[str, ...]:
        """What the user is told of fields that were taken by no name of theirs."""
        told = [told_of(self.guess)] if self.guess.fields else []
        taken = {name: role for name, role in self.roles.items() if role != "unsure"}
        if self.verdict.taken:
            told.append(f"`{self.verdict.taken}` was taken for the answer, and not {listed(sorted(self.verdict.left))}")
        told += [
            f"`{name}` holds powers of ten that the numbers are to be taken by, and the references don't have"
            for name in self.scales
        ]
        return (*told, *(f"`{name}` was taken for {role}: {why_taken(role)}" for name, role in taken.items()))

    def names(self, row: Row) -> Names:
        """The row's fields by their bare names, one object for all rows with the same fields."""
        keys = tuple(row)
        if keys not in self._names:
            if len(self._names) > 1000:
                self._names.clear()
            self._names[keys] = Names(keys)
        return self._names[keys]


def containers(row: Row, names: Names) -> Iterator[tuple[str, Row]]:
    """The objects inside a row, the likeliest to hold the answer first."""
    order = {bare: place for place, bare in enumerate(CONTAINERS)}
    for _, name in sorted(names.items(), key=lambda item: (order.get(item[0], len(order)), not is_of(item[1], TRUE))):
        value = row[name]
        may_be = isinstance(value, dict) or (isinstance(value, str) and value.lstrip()[:1] == "{")
        if may_be and isinstance(inner := opened(value), dict):
            yield name, inner


def value_of(row: Row, names: Names, bare: str) -> object:
    """What the row's field of this bare name holds; None without one."""
    return row[names[bare]] if bare in names else None
