"""A crew of Ray actors that works through a list in order, whoever of them dies on the way.

Each worker has one item in hand. Results are yielded in the order of the items, whatever order they come in: what
comes early is held back, and no more than `WINDOW` items per worker are under way or held back, so items are taken
from their iterator only shortly before they are needed. Closing the iterator gives up what is in hand: a worker ends
the item it is at and its result is dropped.

*A lost worker.* Its actor is dead, its node is gone, or its engine failed (`StageError`). The item it had in hand is
given to another, before any new one, at most `TRIES` times in all; then `StageError` names it. A new actor takes the
place of the lost one as soon as the cluster has room for it, and the crew goes on meanwhile with those it has. A crew
that only loses workers and finishes nothing gives up after `LOSSES` per place. Everything else that a worker raises is
raised here: a user's error as itself, a bug with its traceback.

Workers that the cluster has no room for wait and join later; a crew needs one to work, and waits `PATIENCE` seconds
for it.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from selfimprove.errors import SelfImproveError, StageError

WINDOW = 2  # items per worker that are begun and not yet yielded
TRIES = 3
LOSSES = 3
PATIENCE = 600.0  # seconds

Item = tuple[int, Any]
"""An item with its place in the list."""


@dataclass
class _Member:
    """A worker; `item` is what it has in hand, None while it prepares or ends what nobody waits for."""

    actor: Any
    task: Any = None
    item: Item | None = None


@dataclass
class _Plan:
    """The items of one call: taken from `source` in order, held back until their turn."""

    source: Iterator[Item]
    window: int
    again: deque[Item] = field(default_factory=deque)
    losses: Counter[int] = field(default_factory=Counter)
    held: dict[int, Any] = field(default_factory=dict)
    begun: int = 0
    yielded: int = 0
    dry: bool = False

    def take(self) -> Item | None:
        """The next item to give out; None if there is none, or too many are under way."""
        if self.again:
            return self.again.popleft()
        if self.dry or self.begun - self.yielded >= self.window:
            return None
        item = next(self.source, None)
        self.dry, self.begun = item is None, self.begun + (item is not None)
        return item

    def in_turn(self) -> Iterator[Any]:
        """The results whose turn has come."""
        while self.yielded in self.held:
            self.yielded += 1
            yield self.held.pop(self.yielded - 1)

    def finished(self) -> bool:
        """Whether every item was yielded."""
        return self.dry and self.begun == self.yielded


class Crew:
    """`size` actors made by `hire`; an actor has the methods `prepare(*setup)`, `work(item)` and `rest()`.

    `name` says what an item is, for the error of one that could not be finished.
    """

    def __init__(self, hire: Callable[[], Any], size: int, name: Callable[[Any], str]) -> None:
        self._hire = hire
        self._size = size
        self._name = name
        self._members: list[_Member] = []
        self._setup: tuple[Any, ...] = ()
        self._losses = 0

    def prepare(self, *setup: Any) -> Any:  # noqa: ANN401 - what the actors take, and what they answer
        """Prepare all workers, lost ones' successors too; returns the answer of the first that is ready."""
        self._setup, self._losses = setup, 0
        missing = self._size - len(self._members)
        self._members += [_Member(self._hire()) for _ in range(missing)]
        for member in self._members:
            member.task, member.item = member.actor.prepare.remote(*setup), None
        answer, nothing = None, _Plan(iter(()), 0)
        while all(member.task is not None for member in self._members):
            answer = self._settle(nothing)
        return answer

    def await_all(self) -> None:
        """Return when every worker is ready; for measurements, since work begins with the first."""
        nothing = _Plan(iter(()), 0)
        while any(member.task is not None for member in self._members):
            self._settle(nothing)

    def rest(self) -> None:
        """Have every worker close what it prepared, when it has ended what it is at."""
        for member in self._members:
            member.task, member.item = member.actor.rest.remote(), None

    def map(self, items: Iterable[Any]) -> Generator[Any, None, None]:
        """The workers' results in the order of the items."""
        plan = _Plan(enumerate(items), WINDOW * self._size)
        try:
            while True:
                yield from plan.in_turn()
                self._give(plan)
                if plan.finished():
                    return
                self._settle(plan)
        finally:
            for member in self._members:
                member.item = None

    def dismiss(self) -> None:
        """End all workers; what they hold is free again."""
        for member in self._members:
            ray.kill(member.actor)
        self._members = []

    def _give(self, plan: _Plan) -> None:
        for member in self._members:
            item = plan.take() if member.task is None else None
            if item is not None:
                member.item, member.task = item, member.actor.work.remote(item[1])

    def _settle(self, plan: _Plan) -> Any:  # noqa: ANN401 - what a worker answers
        """Wait until a worker is done with something, and take what it made; returns that as well."""
        tasks = {member.task: member for member in self._members if member.task is not None}
        at_work = any(member.item for member in self._members)
        done, _ = ray.wait(list(tasks), timeout=None if at_work else PATIENCE)
        if not done:
            raise StageError(
                f"no worker could be started on the cluster in {PATIENCE:.0f} seconds",
                "`ray status` shows what the cluster has room for; ask for fewer threads or GPUs per worker.",
            )
        member = tasks[done[0]]
        item, member.item, member.task = member.item, None, None
        cause, result = _outcome(done[0])
        if cause:
            self._replace(member, cause)
            if item:
                self._owe_again(plan, item, cause)
        elif item:
            self._losses = 0
            plan.held[item[0]] = result
        return result

    def _replace(self, member: _Member, cause: str) -> None:
        self._losses += 1
        if self._losses > LOSSES * self._size:
            raise StageError(f"the cluster's workers are lost before they finish anything: {cause}")
        ray.kill(member.actor)
        member.actor = self._hire()
        member.task = member.actor.prepare.remote(*self._setup)

    def _owe_again(self, plan: _Plan, item: Item, cause: str) -> None:
        place, content = item
        plan.losses[place] += 1
        if plan.losses[place] >= TRIES:
            raise StageError(f"{self._name(content)}: {TRIES} workers were lost at it; the last one: {cause}")
        plan.again.append(item)


def _outcome(task: Any) -> tuple[str, Any]:  # noqa: ANN401 - a reference to any object
    """Why the worker is lost (empty if it isn't), and what it made."""
    try:
        return "", ray.get(task)
    except RayTaskError as error:
        if isinstance(error.cause, StageError):
            return str(error.cause), None
        if isinstance(error.cause, SelfImproveError):
            raise error.cause from None
        raise
    except RayError as error:  # dead actor, dead node, or a result that was lost with its node
        return _words(error), None


def _words(error: RayError) -> str:
    """The error's first and last line, without colours."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    return " … ".join(dict.fromkeys([*lines[:1], *lines[-1:]])) or type(error).__name__
