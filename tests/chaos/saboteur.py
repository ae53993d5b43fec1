"""Kills with a place, carried out by the victim on itself: at an event, or at a fault point after tearing the write."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from pathlib import Path

import psutil

from selfimprove.store.durable import Point
from tests.chaos.kills import Kill
from tests.chaos.trace import Tracer


class Saboteur:
    """Hears marks and fault points of one life, and ends it where its kill says (never, if it has none or an instant).

    As `durable.fault` it also writes each point it sees into the trace.
    """

    def __init__(self, kill: Kill | None, tracer: Tracer) -> None:
        self._kill = kill
        self._tracer = tracer
        self._seen: Counter[tuple[str, str]] = Counter()

    def at_mark(self, mark: str | None) -> None:
        """Die here if this is the mark to die at."""
        if self._kill and self._kill.way == "boundary" and self._kill.where == mark:
            self._die()

    def at_point(self, point: Point, path: Path, data: bytes) -> None:
        """Tear the write and die, if this is the point; the signature is `durable.Fault`."""
        place = self._tracer.place
        self._seen[point, place] += 1
        self._tracer.write("point", point=point)
        kill = self._kill
        if kill and (kill.way, kill.where, kill.nth) == (point, place, self._seen[point, place]):
            if data:
                _tear(path, data, append=point == "append", seed=kill.seed)
            self._die()

    def _die(self) -> None:
        self._tracer.write("killed", children=[child.pid for child in psutil.Process().children(recursive=True)])
        os.kill(os.getpid(), signal.SIGKILL)


def _tear(path: Path, data: bytes, append: bool, seed: int) -> None:
    """Write some of the data, from nothing to all but its last byte, as a write cut short leaves it."""
    with path.open("ab" if append else "wb") as file:
        file.write(data[: random.Random(seed).randrange(len(data))])
