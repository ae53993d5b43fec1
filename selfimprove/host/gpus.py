"""What the rest of the package may ask of the GPUs here, as one object.

`torch.cuda`, `nvidia-smi`, NVML and `CUDA_VISIBLE_DEVICES` are used behind `Gpus` and nowhere else: by `CudaGpus`
(`models/gpus.py`), which needs torch. `NoGpus` is a machine without any, and the tests have a scripted third one. So
every branch that only a GPU takes can be run on a machine that has none; what is left to a real GPU are the one-line
methods of `CudaGpus`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Counter:
    """A counter of energy: which device's, how to read its joules, and the joules at which it wraps round to 0."""

    of: str
    read: Callable[[], float]
    wraps_at: float = float("inf")


@dataclass(frozen=True)
class Memory:
    """Memory of one GPU in bytes: free now, and in total."""

    free: int
    total: int


class Gpus(Protocol):
    """The GPUs that this process may use; a GPU's name is the word for it in CUDA_VISIBLE_DEVICES."""

    def visible(self) -> tuple[str, ...]:
        """The names of the GPUs that the driver shows and the environment leaves to this process."""
        ...

    def usable(self) -> bool:
        """Whether torch, as it is installed here, computes on them."""
        ...

    def title(self, device: str) -> str:
        """What the maker calls the GPU behind a torch device (`cuda`, `cuda:1`)."""
        ...

    def memory(self, device: str) -> Memory:
        """The memory of the GPU behind a torch device."""
        ...

    def has_bfloat16(self) -> bool:
        """Whether the GPUs compute in bfloat16."""
        ...

    def has_generators(self) -> bool:
        """Whether torch has a random generator for each of them."""
        ...

    def peak_mib(self) -> int | None:
        """This process's peak of GPU memory since `forget_peak`, summed over GPUs; None where it uses none."""
        ...

    def forget_peak(self) -> None:
        """Count the peak from here on."""
        ...

    def release(self) -> None:
        """Give memory that torch keeps for later, but doesn't use, back to the driver."""
        ...

    def memory_of(self, names: Sequence[str]) -> tuple[Memory, ...]:
        """The memory of each of these GPUs by the driver; empty unless it reports that of every one."""
        ...

    def used_mib(self, names: Sequence[str]) -> int:
        """MiB that all processes together have in use on these GPUs."""
        ...

    def holders(self, names: Sequence[str]) -> list[str]:
        """Who has memory in use on these GPUs: process, name and MiB, a line each, as the driver writes them."""
        ...

    def energy_counters(self) -> list[Counter]:
        """A counter for each of them; none unless all of them have one."""
        ...


class NoGpus:
    """A machine without GPUs."""

    def visible(self) -> tuple[str, ...]:
        """None."""
        return ()

    def usable(self) -> bool:
        """There is nothing to compute on."""
        return False

    def title(self, device: str) -> str:
        """Nothing has a name."""
        raise LookupError(device)

    def memory(self, device: str) -> Memory:
        """Nothing has memory."""
        raise LookupError(device)

    def has_bfloat16(self) -> bool:
        """Nothing computes."""
        return False

    def has_generators(self) -> bool:
        """There is nothing to draw on."""
        return False

    def peak_mib(self) -> int | None:
        """No memory is used."""
        return None

    def forget_peak(self) -> None:
        """There is no peak."""

    def release(self) -> None:
        """There is nothing to give back."""

    def memory_of(self, names: Sequence[str]) -> tuple[Memory, ...]:
        """No driver reports any."""
        return ()

    def used_mib(self, names: Sequence[str]) -> int:
        """No memory is used."""
        return 0

    def holders(self, names: Sequence[str]) -> list[str]:
        """Nobody."""
        return []

    def energy_counters(self) -> list[Counter]:
        """None."""
        return []
