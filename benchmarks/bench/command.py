"""`python -m benchmarks`: every benchmark that this machine can run, as a table and as JSON."""

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


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where the figures were measured."""

    selfimprove: str
    python: str
    system: str
    processor: str
    threads: int
    device: str


def bench(only: Sequence[str], out: Path | None, scale: Scale, say: Callable[[str], None]) -> list[Row]:
    """Run the benchmarks that `only` names (all if empty), print the table by `say`, and write `out` as JSON.

    The file is rewritten after each benchmark, so an interrupted run keeps what was measured.
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
    return Machine(
        selfimprove=__version__,
        python=platform.python_version(),
        system=platform.platform(),
        processor=f"{platform.machine()}, {os.cpu_count()} cores",
        threads=scale.runtime.usable_threads(),
        device=scale.runtime.device,
    )
