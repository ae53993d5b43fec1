"""Completion in the shell: names of runs, recipes, recipe keys, engines and trackers.

`selfimprove --install-completion` installs it. Each Tab starts this program anew, so nothing is imported here beyond
what the command line itself imports, except the recipe's keys for `--set`. Nothing here raises: where no name fits, the
list is empty and the shell completes file names.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer

from selfimprove.store.names import run_names


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the runs in the folder typed as --rounds-dir, or in `rounds`, that begin with `incomplete`."""
    folder = Path(ctx.params.get("rounds_dir") or "rounds")
    return _beginning(incomplete, run_names(folder))


def recipes(incomplete: str) -> list[str]:
    """Recipes that come with the program, and .toml files in the folder that was typed and its subfolders."""
    parent = Path(incomplete).parent
    files = [path for pattern in ("*.toml", "*/*.toml") for path in parent.glob(pattern)]
    prefix = "./" if incomplete.startswith("./") else ""  # which Path drops
    named = (path.stem for path in (Path(__file__).parents[1] / "recipes").glob("*.toml"))
    return _beginning(incomplete, [*named, *(f"{prefix}{path}" for path in files if path.name != "pyproject.toml")])


def keys(incomplete: str) -> list[str]:
    """The recipe's keys, each with its `=`."""
    from selfimprove.recipe.keys import described

    return _beginning(incomplete, (f"{key}=" for key, *_ in described()))


def engines(incomplete: str) -> list[str]:
    """Names of the engines."""
    return _beginning(incomplete, ("auto", "transformers", "vllm"))


def trackers(incomplete: str) -> list[str]:
    """Names of the trackers."""
    return _beginning(incomplete, ("tensorboard", "wandb", "trackio", "mlflow"))


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})
