"""Watching a run that another process works on: its history, `events.jsonl`, followed into a view as it grows.

The history is all that is read. Only whole lines count, so a line that is being written, or that a kill tore, is left
for the next look. Events are told to the view with the time they carry, so that rates and times left are those the run
itself would show, however late one begins to watch.

Watching ends by itself when there is nothing more to come: the last event says that the run is finished, or nobody
holds the run's lock any more (a kill, a Ctrl-C, a power cut). A run that has not begun yet is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from selfimprove.events import Note, RunFinished
from selfimprove.store.journal import Journal
from selfimprove.view import View

LOOK_EVERY = 0.5
"""Seconds between two looks at the history."""


def watch(journal: Journal, view: View, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Show the run in the view until nothing more comes; whether it is finished, and not just left by its process.

    `sleep` is called between two looks. Raises `UsageError` if the history is there and can't be read.
    """
    _wait_for(journal, view, sleep)
    place, finished = 0, False
    while True:
        held = journal.held_by()  # asked before the history is read: what the holder wrote last is then seen
        fresh, place = journal.events_since(place)
        for timed in fresh:
            view(timed.event, timed.time)
            finished = isinstance(timed.event, RunFinished)
        if finished or not held:
            return finished
        sleep(LOOK_EVERY)


def _wait_for(journal: Journal, view: View, sleep: Callable[[float], None]) -> None:
    """Returns when the run has begun: when its history holds an event."""
    told = False
    while not journal.events_since(0)[0]:
        if not told:
            view(Note(f"Run {journal.name} in {journal.folder.parent} has not begun yet; waiting for it."), time.time())
            told = True
        sleep(LOOK_EVERY)
