"""Delivery of points to a tracker: they go into a queue, and a thread for each tracker hands them over in order.

A tracker may be slow (a server that answers after a minute) or fail (a full disk, a lost login), and neither may slow
or end the run: `put` never waits, and the first failure ends the delivery and is kept in `failure`. When the run ends,
the tracker has `CLOSE_SECONDS` to take what is still in the queue.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from queue import SimpleQueue
from threading import Thread

from selfimprove.tracking.metrics import Point
from selfimprove.tracking.tracker import TrackedRun, Tracker

CLOSE_SECONDS = 30.0
"""Seconds that a tracker has to take what is left when the run ends."""


class Delivery:
    """A tracker behind its queue. `failure` is the first error in one line, empty if there was none."""

    def __init__(self, name: str, open_tracker: Callable[[TrackedRun], Tracker]) -> None:
        self.name = name
        self.failure = ""
        self._open_tracker = open_tracker
        self._tracker: Tracker | None = None
        self._queue: SimpleQueue[Point | None] = SimpleQueue()
        self._thread = Thread(target=self._deliver, name=f"track {name}", daemon=True)

    def begin(self, run: TrackedRun, history: Iterable[Point]) -> None:
        """Open the tracker; one that doesn't know the run gets its history first."""
        try:
            with redirect_stdout(sys.stderr):  # our stdout may be JSON that another program reads
                self._tracker = self._open_tracker(run)
        except Exception as error:  # noqa: BLE001 - foreign code, which may raise anything, and must not end the run
            self._fail(error)
            return
        if not self._tracker.known:
            self.put(history)
        self._thread.start()

    def put(self, points: Iterable[Point]) -> None:
        """Put points into the queue; returns at once."""
        if not self.failure:
            for point in points:
                self._queue.put(point)

    def close(self, finished: bool, timeout: float = CLOSE_SECONDS) -> None:
        """Deliver what is left, within `timeout` seconds, and close the tracker."""
        if self._tracker is None:
            return
        self._queue.put(None)
        self._thread.join(timeout)
        if self._thread.is_alive():
            self.failure = self.failure or f"it had not accepted everything after {timeout:.0f} seconds"
            return
        try:
            with redirect_stdout(sys.stderr):
                self._tracker.close(finished)
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)

    def _deliver(self) -> None:
        assert self._tracker is not None
        try:
            while (point := self._queue.get()) is not None:
                self._tracker.write(point)
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        line = str(error).strip().partition("\n")[0]
        self.failure = self.failure or f"{type(error).__name__}: {line}".removesuffix(": ")
