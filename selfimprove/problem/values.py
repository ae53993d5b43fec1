"""A problem, three sets of them, and what makes two problems one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

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
    tallies: tuple[tuple[str, Tally], ...] = ()
    """By set, what the rows of its file or dataset gave."""

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


@dataclass(frozen=True, kw_only=True)
class Aside:
    """A row without a usable answer, or that can't be asked: where it stands, what kind of lack it is, and why."""

    where: str
    kind: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What the rows of a source gave: rows, problems with an answer, rows whose answer is prose, and the first of them.

    `prose` counts what stands where an answer should and is none; rows that say that there is no answer are not in it.
    """

    source: str
    rows: int
    answered: int
    prose: int
    first: str


def make_problem(question: str, answer: str | None, source: str, identity: str = "", system: str = "") -> Problem:
    """A problem with its key; `identity` defaults to the normal form of the question, with its system turn if any."""
    form = normal_form(question)
    known_by = identity or (f"{form} system: {normal_form(system)}" if system else form)
    text = json.dumps([known_by, answer], separators=(",", ":"))
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Problem(
        question=question, answer=answer, source=source, identity=known_by, key=key, form=form, system=system
    )


@dataclass(frozen=True)
class Distinct:
    """Problems without duplicates, how many duplicates there were, and the rows that disagree with one another."""

    problems: list[Problem]
    duplicates: int
    disagreeing: tuple[Aside, ...]


def distinct(problems: Sequence[Problem], seed: int) -> Distinct:
    """The problems without duplicates, in an order that depends on the seed and not on theirs.

    Of problems that are the same, one with an answer is kept; none is if their answers disagree. The order is that of a
    hash, so a row added to a file moves no other row.
    """

    def rank(problem: Problem) -> tuple[str, bool, str, str]:
        order = hashlib.sha256(f"{seed}:{problem.identity}".encode()).hexdigest()
        return order, problem.answer is None, problem.answer or "", problem.question

    kept: list[Problem] = []
    seen: dict[str, int] = {}
    copies: dict[int, list[Problem]] = {}
    for problem in sorted(problems, key=rank):
        names = problem.names()
        place = min((seen[name] for name in names if name in seen), default=len(kept))
        if place == len(kept):
            kept.append(problem)
        else:
            copies.setdefault(place, []).append(problem)
        for name in names:
            seen.setdefault(name, place)
    return _settled(kept, copies)


def _settled(kept: list[Problem], copies: dict[int, list[Problem]]) -> Distinct:
    """The kept problems without those whose copies give another answer."""
    disagreeing: list[Aside] = []
    out: set[int] = set()
    duplicates = 0
    for place, others in copies.items():
        first = kept[place]
        if all(one.answer is None or agree(first.answer or "", one.answer) for one in others):
            duplicates += len(others)
            continue
        out.add(place)
        answers = " and ".join(
            dict.fromkeys(f"{one.answer!r:.40}" for one in (first, *others) if one.answer is not None)
        )
        why = f"the same question has the answers {answers}"
        disagreeing += [Aside(where=one.source, kind="disagreement", why=why) for one in (first, *others)]
    return Distinct([one for place, one in enumerate(kept) if place not in out], duplicates, tuple(disagreeing))


def agree(first: str, second: str) -> bool:
    """Whether two references are equal to the checker, each judged by the other."""
    if first.strip() == second.strip():
        return True
    return all(check_answer(one, other).outcome is Outcome.CORRECT for one, other in ((first, second), (second, first)))
