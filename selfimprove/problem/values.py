"""The values that problem sources and the split hand on, and what they ask of a recipe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from selfimprove.problem.wording import normal_form


@dataclass(frozen=True)
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
        """What this problem can be recognised by: two problems that share a name are the same problem."""
        return frozenset((self.identity, normal_form(self.question)))


@dataclass(frozen=True)
class ProblemSets:
    """Three sets of distinct problems, no problem in two of them; held-out and sealed ones all have answers.

    `dropped` counts what was left out: `<set> duplicates` (problems met again while reading that set's source) and
    `<set> in <other set>`. `overlap_8gram` is the share of held-out and sealed questions with 8 words in a row in
    common with a training question; sources with a sentence template reach 1 without any problem being the same.
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


class Part(Protocol):
    """One generator of a mixture, as a recipe states it."""

    @property
    def name(self) -> str: ...  # noqa: D102 - stated by recipe.MixturePart
    @property
    def weight(self) -> float: ...  # noqa: D102 - stated by recipe.MixturePart
    @property
    def params(self) -> Mapping[str, object]: ...  # noqa: D102 - stated by recipe.MixturePart


class Wanted(Protocol):
    """What is asked for: the keys of the recipe's section `problems`, whose meaning is stated there."""

    @property
    def train(self) -> str: ...  # noqa: D102 - stated by recipe.Problems
    @property
    def heldout(self) -> str: ...  # noqa: D102 - stated by recipe.Problems
    @property
    def sealed(self) -> str: ...  # noqa: D102 - stated by recipe.Problems
    @property
    def train_size(self) -> int: ...  # noqa: D102 - stated by recipe.Problems
    @property
    def heldout_size(self) -> int: ...  # noqa: D102 - stated by recipe.Problems
    @property
    def sealed_size(self) -> int: ...  # noqa: D102 - stated by recipe.Problems
    @property
    def seed(self) -> int: ...  # noqa: D102 - stated by recipe.Problems
    @property
    def question(self) -> str: ...  # noqa: D102 - stated by recipe.Problems
    @property
    def answer(self) -> str: ...  # noqa: D102 - stated by recipe.Problems
    @property
    def mixtures(self) -> Mapping[str, Sequence[Part]]: ...  # noqa: D102 - stated by recipe.Problems


def make_problem(question: str, answer: str | None, source: str, identity: str = "") -> Problem:
    """A problem with its key; `identity` defaults to the question's normal form."""
    known_by = identity or normal_form(question)
    text = json.dumps([known_by, answer], separators=(",", ":"))
    return Problem(question, answer, source, known_by, hashlib.sha256(text.encode()).hexdigest()[:16])


def distinct(problems: Sequence[Problem], seed: int) -> tuple[list[Problem], int]:
    """The problems without repetitions in a seeded order that doesn't depend on theirs, and how many were left out.

    Of problems that are the same, one with an answer is kept. The order is that of a hash, so a row added to a file
    moves no other row.
    """
    kept: list[Problem] = []
    seen: set[str] = set()
    for problem in sorted(problems, key=lambda problem: _rank(problem, seed)):
        names = problem.names()
        if seen.isdisjoint(names):
            kept.append(problem)
        seen |= names
    return kept, len(problems) - len(kept)


def _rank(problem: Problem, seed: int) -> tuple[str, bool, str, str]:
    order = hashlib.sha256(f"{seed}:{problem.identity}".encode()).hexdigest()
    return order, problem.answer is None, problem.answer or "", problem.question
