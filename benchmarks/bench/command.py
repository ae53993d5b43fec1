"""`python -m benchmarks`: every measurement that can be made here, in one run, as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.bench import Row, table
from benchmarks.bench.suite import Scale, chosen, rows_of
from selfimprove import __version__


@dataclass(frozen=True)
class Machine:
    """Where the figures were measured."""

    selfimprove: str
    python: str
    system: str
    processor: str
    threads: int
    device: str


def bench(only: Sequence[str], out: Path | None, scale: Scale, say: Callable[[str], None]) -> list[Row]:
    """Measure what `only` names (everything, if nothing), tell the table through `say`, and write `out` as JSON.

    The file is written after each measurement, so one that is stopped keeps what was measured.
    """
    rows: list[Row] = []
    for measurement in chosen(only):
        say(f"measuring: {measurement.name}")
        rows += rows_of(measurement, scale)
        if out:
            content = {"machine": asdict(_machine(scale)), "repeats": scale.repeats, "quick": scale.quick}
            out.write_text(json.dumps({**content, "rows": [row.to_json() for row in rows]}, indent=1) + "\n")
    say(f"\n{scale.repeats} repeats, {scale.runtime.usable_threads()} threads, device {scale.runtime.device}\n")
    say(table(rows))
    return rows


def _machine(scale: Scale) -> Machine:
    model = f"{platform.machine()}, {os.cpu_count()} cores"
    threads = scale.runtime.usable_threads()
    return Machine(__version__, platform.python_version(), platform.platform(), model, threads, scale.runtime.device)
