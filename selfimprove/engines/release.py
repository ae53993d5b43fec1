"""Memory that a stage's models took is back when the stage ends, in this process as in that of vLLM.

An engine that starts in another process sizes its KV cache from what is free on the GPU, so what the trainer's
allocator keeps would be lost to it. What is seen of the driver is `gpus.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from selfimprove.engines.gpus import RELEASE_SECONDS, await_memory, level
from selfimprove.models.gpus import gpus_here
from selfimprove.models.memory import gpus_in_use, release_memory, resident_memory


@contextmanager
def memory_back(gpus: Sequence[str], user: str, seconds: float = RELEASE_SECONDS) -> Iterator[None]:
    """When the block ends, memory that it took and no longer refers to is the system's and the driver's again.

    `user` is what runs in the block, and these are its GPUs: after a block that succeeds, `await_memory` waits until no
    more of them is in use than before.
    """
    before = level(gpus)
    resident = resident_memory()
    try:
        yield
    finally:
        release_memory(resident)
    await_memory(gpus, before, user, seconds)


def gpus_of(device: str, processes: int = 1) -> tuple[str, ...]:
    """The GPUs on which these processes work if the runtime says `device`, as the driver names them; none without one.

    Several processes have a GPU each, as a group that trains together.
    """
    gpus, first = gpus_here().visible(), gpus_in_use(device, gpus_here().usable())
    return tuple(gpu for number in first for gpu in gpus[number : number + processes])
