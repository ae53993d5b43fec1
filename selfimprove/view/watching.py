"""Watching a run that another process works on: its history, `events.jsonl`, followed into a view as it grows.

Only the history is read, and only its complete lines: one that is being written, or that a kill tore, is left for the
next poll. The view gets each event with the time that it carries, so rates and times left are those that the run itself
would show, however late one begins to watch.

Watching ends when nothing more can come: the last event says that the run is finished, or nobody
holds the run's lock any more (a kill, a Ctrl-C, a power cut). A run that has not begun yet is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from selfimprove.events import Note, RunFinished
from selfimprove.store.journal import Journal
from selfimprove.view import View

POLL_SECONDS = 0.5
"""Seconds between two reads of the history."""


def watch(journal: Journal, view: View, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Show the run in the view until nothing more comes; returns whether it is finished, not just left by its process.

    `sleep` is called between two polls. Raises `UsageError` if the history exists and can't be read.
    """
    _wait_for(journal, view, sleep)
    place, finished = 0, False
    while True:
        held = journal.held_by()  # asked before the history is read, so the holder's last line isn't missed
        fresh, place = journal.events_since(place)
        for timed in fresh:
            view(timed.event, timed.time)
            finished = isinstance(timed.event, RunFinished)
        if finished or not held:
            return finished
        sleep(POLL_SECONDS)


def _wait_for(journal: Journal, view: View, sleep: Callable[[float], None]) -> None:
    """Return when the run has begun: when its history has an event."""
    noted = False
    while not journal.events_since(0)[0]:
        if not noted:
            view(Note(f"Run {journal.name} in {journal.folder.parent} has not begun yet; waiting for it."), time.time())
            noted = True
        sleep(POLL_SECONDS)
