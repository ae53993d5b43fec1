"""A problem, three sets of them, and what makes two problems one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from selfimprove.problem.wording import normal_form


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A question with its final answer, if one is known.

    `identity` says what makes two problems the same, `key` is the content hash of identity and answer (16 hex digits).
    """

    question: str
    answer: str | None
    source: str
    identity: str
    key: str

    def names(self) -> frozenset[str]:
        """Identity and normal form of the question: two problems that share one of them are the same problem."""
        return frozenset((self.identity, normal_form(self.question)))


@dataclass(frozen=True, kw_only=True)
class ProblemSets:
    """Three sets of distinct problems, no problem in two of them; held-out and sealed ones all have answers.

    `dropped` counts what was left out: `<set> duplicates` (in that set's source) and `<set> in <other set>`.
    `overlap_8gram` is the share of held-out and sealed questions that share an 8-gram of words with a training
    question; questions made from one sentence template reach 1 without any problem being the same.
    """

    train: tuple[Problem, ...]
    heldout: tuple[Problem, ...]
    sealed: tuple[Problem, ...]
    dropped: dict[str, int]
    overlap_8gram: float

    def all_problems(self) -> tuple[Problem, ...]:
        """Training, held-out and sealed problems, in this order."""
        return (*self.train, *self.heldout, *self.sealed)

    def answered(self) -> list[Problem]:
        """Those of all problems that have a reference answer, in the same order."""
        return [problem for problem in self.all_problems() if problem.answer is not None]

    def without(self, left_out: Iterable[Problem]) -> ProblemSets:
        """The sets without these problems, counts and overlap as they were read."""
        keys = {problem.key for problem in left_out}
        train, heldout, sealed = (
            tuple(problem for problem in part if problem.key not in keys)
            for part in (self.train, self.heldout, self.sealed)
        )
        return replace(self, train=train, heldout=heldout, sealed=sealed)

    def fingerprint(self) -> str:
        """SHA-256 (hex) over keys and answers of all sets, in order: equal sets give equal digits."""
        sets = [[(problem.key, problem.answer) for problem in part] for part in (self.train, self.heldout, self.sealed)]
        return hashlib.sha256(json.dumps(sets, separators=(",", ":")).encode()).hexdigest()


def make_problem(question: str, answer: str | None, source: str, identity: str = "") -> Problem:
    """A problem with its key; `identity` defaults to the question's normal form."""
    known_by = identity or normal_form(question)
    text = json.dumps([known_by, answer], separators=(",", ":"))
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Problem(question=question, answer=answer, source=source, identity=known_by, key=key)


def distinct(problems: Sequence[Problem], seed: int) -> tuple[list[Problem], int]:
    """The problems without duplicates, in an order that depends on the seed and not on theirs; how many were dropped.

    Of problems that are the same, one with an answer is kept. The order is that of a hash, so a row added to a file
    moves no other row.
    """

    def rank(problem: Problem) -> tuple[str, bool, str, str]:
        order = hashlib.sha256(f"{seed}:{problem.identity}".encode()).hexdigest()
        return order, problem.answer is None, problem.answer or "", problem.question

    kept: list[Problem] = []
    seen: set[str] = set()
    for problem in sorted(problems, key=rank):
        names = problem.names()
        if seen.isdisjoint(names):
            kept.append(problem)
        seen |= names
    return kept, len(problems) - len(kept)
