"""Which GPUs each copy of the model gets, and the wait until an engine's memory is free again."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from selfimprove.errors import UsageError
from selfimprove.escaping import escape_text
from selfimprove.models.gpus import gpus_here
from selfimprove.models.memory import has_gpu_context

RELEASE_SECONDS = 30.0
"""How long a driver may take to free the memory of a process that has ended."""

SLACK_MIB = 512
"""Memory that may be in use beyond what was before."""

CONTEXT_MIB = 1024
"""MiB of each GPU that CUDA's context and NCCL's buffers take in a process."""


def share_gpus(gpus: Sequence[str], tensor_parallel: int, data_parallel: int) -> list[tuple[str, ...]]:
    """The GPUs of each copy of the model; without any, one copy without. `UsageError` if there are too few."""
    wanted = tensor_parallel * data_parallel
    if wanted == 1:
        return [tuple(gpus[:1])]
    if wanted > len(gpus):
        raise UsageError(
            f"{data_parallel} copies of the model, {tensor_parallel} GPUs each, need {wanted} GPUs; {len(gpus)} seen",
            "Lower --tensor-parallel or --data-parallel.",
        )
    return [tuple(gpus[first : first + tensor_parallel]) for first in range(0, wanted, tensor_parallel)]


@dataclass(frozen=True, kw_only=True)
class Level:
    """MiB that all processes together have in use on some GPUs, and whether this process has a CUDA context."""

    used: int
    context: bool


def level(gpus: Sequence[str]) -> Level:
    """The level now."""
    return Level(used=gpus_here().used_mib(gpus), context=has_gpu_context())


def await_memory(gpus: Sequence[str], before: Level, user: str, seconds: float = RELEASE_SECONDS) -> None:
    """Return once at most `SLACK_MIB` MiB more are in use than before, and a CUDA context that this process made since.

    `user` is whose memory is to come back. After `seconds` the run goes on, since any other process may have taken
    memory meanwhile, and what starts next takes what is free; a warning names who holds memory then.
    """
    here, deadline = gpus_here(), time.monotonic() + seconds
    while (used := here.used_mib(gpus)) > before.used + SLACK_MIB + _own_context(before):
        if time.monotonic() > deadline:
            found = "; ".join(escape_text(line, 200) for line in here.holders(gpus))
            held = f"held by (process, name, MiB): {found}" if found else "the driver names no process that holds it"
            told = f"{used} MiB of GPU memory are in use after {user} ended, {before.used} MiB were before it started"
            warnings.warn(f"{told}; {held}", stacklevel=2)
            return
        time.sleep(0.2)


def _own_context(before: Level) -> int:
    return CONTEXT_MIB if has_gpu_context() and not before.context else 0
