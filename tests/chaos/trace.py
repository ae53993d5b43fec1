"""The trace of a run: what each attempt did, line by line, in a file that is complete up to the instant of a kill.

The child writes each line with one unbuffered append before it does what the line says (only a training step is written
when it is done, since the loop reports it then). The file is outside the run's folder and no part of it. Lines are JSON
objects: `attempt` (its number), `at` (seconds since that attempt began), `place`, `what` (the kind of line), and the
fields of that kind.

A *place* is the part of a run that is under way: `start`, `1 sample`, …, `1 record`, `1 end`, `sealed`, `finish`. A
*mark* is an event that was passed, such as `1 sample done`; the reference run's marks give the time at which each place
is reached.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterable
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
    """Writes the lines of one attempt; `place` is the part of the run that is under way."""

    def __init__(self, path: Path, attempt: int) -> None:
        self.place = "start"
        self._attempt = attempt
        self._began = time.monotonic()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, what: str, **fields: Any) -> None:  # noqa: ANN401 - JSON values
        """Append one line; the system has it on return, so a SIGKILL can't lose it."""
        row = {"attempt": self._attempt, "at": round(time.monotonic() - self._began, 4), "place": self.place}
        os.write(self._file, (json.dumps({**row, "what": what, **fields}) + "\n").encode("ascii"))

    def on_event(self, event: Event) -> str | None:
        """Write the event's mark, if it has one, and update `place`; returns the mark."""
        mark = mark_of(event)
        if mark:
            self.write("mark", name=mark)
        self.place = place_after(event) or self.place
        return mark


def mark_of(event: Event) -> str | None:
    """The mark of an event; None for one that has none, or that repeats what an earlier attempt passed."""
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
_NEXT["judge"] = "record"  # this recipe has no placebo stage


def place_after(event: Event) -> str | None:
    """The place after this event; None if the event does not change it."""
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
    """The lines of one run, all attempts in order."""

    rows: tuple[dict[str, Any], ...]

    def of(self, what: str) -> list[dict[str, Any]]:
        """The lines of one kind."""
        return [row for row in self.rows if row["what"] == what]

    def times(self) -> dict[str, float]:
        """When each mark was first passed, in seconds since the start of that attempt."""
        times: dict[str, float] = {}
        for row in self.of("mark"):
            times.setdefault(row["name"], row["at"])
        return times

    def last(self, attempt: int) -> dict[str, Any]:
        """The last line of an attempt, empty if it wrote none."""
        return next((row for row in reversed(self.rows) if row["attempt"] == attempt), {})


def read_trace(path: Path) -> Trace:
    """The trace in a file, empty if there is none yet."""
    return Trace(tuple(read_rows(path)))


def redone(rows: Iterable[dict[str, Any]]) -> dict[int, Counter[str]]:
    """By attempt, how many units it had begun that a later attempt began again, by kind of work."""
    begun: dict[tuple[str, str], int] = {}
    again: dict[int, Counter[str]] = {}
    for row in rows:
        if row["what"] != "work":
            continue
        for unit in row["units"]:
            before = begun.get((row["kind"], unit))
            if before is not None and before < row["attempt"]:
                again.setdefault(before, Counter())[row["kind"]] += 1
            begun[row["kind"], unit] = row["attempt"]
    return again


def reached(trace: Trace, times: dict[str, float]) -> float:
    """How far a run has come: the time at which the reference run, whose marks `times` are, passed the same mark."""
    return max((times[row["name"]] for row in trace.of("mark") if row["name"] in times), default=0.0)
