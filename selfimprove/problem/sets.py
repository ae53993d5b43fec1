"""The three sets of problems that a run works on, and those of its guards."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from selfimprove.problem.table import STEP, Made, keys_and_answers
from selfimprove.problem.values import Problem, Tally


@dataclass(frozen=True, kw_only=True)
class ProblemSets:
    """Three sets of distinct problems, no problem in two of them; held-out and sealed ones all have answers.

    `dropped` counts what was left out: `<set> duplicates` (in that set's source) and `<set> in <other set>`.
    `overlap_8gram` is the share of held-out and sealed questions that share an 8-gram of words with a training
    question; questions made from one sentence template reach 1 without any problem being the same.
    """

    train: Sequence[Problem]
    heldout: tuple[Problem, ...]
    sealed: tuple[Problem, ...]
    dropped: dict[str, int]
    overlap_8gram: float
    tallies: tuple[tuple[str, Tally], ...] = ()
    """By set, what the rows of its file or dataset gave."""
    later: tuple[Problem, ...] = ()
    """What the held-out source has left, for the rounds after the first (`gate.rotate`)."""
    guards: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)
    """The problems of each guard, by its name: all have answers, none is in a set above; two guards may share some."""

    @property
    def parts(self) -> int:
        """Rounds that the held-out source suffices for if each has problems of its own (`gate.rotate`)."""
        return 1 + len(self.later) // len(self.heldout)

    def heldout_part(self, number: int) -> tuple[Problem, ...]:
        """The held-out problems of round `number` (from 1, at most `parts`) if each has problems of its own."""
        size = len(self.heldout)
        return self.heldout if number == 1 else self.later[(number - 2) * size : (number - 1) * size]

    def all_problems(self) -> tuple[Problem, ...]:
        """Training, held-out and sealed problems, in this order, then the held-out ones of later rounds."""
        return (*self.train, *self.heldout, *self.sealed, *self.later)

    def answered(self) -> list[Problem]:
        """Those of all problems that have a reference answer, in the same order."""
        return [problem for problem in self.all_problems() if problem.answer is not None]

    def without(self, left_out: Iterable[Problem]) -> ProblemSets:
        """The sets without these problems, counts and overlap as they were read."""
        keys = {problem.key for problem in left_out}
        train, heldout, sealed, later = (
            tuple(problem for problem in part if problem.key not in keys)
            for part in (self.train, self.heldout, self.sealed, self.later)
        )
        guards = {
            name: tuple(problem for problem in part if problem.key not in keys) for name, part in self.guards.items()
        }
        return replace(self, train=train, heldout=heldout, sealed=sealed, later=later, guards=guards)

    def fingerprint(self) -> str:
        """SHA-256 (hex) over keys and answers of all sets, in order: equal sets give equal digits."""
        digest = hashlib.sha256(b"[")
        more = [*([self.later] if self.later else []), *self.guards.values()]
        for number, part in enumerate((self.train, self.heldout, self.sealed, *more)):
            digest.update(b",[" if number else b"[")
            pairs = keys_and_answers(part) if isinstance(part, Made) else ((one.key, one.answer) for one in part)
            between = ""
            while some := list(itertools.islice(pairs, STEP)):
                digest.update(f"{between}{json.dumps(some, separators=(',', ':'))[1:-1]}".encode())
                between = ","
            digest.update(b"]")
        digest.update(b"]")
        return digest.hexdigest()
