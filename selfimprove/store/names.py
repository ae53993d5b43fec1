"""Which runs and comparisons there are, by name; light enough to be asked at each Tab of a shell."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

RECIPE = "recipe.json"
"""The file that binds a run's folder; a run begins to exist with it."""
DEFAULT = "default"
"""The name of a run that was given none, by its own or by its recipe's file."""
COMPARISON = "compare.json"
"""The file that binds the folder of a comparison (`compare/folder.py`)."""


def closest_first(name: str, names: Iterable[str]) -> list[str]:
    """The names, those most like `name` first, so that a mistyped one stands beside the one that was meant."""
    import difflib

    return sorted(names, key=lambda known: -difflib.SequenceMatcher(None, known.lower(), name.lower()).ratio())


def run_names(rounds_dir: Path) -> list[str]:
    """The names of the runs in the folder, sorted."""
    return sorted(path.parent.name for path in rounds_dir.glob(f"*/{RECIPE}"))


def comparison_names(rounds_dir: Path) -> list[str]:
    """The names of the comparisons in the folder, sorted."""
    return sorted(path.parent.name for path in rounds_dir.glob(f"*/{COMPARISON}"))
