"""A sampler that replays a script: the peer of the real engines for tests of what stands around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

from selfimprove.sampling import Completion, Request, StopReason

Script = Callable[[Request], Sequence[int]]
"""The ids a model would go on to produce for a request, unbounded by its token limit."""


class ScriptedSampler:
    """Completions cut from a script exactly as an engine would cut them: at the first end, or at the token limit."""

    reproducible = True

    def __init__(self, script: Script, eos_id: int) -> None:
        self._script = script
        self._eos_id = eos_id

    def __enter__(self) -> ScriptedSampler:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def sample(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """One completion for each request, in order."""
        for request in requests:
            ids = tuple(self._script(request))
            if self._eos_id in ids:
                ids = ids[: ids.index(self._eos_id) + 1]
            ids = ids[: request.max_new_tokens]
            stop = StopReason.EOS if ids[-1:] == (self._eos_id,) else StopReason.LENGTH
            yield request.completion(ids, stop)
