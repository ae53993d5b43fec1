"""A crew of Ray actors: an ordered map over a list of items that survives the loss of workers.

Each worker has one item at a time. Results are yielded in the order of the items, whatever order they come in: those
that come early are held back, and at most `WINDOW` items per worker are under way or held back, so items are taken from
their iterator only shortly before they are needed. Closing the iterator cancels what is under way: a worker finishes
its item, and the result is dropped.

*A lost worker.* Its actor is dead, its node is gone, its engine failed (`StageError`), or it hangs: it has not finished
its item in the time that `patience` gives it. Its item is given to another
worker, before any new one, at most `TRIES` times in all; then `StageError` names it. A new actor replaces the lost one
as soon as the cluster has room for it, and the crew goes on meanwhile with those it has. A crew that only loses workers
and finishes nothing gives up after `LOSSES` losses per worker. Everything else that a worker raises is raised here: a
user's error as itself, a bug with its traceback.

Workers that the cluster has no room for wait and join later; a crew can work with one, and waits `START_SECONDS` for
it.
"""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from selfimprove.engines.patience import START_SECONDS
from selfimprove.errors import SelfImproveError, StageError

WINDOW = 2  # items per worker that are under way or held back
TRIES = 3
LOSSES = 3

Item = tuple[int, Any]
"""An item with its number in the list."""


@dataclass
class _Member:
    """A worker, the call it is busy with, and its item; None while it prepares, rests, or finishes a cancelled item.

    `due` is when the item has to be finished, a monotonic time.
    """

    actor: Any
    task: Any = None
    item: Item | None = None
    due: float = 0.0


@dataclass
class _Progress:
    """The state of one `map`: items taken from `source`, those to `retry`, and results held back until their turn."""

    source: Iterator[Item]
    window: int
    retry: deque[Item] = field(default_factory=deque)
    losses: Counter[int] = field(default_factory=Counter)
    held: dict[int, Any] = field(default_factory=dict)
    begun: int = 0
    yielded: int = 0
    exhausted: bool = False

    def next_item(self) -> Item | None:
        """The next item for a worker; None if there is none, or the window is full."""
        if self.retry:
            return self.retry.popleft()
        if self.exhausted or self.begun - self.yielded >= self.window:
            return None
        item = next(self.source, None)
        self.exhausted, self.begun = item is None, self.begun + (item is not None)
        return item

    def in_turn(self) -> Iterator[Any]:
        """The results that are next in the order of the items."""
        while self.yielded in self.held:
            self.yielded += 1
            yield self.held.pop(self.yielded - 1)


class Crew:
    """`size` actors made by `hire`; an actor has the methods `prepare(*setup)`, `work(item)` and `rest()`.

    `name` says what an item is, for the error of one that could not be finished, and `patience` how many seconds a
    worker may take for it.
    """

    def __init__(
        self, hire: Callable[[], Any], size: int, name: Callable[[Any], str], patience: Callable[[Any], float]
    ) -> None:
        self._hire = hire
        self._size = size
        self._name = name
        self._patience = patience
        self._members: list[_Member] = []
        self._setup: tuple[Any, ...] = ()
        self._losses = 0

    def prepare(self, *setup: Any) -> Any:  # noqa: ANN401 - what the actors take, and what they answer
        """Prepare all workers, and later those that replace lost ones; returns the first one's answer."""
        self._setup, self._losses = setup, 0
        missing = self._size - len(self._members)
        self._members += [_Member(self._hire()) for _ in range(missing)]
        for member in self._members:
            member.task, member.item = member.actor.prepare.remote(*setup), None
        answer, nothing = None, _Progress(iter(()), 0)
        while all(member.task is not None for member in self._members):
            answer = self._settle(nothing)
        return answer

    def await_all(self) -> None:
        """Return once every worker is prepared; for measurements, since `map` begins with the first."""
        nothing = _Progress(iter(()), 0)
        while any(member.task is not None for member in self._members):
            self._settle(nothing)

    def rest(self) -> None:
        """Have every worker close what it prepared, once it has finished its item."""
        for member in self._members:
            member.task, member.item = member.actor.rest.remote(), None

    def map(self, items: Iterable[Any]) -> Generator[Any, None, None]:
        """The workers' results in the order of the items."""
        progress = _Progress(enumerate(items), WINDOW * self._size)
        try:
            while True:
                yield from progress.in_turn()
                self._hand_out(progress)
                if progress.exhausted and progress.begun == progress.yielded:
                    return
                self._settle(progress)
        finally:
            for member in self._members:
                member.item = None

    def dismiss(self) -> None:
        """End all workers; what they hold is free again."""
        for member in self._members:
            ray.kill(member.actor)
        self._members = []

    def _hand_out(self, progress: _Progress) -> None:
        for member in self._members:
            item = progress.next_item() if member.task is None else None
            if item is not None:
                member.item, member.task = item, member.actor.work.remote(item[1])
                member.due = time.monotonic() + self._patience(item[1])

    def _settle(self, progress: _Progress) -> Any:  # noqa: ANN401 - what a worker answers
        """Wait until one worker's call has ended or is overdue, and record its result, which is returned as well."""
        tasks = {member.task: member for member in self._members if member.task is not None}
        at_work = [member for member in self._members if member.item]
        first = min(at_work, key=lambda member: member.due, default=None)
        seconds = max(0.0, first.due - time.monotonic()) if first else START_SECONDS
        done, _ = ray.wait(list(tasks), timeout=seconds)
        if not done and first is None:
            raise StageError(
                f"no worker could be started on the cluster in {START_SECONDS:.0f} seconds",
                "`ray status` shows what the cluster has room for; ask for fewer threads or GPUs per worker.",
            )
        cause, result = _outcome(done[0]) if done else ("it did not finish in time", None)
        member = tasks[done[0]] if done else first
        assert member is not None  # there is a worker at work where nothing was done
        item, member.item, member.task = member.item, None, None
        if cause:
            self._replace(member, cause)
            if item:
                self._retry(progress, item, cause)
        elif item:
            self._losses = 0
            progress.held[item[0]] = result
        return result

    def _replace(self, member: _Member, cause: str) -> None:
        self._losses += 1
        if self._losses > LOSSES * self._size:
            raise StageError(f"the cluster's workers are lost before they finish anything: {cause}")
        ray.kill(member.actor)
        member.actor = self._hire()
        member.task = member.actor.prepare.remote(*self._setup)

    def _retry(self, progress: _Progress, item: Item, cause: str) -> None:
        number, content = item
        progress.losses[number] += 1
        if progress.losses[number] >= TRIES:
            raise StageError(f"{self._name(content)}: {TRIES} workers were lost at it; the last one: {cause}")
        progress.retry.append(item)


def _outcome(task: Any) -> tuple[str, Any]:  # noqa: ANN401 - a reference to any object
    """Why the worker is lost (empty if it isn't), and the result of its call."""
    try:
        return "", ray.get(task)
    except RayTaskError as error:
        if isinstance(error.cause, StageError):
            return str(error.cause), None
        if isinstance(error.cause, SelfImproveError):
            raise error.cause from None
        raise
    except RayError as error:  # dead actor, dead node, or a result that was lost with its node
        return _summary(error), None


def _summary(error: RayError) -> str:
    """The error's first and last line, without colours."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    return " … ".join(dict.fromkeys([*lines[:1], *lines[-1:]])) or type(error).__name__
