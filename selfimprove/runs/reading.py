"""Problems read under the eyes of a view: what `problem` tells of its progress, as the events of a stage of round 0."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from selfimprove.events import Emit, Note, StageFinished, StageProgress, StageStarted
from selfimprove.plan.unnamed import recipe_for
from selfimprove.problem.stock import Reading
from selfimprove.recipe import Recipe

STAGE = "reading"
MB = 1_000_000


@contextmanager
def told_reading(emit: Emit) -> Iterator[Reading]:
    """A way of reading that emits its progress in MB, inside `with`; sources that are small or kept emit nothing."""
    started = time.monotonic()
    begun = False

    def told(done: int, total: int) -> None:
        nonlocal begun
        if not begun:
            emit(StageStarted(number=0, stage=STAGE, total=total // MB, kept=0, unit="MB"))
            begun = True
        emit(StageProgress(number=0, stage=STAGE, done=done // MB, total=total // MB, tokens=0))

    yield Reading(told=told)
    if begun:
        seconds = time.monotonic() - started
        emit(StageFinished(number=0, stage=STAGE, seconds=seconds, counts={}, reused=False))


def told_recipe(path: Path | None, typed: Mapping[str, object], emit: Emit) -> Recipe:
    """The recipe of a new run as `recipe_for` gives it, with a note that says what chose it."""
    with told_reading(emit) as reading:
        chosen, why = recipe_for(path, typed, reading)
    if why:
        emit(Note(why))
    return chosen
