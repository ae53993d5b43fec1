"""What this process may use of the machine: affinity, and the limits of Linux control groups, both versions.

A container that was given two cores and 4 GB still sees every core and all the memory of its machine: affinity and
`/proc/meminfo` describe the machine, the limits stand in the control group's files. A group's limit holds for all
groups below it, so the smallest on the way to the root counts. Inside a container the group's own path may not be
visible; its limits then stand at the root of the mounted tree.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
_BOUNDLESS = 2**60
"""Bytes from which a limit means none: version 1 writes the largest number of pages for it."""


@dataclass(frozen=True)
class Bounds:
    """The group's limits: processor time in cores (may be a fraction), memory in bytes; None: no limit."""

    cores: float | None
    memory: int | None


def usable_cores(limits: Bounds | None = None) -> int:
    """Whole cores that this process may use, at least one: those of its affinity mask, capped by its group's quota.

    More threads than that wait for each other, which can cost a factor of ten. `limits` are by default `bounds()`.
    """
    mask = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    cores = len(mask(0)) if mask else os.cpu_count() or 1
    quota = (bounds() if limits is None else limits).cores
    return cores if quota is None else max(1, min(cores, int(quota)))


def bounds(root: Path = ROOT, own: Path = OWN) -> Bounds:
    """The limits on this process; none where there are no control groups."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return Bounds(None, None)
    cores: list[float] = []
    memory: list[int] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for folder in _folders(root, controllers, path):
            cores += _read(folder, _cores)
            memory += _read(folder, _memory)
    return Bounds(min(cores, default=None), min(memory, default=None))


def _folders(root: Path, controllers: str, path: str) -> Iterator[Path]:
    """The group's folder and its parents, as far as they are mounted here."""
    mounts = [root] if not controllers else [root / controllers, *(root / name for name in controllers.split(","))]
    for mount in mounts:
        own = mount / path.strip("/")
        for folder in (own, *own.parents):
            if folder.is_relative_to(mount):
                yield folder


def _read(folder: Path, read: Callable[[Path], T | None]) -> list[T]:
    try:
        value = read(folder)
    except (OSError, ValueError):  # no such file in this group, or not what the kernel writes
        return []
    return [] if value is None else [value]


def _cores(folder: Path) -> float | None:
    if (folder / "cpu.max").exists():
        quota, period = (folder / "cpu.max").read_text().split()
    else:
        quota, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
    return None if quota in ("max", "-1") else int(quota) / int(period)


def _memory(folder: Path) -> int | None:
    there = folder / "memory.max"
    limit = (there if there.exists() else folder / "memory.limit_in_bytes").read_text().strip()
    return None if limit == "max" or int(limit) >= _BOUNDLESS else int(limit)
