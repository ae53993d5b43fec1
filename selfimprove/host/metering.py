"""What a stage costs the machine: seconds, memory and energy, measured from beside it and summed over its starts.

*Seconds* are those of a monotonic clock while the stage was worked on, in every start together; the idle time between
two starts is not counted. While a stage runs, its cost so far is written every two seconds to a small file, its *part*,
and the next start adds to what it finds there: a stop that is asked for loses nothing, a kill at most the last two
seconds. The part is renamed into place but not synced, so a power cut may lose it; that spoils a figure and nothing
else. Work that a kill tore and that was made again is in the seconds twice, as it was on the machine, but once in the
counts of tokens.

*Memory* is the largest sum of the resident sizes of this process and its children, looked at twice a second (new
children are looked for every ten seconds): pages that two of them share are in it twice, and what comes and goes
between two looks is not seen. `peak_gpu_mb` is what the model library of this process says it allocated at most; an
engine in a process of its own is not in it.

*Energy* is read from counters: of the processor's packages (RAPL, where the system lets this user read it) and of the
GPUs (NVML, where `pynvml` is installed; those that CUDA_VISIBLE_DEVICES names by number). They count what the whole
device used, by other programs too. Where no counter can be read, there is no figure: absent is not zero.

Looking costs about a thousandth of one core.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LOOK_SECONDS = 0.5
SAVE_LOOKS = 4
"""Looks between two writes of the part."""
CHILDREN_LOOKS = 20
"""Looks between two searches for children, which read the whole process table."""

GpuPeak = Callable[[], int | None]
"""MiB that this process held at most on its GPUs since the last call; None where it uses none."""


@dataclass(frozen=True)
class Cost:
    """What a stage cost in all its starts, the first at `since` (UTC epoch); None where nothing here tells."""

    since: float
    seconds: float = 0.0
    peak_rss_mb: int | None = None
    peak_gpu_mb: int | None = None
    energy_j: float | None = None
    energy_of: str | None = None

    def fields(self) -> dict[str, Any]:
        """What a record holds: the known figures by name, `since` left out."""
        known = {name: value for name, value in asdict(self).items() if value is not None and name != "since"}
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in known.items()}


def joined(earlier: Cost | None, later: Cost) -> Cost:
    """The cost of both: seconds and energy added, peaks the larger; energy unknown in one is unknown in both."""
    if earlier is None:
        return later
    known = earlier.energy_j is not None and later.energy_j is not None
    return Cost(
        since=earlier.since,
        seconds=earlier.seconds + later.seconds,
        peak_rss_mb=_larger(earlier.peak_rss_mb, later.peak_rss_mb),
        peak_gpu_mb=_larger(earlier.peak_gpu_mb, later.peak_gpu_mb),
        energy_j=(earlier.energy_j or 0.0) + (later.energy_j or 0.0) if known else None,
        energy_of=later.energy_of if known else None,
    )


def _larger(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)


@dataclass(frozen=True)
class Counter:
    """A counter of energy: of what, how to read its joules, and the joules at which it begins again at 0."""

    of: str
    read: Callable[[], float]
    wraps_at: float = float("inf")


def energy_counters() -> list[Counter]:
    """The counters that this user may read here; often none."""
    return [*rapl_counters(Path("/sys/class/powercap")), *_nvml_counters()]


def rapl_counters(root: Path) -> list[Counter]:
    """The processor packages under Linux's powercap folder, without their parts; those that can't be read left out."""
    found: list[Counter] = []
    for zone in sorted(root.glob("intel-rapl:*")):
        path = zone / "energy_uj"
        try:
            if not (zone / "name").read_text().startswith("package"):
                continue
            wraps_at = int((zone / "max_energy_range_uj").read_text()) / 1e6
            int(path.read_text())
        except (OSError, ValueError):
            continue
        found.append(Counter("processor", lambda path=path: int(path.read_text()) / 1e6, wraps_at))  # type: ignore[misc]
    return found


def _nvml_counters() -> list[Counter]:
    if not find_spec("pynvml"):
        return []
    import pynvml

    found: list[Counter] = []
    try:
        pynvml.nvmlInit()
        for number in _visible(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(number)
            pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
            found.append(
                Counter("gpu", lambda handle=handle: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3)  # type: ignore[misc]
            )
    except pynvml.NVMLError:
        return []  # no driver, or a GPU without the counter: a part of the energy would look like all of it
    return found


def _visible(count: int) -> list[int]:
    """The GPUs that this process may use, by number."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return list(range(count))
    return [int(word) for word in named.split(",") if word.strip().isdigit() and int(word) < count]


