"""Which runs and comparisons there are, by name; light enough to be asked at each Tab of a shell."""

from __future__ import annotations

from pathlib import Path

RECIPE = "recipe.json"
"""The file that binds a run's folder; a run begins to exist with it."""
DEFAULT = "default"
"""The name of a run that was given none, by its own or by its recipe's file."""
COMPARISON = "compare.json"
"""The file that binds the folder of a comparison (`compare/folder.py`)."""


def run_names(rounds_dir: Path) -> list[str]:
    """The names of the runs in the folder, sorted."""
    return sorted(path.parent.name for path in rounds_dir.glob(f"*/{RECIPE}"))


def comparison_names(rounds_dir: Path) -> list[str]:
    """The names of the comparisons in the folder, sorted."""
    return sorted(path.parent.name for path in rounds_dir.glob(f"*/{COMPARISON}"))
