"""Chunks dealt to workers that finish in any order, and their results in the order of the chunks.

What a worker gets at once is a *load*: one chunk, or as many whole chunks as it holds (`sampling.Hold`). Idle workers
are dealt chunks in turn, so that 16 chunks are 2 for each of 8 workers and not 4 for half of them. A result that comes
before its turn is held back. At most `window` loads are under way or held back, so chunks are taken from their
iterator only shortly before they are needed.

Both engines with several workers go through this: `vllm` with its processes (`data_parallel`), `ray` with its actors.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

WINDOW = 2
"""Loads per worker that are under way or held back."""

Item = tuple[int, Any]
"""An item with its number in the list."""

Joins = Callable[[Sequence[Any], Any], bool]
"""Whether a worker that was dealt these items holds one more."""


def never(load: Sequence[Any], item: Any) -> bool:  # noqa: ANN401 - one `Joins`
    """One item a load."""
    return False


class Ordered:
    """The state of one pass over `items`."""

    def __init__(self, items: Iterable[Any], window: int, joins: Joins = never) -> None:
        self._source = enumerate(items)
        self._window = window
        self._joins = joins
        self._waiting: list[Item] = []  # a heap: items of lost workers, and one that did not fit into a load
        self._results: dict[int, Any] = {}
        self._ends: list[int] = []  # the last number of each load under way or held back
        self._begun = self._yielded = 0
        self._exhausted = False

    @property
    def finished(self) -> bool:
        """Whether every item was dealt and its result taken."""
        return self._exhausted and not self._waiting and self._begun == self._yielded

    def loads(self, idle: int) -> list[list[Item]]:
        """What so many idle workers do next, at most one load each; lost items first, each a load by itself."""
        loads, growing = list[list[Item]](), list[list[Item]]()
        while len(loads) < idle and (item := self._first(len(growing))) is not None:
            loads.append([item])
            if item[0] >= self._begun:
                growing.append(loads[-1])
                self._begun += 1
        new = list(growing)
        while growing and self._joins is not never and (item := self._take()) is not None:
            load = growing.pop(0)
            if item[0] >= self._begun and self._joins([content for _, content in load], item[1]):
                load.append(item)
                growing.append(load)
                self._begun += 1
            else:
                heapq.heappush(self._waiting, item)
        self._ends += [load[-1][0] for load in new]
        return loads

    def again(self, item: Item) -> None:
        """Deal the item again: its worker is lost."""
        heapq.heappush(self._waiting, item)

    def done(self, load: Sequence[Item], results: Sequence[Any]) -> None:
        """Take a worker's results, one for each item of its load."""
        self._results |= {number: result for (number, _), result in zip(load, results, strict=True)}

    def in_turn(self) -> Iterator[Any]:
        """The results that are next in the order of the items."""
        while self._yielded in self._results:
            self._yielded += 1
            yield self._results.pop(self._yielded - 1)

    def _first(self, started: int) -> Item | None:
        """The first item of a load; None if there is none, or the window is full."""
        lost = bool(self._waiting) and self._waiting[0][0] < self._begun
        self._ends = [end for end in self._ends if end >= self._yielded]
        return self._take() if lost or len(self._ends) + started < self._window else None

    def _take(self) -> Item | None:
        if self._waiting:
            return heapq.heappop(self._waiting)
        item = None if self._exhausted else next(self._source, None)
        self._exhausted = item is None
        return item
