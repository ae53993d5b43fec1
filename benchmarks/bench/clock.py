"""Wall-clock seconds spent in model work: timers around the callables of `Machinery`."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from selfimprove.round.machinery import Machinery
from selfimprove.sampling import Completion, Request, Sampler


@dataclass
class Clock:
    """Seconds by the name of the work, and the tokens that it drew."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    tokens: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Counts the seconds inside under this name."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - began

    @property
    def total(self) -> float:
        """All seconds counted."""
        return sum(self.seconds.values())


class ClockedSampler:
    """The sampler that `make_sampler` gives; times its opening and its sampling, greedy answers as `judge`."""

    def __init__(self, make_sampler: Callable[[], Sampler], clock: Clock) -> None:
        self._make_sampler, self._clock = make_sampler, clock
        self.reproducible = False

    def __enter__(self) -> ClockedSampler:
        with self._clock.on("open"):
            self._sampler = self._make_sampler()
            self._sampler.__enter__()
        self.reproducible = self._sampler.reproducible
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sampler.__exit__(kind, error, trace)

    def sample(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """As the sampler does, but the whole chunk is sampled before the first completion is yielded."""
        name = "sample" if requests[0].decoding.temperature else "judge"
        with self._clock.on(name):
            found = list(self._sampler.sample(requests))
        self._clock.tokens[name] += sum(len(completion.token_ids) for completion in found)
        return iter(found)


def clocked(machinery: Machinery, clock: Clock) -> Machinery:
    """The machinery with opening, sampling, training and merging timed by the clock."""

    def open_sampler(model: Path, adapter: Path | None = None) -> Sampler:
        return ClockedSampler(lambda: machinery.open_sampler(model, adapter), clock)

    return replace(
        machinery,
        open_sampler=open_sampler,
        train=_timed(machinery.train, "train", clock),
        merge=_timed(machinery.merge, "merge", clock),
        rebuild=_timed(machinery.rebuild, "merge", clock),
    )


def _timed(call: Callable[..., Any], name: str, clock: Clock) -> Callable[..., Any]:
    def timed(*arguments: object, **named: object) -> Any:  # noqa: ANN401 - what the call gives
        with clock.on(name):
            return call(*arguments, **named)

    return timed
