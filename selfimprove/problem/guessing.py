"""What guessing would solve of multiple-choice problems: the level that an accuracy is read against.

A problem counts if its question lists options with letters, as the model is shown them, and its answer is one of these
letters.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from selfimprove.answer.options import options_asked
from selfimprove.problem.values import Problem

LOOKED_AT = 1000
"""Problems that are looked at, at most, spread over all of them."""
WORTH_TELLING = 0.1
"""Share of multiple-choice problems from which on the level is told."""


def guessing_told(problems: Sequence[Problem]) -> str:
    """What a random choice among the options would solve, in words; empty where few problems have options."""
    some = problems[:: -(-len(problems) // LOOKED_AT) or 1]
    chances = [chance for problem in some if (chance := _chance(problem))]
    if len(chances) <= WORTH_TELLING * len(some):
        return ""
    share = len(chances) / len(some)
    solved = f"guessing would solve about {fmean(chances):.0%}"
    return f"{solved} (multiple choice)" if share == 1 else f"{solved} of the multiple-choice problems ({share:.0%})"


def _chance(problem: Problem) -> float:
    """The chance of guessing the answer among the options that the question lists; 0 if it lists none."""
    options = options_asked(problem.question)
    return 1 / len(options) if (problem.answer or "") in options else 0.0
