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
from selfimprove.problem.values import Problem

if TYPE_CHECKING:
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
