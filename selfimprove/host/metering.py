"""What a stage costs the machine: seconds, memory and energy, measured from beside it and summed over its starts.

*Seconds* are those of a monotonic clock while the stage was worked on, in every start together; the idle time between
two starts is not counted. While a stage runs, its cost so far is written every two seconds to a small file, its *cost
file*, and the next start adds to what it finds there: a stop that is asked for loses nothing, a kill at most the last
two seconds. The file is renamed into place but not synced, so a power cut may lose it; that spoils a figure and nothing
else. Work that a kill tore and that was made again is in the seconds twice, as it was on the machine, but once in the
counts of tokens.

*Memory* is the largest sum of the resident sizes of this process and its children, sampled twice a second (new
children are looked for every ten seconds): pages that two of them share are counted twice, and what comes and goes
between two samples is not seen. `peak_gpu_mb` is the most that the model library of this process says it allocated; an
engine in a process of its own is not in it.

*Energy* is read from counters: of the processor's packages (RAPL, where the system lets this user read it) and of the
GPUs (`host/gpus.py`). They count what the whole
device used, by other programs too. Where no counter can be read, there is no figure: absent is not zero.

Sampling costs about a thousandth of one core.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from selfimprove.host.gpus import Counter, Gpus

if TYPE_CHECKING:
    import psutil

LOOK_SECONDS = 0.5
"""Time between two samples of memory and energy."""
SAVE_LOOKS = 4
"""Samples between two writes of the cost file."""
CHILDREN_LOOKS = 20
"""Samples between two searches for children, which read the whole process table."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a stage cost in all its starts, the first at `since` (seconds of the UTC epoch); None: not measured here."""

    since: float
    seconds: float = 0.0
    peak_rss_mb: int | None = None
    peak_gpu_mb: int | None = None
    energy_j: float | None = None
    energy_of: str | None = None

    def fields(self) -> dict[str, float | str]:
        """What a record holds: the measured figures by name, `since` left out."""
        known = {name: value for name, value in asdict(self).items() if value is not None and name != "since"}
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in known.items()}


def joined(earlier: Cost | None, later: Cost) -> Cost:
    """The cost of both: seconds and energy are added, the larger peaks kept; energy unknown in one is unknown."""
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


def energy_counters(gpus: Gpus) -> list[Counter]:
    """The energy counters that this user may read here; often none."""
    return [*rapl_counters(Path("/sys/class/powercap")), *gpus.energy_counters()]


def rapl_counters(root: Path) -> list[Counter]:
    """Counters of the processor packages (not of their cores) in Linux's powercap folder, as far as readable."""
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


@dataclass
class Meter:
    """Samples the machine from a thread of its own, from `begin` to `end`; after that `cost` is final."""

    file: Path
    gpus: Gpus
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
    _children: list[psutil.Process] = field(default_factory=list)

    def begin(self) -> None:
        """Start to count; what earlier starts left in the cost file is added."""
        import psutil

        self._earlier = read_cost(self.file)
        self._own = psutil.Process()
        self._since, self._began = time.time(), time.monotonic()
        self._last = [counter.read() for counter in self.counters]
        self.gpus.forget_peak()
        self._look()
        self._thread = threading.Thread(target=self._watch, name="meter", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop to count and write the cost file a last time."""
        self._stop.set()
        self._thread.join()
        self._look()
        self._gpu = self.gpus.peak_mib()
        self._save()

    @property
    def cost(self) -> Cost:
        """What all starts cost up to the last sample."""
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
        with suppress(OSError):  # a full disk ends the stage by itself, with an error that says so
            write_cost(self.file, self.cost)


@contextmanager
def metered(file: Path, gpus: Gpus, counters: Sequence[Counter] | None = None) -> Iterator[Meter]:
    """Measures what runs inside, however it ends; afterwards `Meter.cost` is that of all starts that share `file`.

    Whoever makes the cost durable deletes the file. `counters` are by default those that can be read here.
    """
    meter = Meter(file, gpus, energy_counters(gpus) if counters is None else counters)
    meter.begin()
    try:
        yield meter
    finally:
        meter.end()


def _resident(processes: Sequence[psutil.Process]) -> int:
    """Resident bytes of these processes; one that has ended has none."""
    import psutil

    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


def write_cost(file: Path, cost: Cost) -> None:
    """Make `cost` what the next start that shares the cost file adds to; whole or absent, but not synced."""
    temporary = file.with_name(f"{file.name}.tmp")
    file.parent.mkdir(exist_ok=True)
    temporary.write_text(json.dumps(asdict(cost)))
    temporary.replace(file)


def read_cost(file: Path) -> Cost | None:
    """What earlier starts wrote; None if there is no cost file, or none that can be read."""
    try:
        return Cost(**json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
