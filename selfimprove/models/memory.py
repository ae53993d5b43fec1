"""What models take of this machine's memory, and what is left: of a GPU, or of this process's share of the RAM.

*Free.* On a processor the system's available memory, or what a control group's limit leaves this process, the smaller
of both; on a GPU what the driver says is free, and what torch holds there without using it.

*Peak of a computation.* `Peak` counts the tensors that are made and freed inside it, operation by operation, in
bytes of their storages. That is the same number each time on any device, which neither resident memory nor a GPU's
allocator gives: both depend on what was freed before.

*Out of memory* is another error on each device (`is_out_of_memory`). A system that has promised more memory than it
has kills the process instead, which no one can catch.
"""

from __future__ import annotations

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
from selfimprove.models.gpus import gpus_here

_NO_ROOM = ("can't allocate memory", "Cannot allocate memory")
"""In messages of torch's allocator of a processor, which raises a plain RuntimeError, and of a failed mapping."""


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


def give_back() -> None:
    """Free what nothing refers to any more, and let the driver have the GPU memory that torch keeps."""
    gc.collect()
    gpus_here().release()


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
