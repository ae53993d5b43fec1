"""Trackers: a run's figures sent to TensorBoard, wandb, trackio or MLflow, as `--track` chooses.

`tracked` gives one listener for the view and the trackers: it passes each event to the view, makes points of it
(`metrics.py`) and delivers these to every chosen tracker (`delivery.py`). A tracker is one file with one class, which
is opened with a `TrackedRun` and is a `Tracker` (`tracker.py`): nothing but the calls of its library.

- A missing package is refused before anything is loaded, with what to type. A tracker that fails later is reported
  once, by a note in the view, and the run goes on without it.
- Nothing is opened before the run has begun, so a start that is refused leaves nothing in a tracker.
- Trackers are runtime: they are no part of the run's identity and may differ from one start to the next. A tracker
  that knows the run from an earlier start goes on in it; any other first gets the run's history, from `events.jsonl`.
- Only numbers and the recipe leave the machine; what a model or a problem says does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from selfimprove.errors import UsageError
from selfimprove.events import Emit, Event, Note, RunFinished, Timed
from selfimprove.recipe import Recipe
from selfimprove.recipe.keys import dotted
from selfimprove.store.journal import Journal
from selfimprove.tracking.delivery import Delivery
from selfimprove.tracking.metrics import Points
from selfimprove.tracking.tracker import TrackedRun, Tracker

TRACKERS = ("tensorboard", "wandb", "trackio", "mlflow")
"""What `--track` takes; each is also the name of its package and of its extra."""

OpenTracker = Callable[[TrackedRun], Tracker]


def read_trackers(names: Sequence[str]) -> dict[str, OpenTracker]:
    """How to open the trackers of these names, by name.

    `UsageError` if there is none of that name, its package isn't installed, or it isn't logged in.
    """
    for name in names:
        if name not in TRACKERS:
            raise UsageError(f"--track {name}: not a tracker", f"Use one of {', '.join(TRACKERS)}.")
        spec = find_spec(name)
        if spec is None or spec.origin is None:  # the folder `wandb` that wandb makes here is no package
            raise UsageError(f"--track {name}: {name} isn't installed", f"Run: pip install 'selfimprove[{name}]'")
    if "wandb" in names:
        from selfimprove.tracking.wandb import refuse_logged_out

        refuse_logged_out()
    return {name: _opener(name) for name in names}


def _opener(name: str) -> OpenTracker:
    match name:
        case "tensorboard":
            from selfimprove.tracking.tensorboard import TensorBoard

            return TensorBoard
        case "wandb":
            from selfimprove.tracking.wandb import Wandb

            return Wandb
        case "trackio":
            from selfimprove.tracking.trackio import Trackio

            return Trackio
        case _:
            from selfimprove.tracking.mlflow import Mlflow

            return Mlflow


@contextmanager
def tracked(trackers: Mapping[str, OpenTracker], journal: Journal, recipe: Recipe, view: Emit) -> Iterator[Emit]:
    """A listener that passes each event to the view and then to the trackers, which are closed at the end."""
    if not trackers:
        yield view
        return
    tracking = _Tracking([Delivery(name, opened) for name, opened in trackers.items()], journal, recipe, view)
    try:
        yield tracking.hear
    finally:
        tracking.close()


class _Tracking:
    """Makes points of events, delivers them, and reports each delivery that failed, once."""

    def __init__(self, deliveries: list[Delivery], journal: Journal, recipe: Recipe, view: Emit) -> None:
        self._deliveries, self._journal, self._recipe, self._view = deliveries, journal, recipe, view
        self._points = Points()
        self._history = [point for timed in journal.events_since(0)[0] for point in self._points.hear(timed)]
        self._begun = self._finished = False

    def hear(self, event: Event) -> None:
        self._view(event)
        if not self._begun:  # the first event is in the run's history by now, so the run has a key
            self._begun = True
            journal, config = self._journal, dotted(self._recipe.model_dump(mode="json"))
            run = TrackedRun(name=journal.name, key=journal.birth(), config=config, folder=journal.tensorboard)
            for delivery in self._deliveries:
                delivery.begin(run, self._history)
        points = self._points.hear(Timed(time.time(), event))
        self._finished = isinstance(event, RunFinished)
        for delivery in self._deliveries:
            delivery.put(points)
        self._report()

    def close(self) -> None:
        for delivery in self._deliveries:
            delivery.close(self._finished)
        self._report()

    def _report(self) -> None:
        for delivery in [delivery for delivery in self._deliveries if delivery.failure]:
            self._deliveries.remove(delivery)
            self._view(Note(f"--track {delivery.name} failed, and the run continues without it: {delivery.failure}"))
