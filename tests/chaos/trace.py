"""The trace of a run: what its lives came to, line by line, in a file that no kill can cheat.

A victim writes each line with one unbuffered append before it does what the line says (a training step alone is told
when it is done, since the loop tells it then). The file stands outside the run's folder and is no part of it. Lines are
rows of JSON: `life`, `at` (seconds since that life began), `place`, `what`, and what belongs to it.

*Places.* A point in a run is named by words: `start`, `1 sample`, …, `1 record`, `1 end`, `sealed`, `finish`. A *mark*
is an event that was passed, such as `1 sample done`; the undisturbed run's marks give the time at which a place is
reached.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from selfimprove.events import (
    Event,
    RoundFinished,
    RoundStarted,
    RunFinished,
    RunStarted,
    SealedJudged,
    StageFinished,
    StageProgress,
    StageStarted,
    TrainStep,
)
from selfimprove.round import STAGES
from selfimprove.store.durable import read_rows

Kind = Literal["sampled rows", "judged rows", "training steps"]
KINDS: tuple[Kind, ...] = ("sampled rows", "judged rows", "training steps")
SEALED = "sealed"


class Tracer:
    """Writes the lines of one life; knows where the run is."""

    def __init__(self, path: Path, life: int) -> None:
        self.place = "start"
        self._life = life
        self._began = time.monotonic()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, what: str, **fields: Any) -> None:  # noqa: ANN401 - JSON values
        """Append one line, handed to the system on return."""
        row = {"life": self._life, "at": round(time.monotonic() - self._began, 4), "place": self.place}
        os.write(self._file, (json.dumps({**row, "what": what, **fields}) + "\n").encode("ascii"))

    def hear(self, event: Event) -> str | None:
        """Write the event's mark, if it has one, and move on to the place after it; returns the mark."""
        mark = mark_of(event)
        if mark:
            self.write("mark", name=mark)
        self.place = place_after(event) or self.place
        return mark


def mark_of(event: Event) -> str | None:
    """The name of what an event passes; None for one that passes nothing, or repeats what an earlier start passed."""
    match event:
        case RunStarted():
            return "run started"
        case RunFinished():
            return "run finished"
        case RoundStarted(number):
            return f"{number} started"
        case RoundFinished(number=number, earlier=False):
            return f"{number} done"
        case StageStarted(number=number, stage=stage):
            return f"{_place(number, stage)} started"
        case StageProgress(number=number, stage=stage, done=done):
            return f"{_place(number, stage)} {done}"
        case TrainStep(number=number, step=step):
            return f"{number} train step {step}"
        case StageFinished(number=number, stage=stage, reused=False):
            return f"{_place(number, stage)} done"
        case SealedJudged():
            return "sealed done"
    return None


_NEXT = dict(zip((stage.name for stage in STAGES), [*(stage.name for stage in STAGES[1:]), "record"], strict=True))
_NEXT["judge"] = "record"  # the recipe here wants no placebo


def place_after(event: Event) -> str | None:
    """Where the run is once this event was emitted; None if that does not change."""
    match event:
        case RoundStarted(number):
            return f"{number} {STAGES[0].name}"
        case StageStarted(number=number, stage=stage):
            return _place(number, stage)
        case StageFinished(number=number, stage=stage):
            return f"{number} {_NEXT[stage]}"
        case RoundFinished(number=number, earlier=False):
            return f"{number} end"
        case SealedJudged():
            return "finish"
    return None


def _place(number: int, stage: str) -> str:
    return SEALED if stage == SEALED else f"{number} {stage}"


@dataclass(frozen=True)
class Trace:
    """The lines of one run, all lives in order."""

    rows: tuple[dict[str, Any], ...]

    def of(self, what: str) -> list[dict[str, Any]]:
        """The lines of one sort."""
        return [row for row in self.rows if row["what"] == what]

    def times(self) -> dict[str, float]:
        """When each mark was passed first, in seconds of its life."""
        times: dict[str, float] = {}
        for row in self.of("mark"):
            times.setdefault(row["name"], row["at"])
        return times

    def last(self, life: int) -> dict[str, Any]:
        """The last line of a life, empty if it wrote none."""
        return next((row for row in reversed(self.rows) if row["life"] == life), {})


def read_trace(path: Path) -> Trace:
    """The trace in a file, empty if there is none yet."""
    return Trace(tuple(read_rows(path)))


def redone(rows: Iterable[dict[str, Any]]) -> dict[int, Counter[str]]:
    """For each life, how many units it had begun that were begun again in a later life, by kind of work."""
    begun: dict[tuple[str, str], int] = {}
    again: dict[int, Counter[str]] = {}
    for row in rows:
        if row["what"] != "work":
            continue
        for unit in row["units"]:
            before = begun.get((row["kind"], unit))
            if before is not None and before < row["life"]:
                again.setdefault(before, Counter())[row["kind"]] += 1
            begun[row["kind"], unit] = row["life"]
    return again


def reached(trace: Trace, times: dict[str, float]) -> float:
    """How far a run has come, in seconds of the undisturbed run; `times` are that one's marks."""
    return max((times[name] for name in _names(trace.of("mark")) if name in times), default=0.0)


def _names(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]
