"""What models take of this machine's memory, what is left, and how it is given back: on a GPU, or in RAM.

*Free.* On a processor the system's available memory, or what a control group's limit leaves this process, the smaller
of both; on a GPU what the driver says is free, and what torch holds there without using it.

*Peak of a computation.* `Peak` counts the tensors that are made and freed inside it, operation by operation, in
bytes of their storages. That is the same number each time on any device, which neither resident memory nor a GPU's
allocator gives: both depend on what was freed before.

*Out of memory* is another error on each device (`is_out_of_memory`). A system that has promised more memory than it
has kills the process instead, which no one can catch.

*Giving back.* Dropping the last reference to a model frees its weights for this process alone. torch keeps the blocks
of a GPU for its next tensor, where an engine in another process can't have them; and glibc keeps what lies below a
block still in use, which for matrices under 32 MiB, the most of a 1.5B model's, is nearly all of it. So where a stage
is done with its models, `release_memory` is called.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from selfimprove.host.cgroups import Bounds, bounds
from selfimprove.models.gpus import gpus_here, own_gpu

SLACK = 2**27
"""Bytes that may be held beyond what was before: less than any model takes that is worth a search."""

_NO_ROOM = (
    "can't allocate memory",
    "Cannot allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
"""In messages of errors without a type of their own: of torch's allocator of a processor, of a failed mapping, of CUDA
itself and its libraries, which take memory of a GPU beside torch's allocator."""


def free_memory(device: torch.device, processes: int = 1, limits: Bounds | None = None) -> int:
    """Bytes that one of `processes` processes of this machine may still take on the device, each having loaded alike.

    On a GPU each process has its own. `limits` are by default those of this process's control group.
    """
    if device.type == "cuda":
        return gpus_here().memory(str(device)).free
    free: int = psutil.virtual_memory().available
    limit = (bounds() if limits is None else limits).memory
    if limit is not None:
        free = min(free, limit - processes * psutil.Process().memory_info().rss)
    return max(0, free) // processes


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error says that memory ran out, on a GPU or on a processor."""
    short = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return short or (isinstance(error, RuntimeError | OSError) and any(text in str(error) for text in _NO_ROOM))


def gpus_in_use(device: str, available: bool) -> list[int]:
    """The number by CUDA's count of the GPU on which this process works if its runtime says `device`; or none.

    `available` says whether torch can use GPUs here.
    """
    if not available or not device.startswith(("auto", "cuda")):
        return []
    return [int(device.partition(":")[2] or own_gpu())]


def has_gpu_context() -> bool:
    """Whether this process holds a CUDA context, which takes memory of its GPU until the process ends."""
    return gpus_here().peak_mib() is not None


def resident_memory() -> int:
    """Bytes of the machine's memory that this process holds."""
    return int(psutil.Process().memory_info().rss)


def release_memory(before: int = 0) -> None:
    """Give memory that nothing in this process refers to back to the system and to the GPU's driver.

    `before` is what `resident_memory` said before the models were made. Models that refer to themselves are searched
    for, which takes half a second, where `SLACK` more is held now, or a GPU is in use.
    """
    trim_heap()
    if has_gpu_context() or resident_memory() > before + SLACK:
        gc.collect()
        trim_heap()
    gpus_here().release()


def trim_heap() -> None:
    """Give freed memory of the C library's heap back to the system, wherever in the heap it lies."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


class Peak(TorchDispatchMode):  # type: ignore[no-untyped-call]  # untyped in torch
    """Counts the bytes of tensors made since it was entered, while they live; `bytes` is the most at one time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # untyped in torch
        self.bytes = 0
        self._held = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> Any:  # noqa: ANN401 - of any operation
        for tensor in _tensors((args, kwargs)):
            self._know(tensor, made_here=False)
        made = func(*args, **(kwargs or {}))
        for tensor in _tensors(made):
            self._know(tensor, made_here=True)
        return made

    def _know(self, tensor: Tensor, *, made_here: bool) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes() if made_here else 0
        if key in self._known:
            return
        self._known.add(key)
        self._held += size
        self.bytes = max(self.bytes, self._held)
        weakref.finalize(storage, self._freed, key, size)

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._held -= size


def _tensors(values: Any) -> list[Tensor]:  # noqa: ANN401 - arguments or results of any operation
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def reset_peaks() -> None:
    """Have the peaks of RAM and of GPU memory count from here on; that of RAM can be reset on Linux alone."""
    gpus_here().forget_peak()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return  # the peak is then that since the process started


def peak_rss_mb() -> int:
    """This process's peak of resident memory, in MiB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        import resource  # not on every system

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak >> (20 if sys.platform == "darwin" else 10)
