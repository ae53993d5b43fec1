"""The memory that the models of this process take, and how it is given back.

Dropping the last reference to a model frees its weights for this process alone. torch keeps the blocks of a GPU for its
next tensor, where an engine in another process can't have them; and glibc keeps what lies below a block still in use,
which for matrices under 32 MiB, the most of a 1.5B model's, is nearly all of it. So where a stage is done with its
models, `release_memory` is called.
"""

from __future__ import annotations

import ctypes
import gc
import os

import psutil

SLACK = 2**27
"""Bytes that may be held beyond what was before: less than any model takes that is worth a search."""


def take_gpu_peak() -> int | None:
    """This process's peak of GPU memory since the last call, in MiB, summed over GPUs; None where it uses none."""
    import torch

    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # untyped in torch
        return None
    devices = range(torch.cuda.device_count())
    peak = sum(torch.cuda.max_memory_allocated(device) for device in devices)
    for device in devices:
        torch.cuda.reset_peak_memory_stats(device)
    return peak >> 20


def gpus_in_use(device: str, available: bool) -> list[int]:
    """The number by CUDA's count of the GPU on which this process works if its runtime says `device`; or none.

    `available` says whether torch can use GPUs here.
    """
    name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if device == "auto" else device
    return [int(name.partition(":")[2] or 0)] if available and name.startswith("cuda") else []


def has_gpu_context() -> bool:
    """Whether this process holds a CUDA context, which takes memory of its GPU until the process ends."""
    import torch

    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]  # untyped in torch


def resident_memory() -> int:
    """Bytes of the machine's memory that this process holds."""
    return int(psutil.Process().memory_info().rss)


def release_memory(before: int) -> None:
    """Give memory that nothing in this process refers to back to the system and to the GPU's driver.

    `before` is what `resident_memory` said before the models were made. Models that refer to themselves are searched
    for, which takes half a second, where `SLACK` more is held now, or a GPU is in use.
    """
    import torch

    trim_heap()
    if has_gpu_context() or resident_memory() > before + SLACK:
        gc.collect()
        trim_heap()
    if has_gpu_context():
        torch.cuda.empty_cache()


def trim_heap() -> None:
    """Give freed memory of the C library's heap back to the system, wherever in the heap it lies."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
