"""Problems judged by a function of one's own or by their generator: the `Checker` for it, and what its processes call.

`answer` knows texts and references, and nothing of problems. Here a problem goes to the checker's process as JSON
(`packed`) and becomes a `Problem` again there. Run as a module, this file is that process.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from selfimprove.answer.custom import Located, loaded, located
from selfimprove.problem.gym import judged_by_task, prepare_task
from selfimprove.problem.values import Problem, make_problem

if TYPE_CHECKING:
    from selfimprove.answer import Verdict
    from selfimprove.answer.checking import Checker
    from selfimprove.answer.checking.worker import Request
    from selfimprove.recipe import Answers, Recipe

_COMMAND = ("-m", "selfimprove.problem.judging")


def open_checker(settings: Answers, workers: int = 1) -> Checker:
    """The answer checker with a second one beside it, for what it doesn't judge itself; a context manager.

    That one calls the function that the recipe names, or else the scorer of a generated problem. Raises `UsageError` if
    the function isn't there; whether it can be loaded shows when the first process starts.
    """
    from selfimprove.answer.checking import Checker

    name = located(settings.checker).packed() if settings.checker else ""
    return Checker(workers, own=Checker(workers, command=(*_COMMAND, name), contained=True))


def refuse_unloadable(settings: Answers) -> None:
    """`UsageError` if the recipe names a checker that can't be loaded."""
    if settings.checker:
        with open_checker(settings) as checker:
            if checker.own is not None:
                checker.own.start()


def judge_one(text: str, reference: str, question: str, settings: Answers) -> Verdict:
    """The verdict of the recipe's own checker on one text; `UsageError` if it can't be loaded."""
    with open_checker(settings) as checker:
        return own_checker(checker).check(text, packed(make_problem(question, reference, "here")))


def own_checker(checker: Checker) -> Checker:
    """The checker of one's own that stands beside this one; opened by `open_checker`, it is there where it judges."""
    if checker.own is None:
        raise RuntimeError("no checker of one's own was opened for a problem that it judges")
    return checker.own


def checker_digest(settings: Answers) -> str:
    """The SHA-256 of the file of the recipe's own checker; empty if it names none. `UsageError` if it isn't there."""
    return located(settings.checker).sha256() if settings.checker else ""


def checkers_digest(recipe: Recipe) -> str:
    """What a run's checkers of its own are known by: that of the recipe, or of it and of those that guards name."""
    own = checker_digest(recipe.answers)
    named = [f"{guard.name} {located(guard.checker).sha256()}" for guard in recipe.guards if guard.checker]
    return hashlib.sha256("\n".join([own, *named]).encode()).hexdigest() if named else own


def judges_apart(settings: Answers, problem: Problem) -> bool:
    """Whether answers to the problem are judged by the recipe's own checker or a generator, not the answer checker."""
    return bool(settings.checker or problem.drawn)


def own_judge(settings: Answers, problems: Iterable[Problem]) -> str:
    """Who judges in place of the answer checker, by its name: the recipe's checker, a generator; empty: nobody."""
    return settings.checker or next((problem.source for problem in problems if problem.drawn), "")


def packed(problem: Problem) -> str:
    """The problem as a process of the checker reads it."""
    return json.dumps(asdict(problem))


def _problem(request: Request) -> Problem:
    return Problem(**json.loads(request["reference"]))


def _judge(where: Located) -> Callable[[Request], object]:
    function = loaded(where)
    return lambda request: function(request["text"], _problem(request))


def _score(request: Request) -> Verdict:
    return judged_by_task(request["text"], _problem(request).drawn, request["mode"], cut=request["cut"])


def _prepare(request: Request) -> None:
    if drawn := _problem(request).drawn:
        prepare_task(drawn)


def main() -> None:
    """Serve verdicts of the function that the first argument holds, or of the problems' generators if it is empty."""
    from selfimprove.answer.checking.contained import serve_contained

    if not sys.argv[1]:
        serve_contained(lambda: _score, "", sys.argv[2:], _prepare)
    where = Located.unpacked(sys.argv[1])
    serve_contained(lambda: _judge(where), where.name, sys.argv[2:])


if __name__ == "__main__":
    main()
