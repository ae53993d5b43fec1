"""A stage's progress as events: units when they are durable, and between them the tokens of the chunk in hand."""

from __future__ import annotations

from pathlib import Path

from selfimprove.events import Emit, StageProgress
from selfimprove.round.machinery import Samplers
from selfimprove.sampling import Sampler


class Progress:
    """Counts the units and tokens of one stage and emits each change; the samplers that it opens tell it the rest."""

    def __init__(self, emit: Emit, samplers: Samplers, *, number: int, stage: str, total: int, done: int = 0) -> None:
        self._emit = emit
        self._samplers = samplers
        self._number = number
        self._stage = stage
        self._total = total
        self._done = done
        self._tokens = self._most = 0

    def sampler(self, model: Path, adapter: Path | None = None) -> Sampler:
        """The sampler on this model with this adapter, whose tokens count here from now on."""
        return self._samplers.at(model, adapter, self._in_hand)

    def expect(self, more: int) -> None:
        """At most so many more units follow those that are done."""
        self._total = self._done + more

    def add(self, done: int, tokens: int) -> None:
        """So many more units are durable, which took so many tokens."""
        self._done += done
        self._tokens += tokens
        self._tell(self._tokens)

    def _in_hand(self, tokens: int) -> None:
        self._tell(max(self._most, self._tokens + tokens))  # of a batch of several chunks only the last one tells

    def _tell(self, tokens: int) -> None:
        self._most = tokens
        self._emit(
            StageProgress(number=self._number, stage=self._stage, done=self._done, total=self._total, tokens=tokens)
        )
