"""Watching a run that another process works on: its history, `events.jsonl`, followed into a view as it grows.

Only the history is read, and only its complete lines: one that is being written, or that a kill tore, is left for the
next poll. The view gets each event with the time that it carries, so rates and times left are those that the run itself
would show, however late one begins to watch.

A run that nobody works on and that isn't finished is waited for: it has not begun yet, or it is about to be resumed,
which takes a while before its process holds the run's lock. A name without a folder may also be mistyped, which can't
be told from a run that loads its model before it begins: such a name is waited for too, and the runs in the folder are
listed. Watching ends when nothing more can come: the last event says that the run is finished, or the process that held
the lock has ended (a kill, a Ctrl-C, a power cut).
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable

from selfimprove.errors import UsageError
from selfimprove.events import Note, RunFinished
from selfimprove.store.journal import Journal
from selfimprove.store.names import closest_first, run_names
from selfimprove.view import View

POLL_SECONDS = 0.5
"""Seconds between two reads of the history."""
NAMED = 8
"""Runs that are named where the one that was asked for isn't there."""


def watch(journal: Journal, view: View, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Show the run in the view until nothing more comes; returns whether it is finished, not just left by its process.

    `sleep` is called between two polls. Raises `UsageError` if the history exists and can't be read, or if the folder
    is a comparison's, which no run can use.
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
    """Return when there is something to show: somebody works on the run and has told of it, or it is finished."""
    if journal.is_comparison:
        inside = f"Use: selfimprove watch RUN --rounds-dir {shlex.quote(str(journal.folder))}"
        raise UsageError(f"`{journal.name}` is a comparison, not a run", inside)
    noted = False
    while not _has_begun(journal):
        if not noted:
            view(Note(_awaited(journal)), time.time())
            noted = True
        sleep(POLL_SECONDS)


def _awaited(journal: Journal) -> str:
    """Which run is waited for; where no folder has its name, also which runs there are, since it may be mistyped."""
    state = "isn't running" if journal.events_since(0)[0] else "has not begun yet"
    told = f"Run {journal.name} in {journal.folder.parent} {state}; waiting for it."
    runs = [] if journal.folder.exists() else run_names(journal.folder.parent)
    if not runs:
        return told
    more = f" and {len(runs) - NAMED:,} more" if len(runs) > NAMED else ""
    return f"{told} Runs there, if the name is mistyped: {', '.join(closest_first(journal.name, runs)[:NAMED])}{more}."


def _has_begun(journal: Journal) -> bool:
    """Whether a process works on the run and has told of it, or the run is finished and nobody goes on with it."""
    held = bool(journal.held_by())  # asked first, as in `watch`
    told = journal.events_since(0)[0]
    return bool(told) and held is not isinstance(told[-1].event, RunFinished)
