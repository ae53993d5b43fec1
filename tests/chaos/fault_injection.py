"""Kills that the child carries out on itself: at an event, or at a fault point after tearing the write."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from pathlib import Path

import psutil

from selfimprove.store.durable import Point
from tests.chaos.kill_plan import Kill
from tests.chaos.trace import Tracer


class FaultInjector:
    """Watches the marks and fault points of one attempt, and kills the process where its kill says.

    It never does without a kill, or with one at an instant, which is the parent's. `at_point` is installed as
    `durable.fault`, and writes each point into the trace.
    """

    def __init__(self, kill: Kill | None, tracer: Tracer) -> None:
        self._kill = kill
        self._tracer = tracer
        self._seen: Counter[tuple[str, str]] = Counter()

    def at_mark(self, mark: str | None) -> None:
        """Kill the process if this is its kill's mark."""
        if self._kill and self._kill.way == "boundary" and self._kill.where == mark:
            self._kill_process()

    def at_point(self, point: Point, path: Path, data: bytes) -> None:
        """Tear the write and kill the process if this is its kill's point; has the signature of `durable.Fault`."""
        place = self._tracer.place
        self._seen[point, place] += 1
        self._tracer.write("point", point=point)
        kill = self._kill
        if kill and (kill.way, kill.where, kill.nth) == (point, place, self._seen[point, place]):
            if data:
                _tear(path, data, append=point == "append", seed=kill.seed)
            self._kill_process()

    def _kill_process(self) -> None:
        self._tracer.write("killed", children=[child.pid for child in psutil.Process().children(recursive=True)])
        os.kill(os.getpid(), signal.SIGKILL)


def _tear(path: Path, data: bytes, append: bool, seed: int) -> None:
    """Write a random share of the data, at most all but its last byte, as an interrupted write leaves it."""
    with path.open("ab" if append else "wb") as file:
        file.write(data[: random.Random(seed).randrange(len(data))])
