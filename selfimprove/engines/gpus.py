"""What the driver says of the GPUs: which ones there are, how much of their memory is in use, and by which process.

`nvidia-smi` is asked, not torch: torch would take a CUDA context, and with it memory, in the process that asks. Where
there is no such tool there are no GPUs, and nothing is in use.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence

from selfimprove.errors import StageError, UsageError
from selfimprove.escaping import escape_text

RELEASE_SECONDS = 30.0
"""How long a driver may take to free the memory of a process that has ended."""

SLACK_MIB = 512
"""Memory that may be in use beyond what was before."""

CONTEXT_MIB = 1024
"""MiB of each GPU that CUDA's context and NCCL's buffers take in a process."""


def visible_gpus() -> tuple[str, ...]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them; none without a driver."""
    there = tuple(_ask((), "--query-gpu=index"))
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None or not there:
        return there
    return tuple(gpu.strip() for gpu in named.split(",") if gpu.strip())


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


def memory_used(gpus: Sequence[str]) -> int:
    """MiB in use on these GPUs together."""
    return sum(int(line) for line in _ask(gpus, "--query-gpu=memory.used") if line.isdecimal()) if gpus else 0


def memory_free(gpus: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """(free, total) MiB of each of these GPUs; empty unless the driver reports both for every one."""
    lines = _ask(gpus, "--query-gpu=memory.free,memory.total") if gpus else []
    pairs = [[part.strip() for part in line.split(",")] for line in lines]
    if len(pairs) != len(gpus) or not all(len(pair) == 2 and all(map(str.isdecimal, pair)) for pair in pairs):
        return ()
    return tuple((int(free), int(total)) for free, total in pairs)


def await_memory(gpus: Sequence[str], before: int, user: str, seconds: float = RELEASE_SECONDS) -> None:
    """Return once at most `before` + `SLACK_MIB` MiB are in use; after `seconds`, `StageError` names who holds them.

    `user` is whose memory is to come back, for the error.
    """
    deadline = time.monotonic() + seconds
    while (used := memory_used(gpus)) > before + SLACK_MIB:
        if time.monotonic() > deadline:
            raise StageError(
                f"{used} MiB of GPU memory are in use after {user} ended; {before} MiB were before it started",
                _holders(gpus),
            )
        time.sleep(0.2)


def _holders(gpus: Sequence[str]) -> str:
    found = [escape_text(line, 200) for line in _ask(gpus, "--query-compute-apps=pid,process_name,used_memory")]
    return (
        f"Held by (process, name, MiB): {'; '.join(found)}" if found else "The driver names no process that holds it."
    )


def _ask(gpus: Sequence[str], query: str) -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    chosen = ["-i", ",".join(gpus)] if gpus else []
    command = [tool, *chosen, query, "--format=csv,noheader,nounits"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()] if answer.returncode == 0 else []
