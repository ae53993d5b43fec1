"""References that can't be judged against, found by the checker that would judge with them.

A reference is faulty if it isn't equal to itself, or equal to a perturbed copy of itself; an answer to such a problem
would be counted wrong, or right, whatever it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfimprove.answer.checking.pool import Checker
from selfimprove.escaping import escape_text
from selfimprove.problem.sets import ProblemSets
from selfimprove.problem.values import Problem


@dataclass(frozen=True)
class FaultyReference:
    """A problem whose reference can't be judged against, and why."""

    problem: Problem
    fault: str


def faulty_references(problems: Sequence[Problem], checker: Checker) -> tuple[FaultyReference, ...]:
    """Those of these problems, which all have an answer, whose reference the checker can't judge against."""
    faults = checker.faults_of_references([problem.answer or "" for problem in problems])
    return tuple(FaultyReference(problem, fault) for problem, fault in zip(problems, faults, strict=True) if fault)


def references_text(problems: ProblemSets, workers: int) -> str:
    """The references of all sets that can't be judged against, with the reason, and how many there are."""
    listed = problems.answered()
    with Checker(workers) as checker:
        faulty = faulty_references(listed, checker)
    lines = [
        f"{_shown(found.problem.source)}: {_shown(found.problem.answer or '')}: {_shown(found.fault)}"
        for found in faulty
    ]
    return "\n".join([*lines, f"{len(listed)} references, {len(lines)} can't be judged against"])


def _shown(text: str) -> str:
    return escape_text(text, 160)