@dataclass
class Meter:
    """Looks at the machine from a thread of its own, from `begin` to `end`; after that `cost` is whole."""

    part: Path
    gpu_peak: GpuPeak
    counters: Sequence[Counter]
    _stop: threading.Event = field(default_factory=threading.Event)
    _earlier: Cost | None = None
    _since: float = 0.0
    _began: float = 0.0
    _seconds: float = 0.0
    _looks: int = 0
    _rss: int = 0
    _gpu: int | None = None
    _joules: float = 0.0
    _last: list[float] = field(default_factory=list)
    _children: list[Any] = field(default_factory=list)

    def begin(self) -> None:
        """Start to count; what earlier starts left in the part is added."""
        import psutil

        self._earlier = _read(self.part)
        self._own = psutil.Process()
        self._since, self._began = time.time(), time.monotonic()
        self._last = [counter.read() for counter in self.counters]
        self.gpu_peak()  # forgets what was before
        self._look()
        self._thread = threading.Thread(target=self._watch, name="meter", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop to count and write the part a last time."""
        self._stop.set()
        self._thread.join()
        self._look()
        self._gpu = self.gpu_peak()
        self._save()

    @property
    def cost(self) -> Cost:
        """What all starts cost up to the last look."""
        counted = "+".join(sorted({counter.of for counter in self.counters}))
        own = Cost(
            since=self._since,
            seconds=self._seconds,
            peak_rss_mb=self._rss >> 20,
            peak_gpu_mb=self._gpu,
            energy_j=self._joules if self.counters else None,
            energy_of=counted or None,
        )
        return joined(self._earlier, own)

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self._look()
            if self._looks % SAVE_LOOKS == 0:
                self._save()

    def _look(self) -> None:
        self._seconds = time.monotonic() - self._began
        if self._looks % CHILDREN_LOOKS == 0:
            self._children = self._own.children(recursive=True)
        self._looks += 1
        self._rss = max(self._rss, _resident([self._own, *self._children]))
        for place, counter in enumerate(self.counters):
            now = counter.read()
            grown = now - self._last[place]
            self._joules += grown if grown >= 0 else grown + counter.wraps_at
            self._last[place] = now

    def _save(self) -> None:
        temporary = self.part.with_name(f"{self.part.name}.tmp")
        try:
            self.part.parent.mkdir(exist_ok=True)
            temporary.write_text(json.dumps(asdict(self.cost)))
            temporary.replace(self.part)
        except OSError:
            return  # a full disk ends the stage by itself, with an error that says so


@contextmanager
def metered(part: Path, gpu_peak: GpuPeak, counters: Sequence[Counter] | None = None) -> Iterator[Meter]:
    """Measures what runs inside, however it ends; afterwards `Meter.cost` is that of all starts that share `part`.

    Whoever makes the cost durable deletes the part.
    """
    meter = Meter(part, gpu_peak, energy_counters() if counters is None else counters)
    meter.begin()
    try:
        yield meter
    finally:
        meter.end()


def _resident(processes: Sequence[Any]) -> int:
    """Bytes of these processes in memory; one that is gone has none."""
    import psutil

    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


def _read(part: Path) -> Cost | None:
    """What earlier starts wrote; None if there is no part, or none that can be read."""
    try:
        return Cost(**json.loads(part.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
