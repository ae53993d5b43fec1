"""GPUs that are told and not there: a peer of `models.gpus.CudaGpus` for the branches that only a GPU takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from selfimprove.host.gpus import Counter, Memory


@dataclass(kw_only=True)
class ScriptedGpus:
    """One GPU for each of `memories`, by its number; `used`: what the driver says, question by question."""

    memories: Sequence[Memory]
    used: Iterator[int] = field(default_factory=lambda: iter(()))
    torch_sees_them: bool = True
    bfloat16: bool = True
    peak: int | None = None
    held_by: Sequence[str] = ()
    counters: Sequence[Counter] = ()
    released: int = 0
    forgotten: int = 0
    _used: int = 0

    def visible(self) -> tuple[str, ...]:
        return tuple(str(number) for number in range(len(self.memories)))

    def usable(self) -> bool:
        return self.torch_sees_them

    def title(self, device: str) -> str:
        return f"Scripted {self._number(device)}"

    def memory(self, device: str) -> Memory:
        return self.memories[self._number(device)]

    def has_bfloat16(self) -> bool:
        return self.bfloat16

    def has_generators(self) -> bool:
        return False

    def peak_mib(self) -> int | None:
        return self.peak

    def forget_peak(self) -> None:
        self.forgotten += 1

    def release(self) -> None:
        self.released += 1

    def memory_of(self, names: Sequence[str]) -> tuple[Memory, ...]:
        return tuple(self.memories[int(name)] for name in names)

    def used_mib(self, names: Sequence[str]) -> int:
        self._used = next(self.used, self._used)
        return self._used if names else 0

    def holders(self, names: Sequence[str]) -> list[str]:
        return list(self.held_by)

    def energy_counters(self) -> list[Counter]:
        return list(self.counters)

    def _number(self, device: str) -> int:
        number = int(device.partition(":")[2] or 0)
        if number >= len(self.memories):
            raise LookupError(f"there is no GPU {number}")
        return number
