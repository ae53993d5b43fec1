"""References that can't be judged against, found by the checker that would judge with them.

A reference is faulty if it isn't equal to itself, or equal to a perturbed copy of itself; an answer to such a problem
would be counted wrong, or right, whatever it is. To a checker of one's own a reference need not be an answer (it may be
a schema, or tests), so there it is faulty if the checker fails over it. A generator that judges answers itself must
accept its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfimprove.answer import Outcome, Verdict
from selfimprove.answer.checking.pool import Checker
from selfimprove.escaping import escape_text
from selfimprove.problem.gym import UNSTATED
from selfimprove.problem.judging import judges_apart, open_checker, own_checker, packed
from selfimprove.problem.values import Problem
from selfimprove.recipe import Answers, Problems, Recipe


@dataclass(frozen=True)
class FaultyReference:
    """A problem whose reference can't be judged against, and why."""

    problem: Problem
    fault: str


def faulty_references(problems: Sequence[Problem], checker: Checker, settings: Answers) -> tuple[FaultyReference, ...]:
    """Those of these problems, which all have an answer, whose reference the checker can't judge against."""
    plain = [problem for problem in problems if not judges_apart(settings, problem)]
    apart = [problem for problem in problems if judges_apart(settings, problem)]
    faults = dict(zip(plain, checker.faults_of_references([problem.answer or "" for problem in plain]), strict=True))
    if apart:
        asked = [(_as_completion(problem, settings), packed(problem)) for problem in apart]
        verdicts = own_checker(checker).check_all(asked)
        faults |= {problem: _fault(problem, found, settings) for problem, found in zip(apart, verdicts, strict=True)}
    return tuple(FaultyReference(problem, fault) for problem in problems if (fault := faults[problem]))


def _as_completion(problem: Problem, settings: Answers) -> str:
    answer = problem.answer or ""
    return answer if settings.checker else f"<answer>{answer}</answer>"


def _fault(problem: Problem, verdict: Verdict, settings: Answers) -> str | None:
    """Why a reference is no answer that the checker of one's own can be given, or no right one to its generator."""
    if not settings.checker and problem.answer != UNSTATED and verdict.outcome is not Outcome.CORRECT:
        return f"its generator doesn't accept it: {verdict.reason}"
    failed = verdict.outcome in (Outcome.ERROR, Outcome.TIMED_OUT)
    return f"the checker fails over it: {verdict.reason}" if failed else None


_ALL = {"train_size": 0, "heldout": "", "heldout_size": 1, "sealed": "", "sealed_size": 1}


def readings_of(recipe: Recipe, source: str) -> list[tuple[Problems, Answers]]:
    """How the recipe reads and judges this source: as its problems, and as those of each guard that names it.

    A source that the recipe doesn't name is read as its problems are.
    """
    own, guards = recipe.problems, [guard for guard in recipe.guards if guard.problems == source]
    every = own.model_copy(update={**_ALL, "train": source})
    found = [] if guards and source not in (own.train, own.heldout, own.sealed) else [(every, recipe.answers)]
    for guard in guards:
        fields = {"question": guard.question, "answer": guard.answer, "context": "", "options": ""}
        found.append((every.model_copy(update=fields), recipe.guarding(guard).answers))
    return found


def references_text(problems: Sequence[Problem], settings: Answers, workers: int) -> str:
    """The references that can't be judged against, with the reason, and how many there are."""
    listed = [problem for problem in problems if problem.answer is not None]
    with open_checker(settings, workers) as checker:
        faulty = faulty_references(listed, checker, settings)
    lines = [
        f"{_shown(found.problem.source)}: {_shown(found.problem.answer or '')}: {_shown(found.fault)}"
        for found in faulty
    ]
    return "\n".join([*lines, f"{len(listed)} references, {len(lines)} can't be judged against"])


def _shown(text: str) -> str:
    return escape_text(text, 160)
