"""What of a run can be deleted because it can be made again, and deleting it.

Merged models are rebuilt from base and adapters and checked by hash when a command next needs them
(`round/model_cache.py`); scratch (names that begin with a dot) belongs to no record. Everything else of a run is its
evidence and stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from selfimprove.store.durable import remove
from selfimprove.store.journal import Journal


@dataclass(frozen=True)
class Pruned:
    """A path that was deleted, and the bytes it took."""

    path: Path
    size: int


def prune(journal: Journal) -> list[Pruned]:
    """Delete the run's merged models and scratch; returns what went. Raises `UsageError` if the run is held."""
    with journal.lock():
        return [Pruned(path, remove(path)) for path in prunable(journal)]


def prunable(journal: Journal) -> list[Path]:
    """The run's merged models and scratch, sorted; without its scratch, a training that was interrupted begins anew."""
    return sorted([*journal.model_folders(), *journal.scratch()])
