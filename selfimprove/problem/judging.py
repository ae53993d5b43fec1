"""Problems judged by a checker of one's own: the `Checker` that a recipe asks for, and what its processes call.

`answer` knows texts and references, and nothing of problems. Here a problem goes to the checker's process as JSON
(`packed`) and becomes a `Problem` again there. Run as a module, this file is that process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from selfimprove.answer.custom import Located, loaded, located
from selfimprove.problem.values import Problem, make_problem

if TYPE_CHECKING:
    from selfimprove.answer import Verdict
    from selfimprove.answer.checking import Checker
    from selfimprove.answer.checking.worker import Request
    from selfimprove.recipe import Answers

_COMMAND = ("-m", "selfimprove.problem.judging")


def open_checker(settings: Answers, workers: int = 1) -> Checker:
    """The answer checker with the checker of one's own beside it, if the recipe names one; a context manager.

    Raises `UsageError` if that isn't there. Whether it can be loaded shows when its first process starts.
    """
    from selfimprove.answer.checking import Checker

    name = located(settings.checker).packed() if settings.checker else ""
    own = Checker(workers, command=(*_COMMAND, name), contained=True) if name else None
    return Checker(workers, own=own)


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


def judges_apart(settings: Answers, problem: Problem) -> bool:
    """Whether answers to the problem are judged by a checker of one's own, and not by the answer checker."""
    return bool(settings.checker)


def packed(problem: Problem) -> str:
    """The problem as a process of the checker reads it."""
    return json.dumps(asdict(problem))


def _judge(where: Located) -> Callable[[Request], object]:
    function = loaded(where)
    return lambda request: function(request["text"], Problem(**json.loads(request["reference"])))


def main() -> None:
    """Serve verdicts of the function that the first argument holds."""
    from selfimprove.answer.checking.contained import serve_contained

    where = Located.unpacked(sys.argv[1])
    serve_contained(lambda: _judge(where), where.name, sys.argv[2:])


if __name__ == "__main__":
    main()
