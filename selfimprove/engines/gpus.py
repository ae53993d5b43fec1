"""Which GPUs each copy of the model gets, and the wait until an engine's memory is free again."""

from __future__ import annotations

import time
from collections.abc import Sequence

from selfimprove.errors import StageError, UsageError
from selfimprove.escaping import escape_text
from selfimprove.models.gpus import gpus_here

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


def await_memory(gpus: Sequence[str], before: int, user: str, seconds: float = RELEASE_SECONDS) -> None:
    """Return once at most `before` + `SLACK_MIB` MiB are in use; after `seconds`, `StageError` names who holds them.

    `user` is whose memory is to come back, for the error.
    """
    here, deadline = gpus_here(), time.monotonic() + seconds
    while (used := here.used_mib(gpus)) > before + SLACK_MIB:
        if time.monotonic() > deadline:
            found = "; ".join(escape_text(line, 200) for line in here.holders(gpus))
            raise StageError(
                f"{used} MiB of GPU memory are in use after {user} ended; {before} MiB were before it started",
                f"Held by (process, name, MiB): {found}" if found else "The driver names no process that holds it.",
            )
        time.sleep(0.2)
