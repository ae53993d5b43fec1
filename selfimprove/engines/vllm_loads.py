"""The loads that a worker's vLLM has in hand: each row joins the engine as its load comes, and leaves it as it ends.

vLLM runs as many rows at once as it has room for and lets the others wait. So while several loads are in hand, a row
that ends is followed by one that waits, and the engine never runs half empty until the longest row of a load has ended.
A load is answered when its last row has ended. One that comes alone is queued as a whole before the first step.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from selfimprove.engines.vllm_messages import Answer, Load, Row, Sampled

Enqueue = Callable[[Sequence[Row]], Sequence[str]]
"""Adds rows to the engine's queue; returns vLLM's names for them."""


class Loads:
    """The loads in hand of `engine`, a `vllm.LLM`; `sampled` makes a completion of what vLLM says of a row."""

    def __init__(self, engine: Any, enqueue: Enqueue, sampled: Callable[[Any], Sampled]) -> None:  # noqa: ANN401 - vLLM
        self._engine = engine
        self._enqueue = enqueue
        self._sampled = sampled
        self._owed: dict[str, tuple[str, int, int]] = {}  # of an unfinished row: its name, its load, its place in it
        self._found: dict[int, list[Sampled | None]] = {}

    @property
    def busy(self) -> bool:
        """Whether a load is in hand."""
        return bool(self._found)

    def take(self, load: Load) -> None:
        """Add the load; an empty one drops all that are in hand."""
        if not load.rows:
            self._engine.llm_engine.abort_request([name for name, _, _ in self._owed.values()], internal=True)
            self._owed, self._found = {}, {}
            return
        names = self._enqueue(load.rows)
        # vLLM calls a row `17-3f9a1c20`, where the part behind the number makes it unique; its outputs say `17`.
        self._owed |= {name.partition("-")[0]: (name, load.number, place) for place, name in enumerate(names)}
        self._found[load.number] = [None] * len(names)

    def step(self) -> Iterator[Answer]:
        """Run the engine for one token of each row; yields the answers of the loads that end by it."""
        for output in self._engine.llm_engine.step():
            if not output.finished or output.request_id not in self._owed:
                continue
            _, number, place = self._owed.pop(output.request_id)
            rows = self._found[number]
            rows[place] = self._sampled(output.outputs[0])
            if None not in rows:
                del self._found[number]
                yield Answer(number=number, rows=[row for row in rows if row])


def serve(inbox: queue.SimpleQueue[Load | None], loads: Loads, reply: Callable[[Answer], None]) -> None:
    """Take loads as they come and answer them, until the inbox says that there will be no more."""
    while True:
        while not loads.busy or not inbox.empty():
            if (load := inbox.get()) is None:
                return
            loads.take(load)
        for answer in loads.step():
            reply(answer)
