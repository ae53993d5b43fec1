"""A crew of Ray actors: an ordered map over a list of items that survives the loss of workers.

Each worker has one load of items at a time (`ordered.py`), and results are yielded in the order of the items, whatever
order they come in. Closing the iterator cancels what is under way: a worker finishes its load, and the results are
dropped.

*A lost worker.* Its actor is dead, its node is gone, its engine failed (`StageError`), or it hangs: it has not finished
its load in the time that `patience` gives it. Its items are given to other workers, before any new one, at most
`TRIES` times in all; then `StageError` names one. A new actor replaces the lost one as soon as the cluster has room for
it, and the crew goes on meanwhile with those it has. A crew that only loses workers and finishes nothing gives up after
`LOSSES` losses per worker. Everything else that a worker raises is raised here: a user's error as itself, a bug with
its traceback.

Workers that the cluster has no room for wait and join later; a crew can work with one, and waits `START_SECONDS` for
it.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from selfimprove.engines.ordered import WINDOW, Item, Joins, Ordered, never
from selfimprove.engines.patience import START_SECONDS
from selfimprove.errors import SelfImproveError, StageError

TRIES = 3
LOSSES = 3


@dataclass
class _Member:
    """A worker, the call it is busy with, and its load: empty while it prepares, rests, or finishes a cancelled one.

    `due` is when the call has to be finished, a monotonic time: what a cancelled load was given holds for it as well.
    """

    actor: Any
    task: Any = None
    load: Sequence[Item] = ()
    due: float = 0.0

    def begin(self, task: Any, load: Sequence[Item], seconds: float) -> None:  # noqa: ANN401 - a reference to any object
        """A call that the worker begins once it has ended the one that it is busy with, and has so long for."""
        start = max(self.due, time.monotonic()) if self.task is not None else time.monotonic()
        self.task, self.load, self.due = task, load, start + seconds


class Crew:
    """`size` actors made by `hire`; an actor has the methods `prepare(*setup)`, `work(items)` and `rest()`.

    `work` returns a result for each of the items. `name` says what an item is, for the error of one that could not be
    finished, and `patience` how many seconds a worker may take for a load of these items.
    """

    def __init__(
        self, hire: Callable[[], Any], size: int, name: Callable[[Any], str], patience: Callable[[Sequence[Any]], float]
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
            member.begin(member.actor.prepare.remote(*setup), (), START_SECONDS)
        answer, nothing = None, Ordered((), 0)
        while all(member.task is not None for member in self._members):
            answer = self._settle(nothing, Counter())
        return answer

    def await_all(self) -> None:
        """Return once every worker is prepared; for measurements, since `map` begins with the first."""
        nothing = Ordered((), 0)
        while any(member.task is not None for member in self._members):
            self._settle(nothing, Counter())

    def rest(self) -> None:
        """Have every worker close what it prepared, once it has finished its item."""
        for member in self._members:
            member.begin(member.actor.rest.remote(), (), START_SECONDS)

    def map(self, items: Iterable[Any], joins: Joins = never) -> Generator[Any, None, None]:
        """The workers' results in the order of the items; `joins` says which of them a worker has at once."""
        order = Ordered(items, WINDOW * self._size, joins)
        losses = Counter[int]()
        try:
            while True:
                yield from order.in_turn()
                self._hand_out(order)
                if order.finished:
                    return
                self._settle(order, losses)
        finally:
            for member in self._members:
                member.load = ()

    def dismiss(self) -> None:
        """End all workers; what they hold is free again."""
        for member in self._members:
            ray.kill(member.actor)
        self._members = []

    def _hand_out(self, order: Ordered) -> None:
        idle = [member for member in self._members if member.task is None]
        for member, load in zip(idle, order.loads(len(idle)), strict=False):
            items = [content for _, content in load]
            member.begin(member.actor.work.remote(items), load, self._patience(items))

    def _settle(self, order: Ordered, losses: Counter[int]) -> Any:  # noqa: ANN401 - what a worker answers
        """Wait until one worker's call has ended or is overdue, and record its result, which is returned as well."""
        tasks = {member.task: member for member in self._members if member.task is not None}
        at_work = [member for member in self._members if member.load]
        due = [member.due for member in at_work or tasks.values()]
        wait_until = min(due) if at_work else max(due)  # without a load, any worker that becomes free will do
        done, _ = ray.wait(list(tasks), timeout=max(0.0, wait_until - time.monotonic()))
        if not done and not at_work:
            raise StageError(
                f"no worker could be started on the cluster in {START_SECONDS:.0f} seconds",
                "`ray status` shows what the cluster has room for; ask for fewer threads or GPUs per worker.",
            )
        overdue: tuple[str, Any] = ("it did not finish in time", None)
        cause, result = _outcome(done[0]) if done else overdue
        member = tasks[done[0]] if done else min(at_work, key=lambda member: member.due)
        load, member.load, member.task = member.load, (), None
        if cause:
            self._replace(member, cause)
            self._retry(order, losses, load, cause)
        elif load:
            self._losses = 0
            order.done(load, result)
        return result

    def _replace(self, member: _Member, cause: str) -> None:
        self._losses += 1
        if self._losses > LOSSES * self._size:
            raise StageError(f"the cluster's workers were lost before they finished anything: {cause}")
        ray.kill(member.actor)
        member.actor = self._hire()
        member.begin(member.actor.prepare.remote(*self._setup), (), START_SECONDS)

    def _retry(self, order: Ordered, losses: Counter[int], load: Sequence[Item], cause: str) -> None:
        for number, content in load:
            losses[number] += 1
            if losses[number] >= TRIES:
                raise StageError(f"{self._name(content)}: {TRIES} workers were lost on it; the last one: {cause}")
            order.again((number, content))


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
