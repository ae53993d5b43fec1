"""A run's records made comparable: what they say of the machine and the clock is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from selfimprove.store.durable import content_hash

_MACHINE = frozenset(
    {"start", "end", "seconds", "time", "peak_rss_mb", "peak_gpu_mb", "energy_j", "energy_of", "held_rows"}
)
"""What a record says of the machine, not of the run: left out when records are compared."""


def comparable_records(folder: Path) -> dict[str, Any]:
    """Every record of a run by path, machine facts left out: equal for an interrupted and an undisturbed run."""
    records: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name == "events.jsonl" or name.startswith((".", "tensorboard/")) or "/." in name:
            continue
        records[name] = (
            _without_machine(json.loads(path.read_bytes())) if path.suffix == ".json" else content_hash(path)
        )
    return records


def _without_machine(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {key: _without_machine(inner) for key, inner in value.items() if key not in _MACHINE}
    return [_without_machine(inner) for inner in value] if isinstance(value, list) else value
