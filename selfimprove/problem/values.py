"""A problem, three sets of them, and what makes two problems one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as quoted

from selfimprove.answer import Outcome, check_answer
from selfimprove.problem.wording import normal_form


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A question with its final answer, if one is known.

    `identity` says what makes two problems the same, `key` is the content hash of identity and answer (16 hex digits).
    `form` is the normal form of the question, kept since finding it is what reading costs most. `system` is the system
    turn that a chat's question came with; empty: the recipe's. `drawn` is the item of a generator that judges answers
    itself (`gym`), else empty.
    """

    question: str
    answer: str | None
    source: str
    identity: str
    key: str
    form: str
    system: str = ""
    drawn: str = field(default="", repr=False, compare=False)

    def names(self) -> frozenset[str]:
        """Identity and normal form of the question: two problems that share one of them are the same problem."""
        return frozenset((self.identity,) if self.system else (self.identity, self.form))


@dataclass(frozen=True, kw_only=True)
class Aside:
    """A row without a usable answer, or that can't be asked: where it stands, what kind of lack it is, and why."""

    where: str
    kind: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What the rows of a source gave: rows, problems with an answer, rows whose answer is prose, and the first of them.

    `aside` counts all rows without a usable answer, `prose` those with something else where it should stand. `notes`
    are those on its fields (`stock.Stock`).
    """

    source: str
    rows: int
    answered: int
    aside: int
    prose: int
    first: str
    notes: tuple[str, ...] = ()


def make_problem(question: str, answer: str | None, source: str, identity: str = "", system: str = "") -> Problem:
    """A problem with its key; `identity` defaults to the normal form of the question, with its system turn if any."""
    form = normal_form(question)
    known_by = identity or (f"{form} system: {normal_form(system)}" if system else form)
    text = f"[{quoted(known_by)},{'null' if answer is None else quoted(answer)}]"  # a list as JSON, without an encoder
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Problem(
        question=question, answer=answer, source=source, identity=known_by, key=key, form=form, system=system
    )


def agree(first: str, second: str) -> bool:
    """Whether two references are equal to the checker, each judged by the other."""
    if first.strip() == second.strip():
        return True
    return all(check_answer(one, other).outcome is Outcome.CORRECT for one, other in ((first, second), (second, first)))
