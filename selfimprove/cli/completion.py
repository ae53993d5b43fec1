"""What the shell is told when a word is completed: the runs there are, recipe files, recipe keys.

`selfimprove --install-completion` installs it. Each Tab starts this program anew, so nothing here loads more than the
command line does, but for `--set`, whose keys are the recipe's. What is read may be anybody's, and nothing here fails:
where nothing fits, the list is empty and the shell completes file names.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the runs in the folder typed as --rounds-dir, or in `rounds`, that begin with `incomplete`."""
    from selfimprove.store.journal import runs_in

    folder = Path(ctx.params.get("rounds_dir") or "rounds")
    return _beginning(incomplete, (journal.name for journal in runs_in(folder)))


def recipes(incomplete: str) -> list[str]:
    """Recipes that come with the program, and .toml files beside what was typed and one folder below it."""
    parent = Path(incomplete).parent
    files = [path for pattern in ("*.toml", "*/*.toml") for path in parent.glob(pattern)]
    typed = "./" if incomplete.startswith("./") else ""
    named = (path.stem for path in (Path(__file__).parents[1] / "recipes").glob("*.toml"))
    return _beginning(incomplete, [*named, *(f"{typed}{path}" for path in files if path.name != "pyproject.toml")])


def keys(incomplete: str) -> list[str]:
    """The recipe's keys, each with the sign that its value follows."""
    from selfimprove.recipe import Recipe
    from selfimprove.recipe.keys import dotted

    return _beginning(incomplete, (f"{key}=" for key in dotted(Recipe().model_dump(mode="json"))))


def engines(incomplete: str) -> list[str]:
    """The engines there are."""
    return _beginning(incomplete, ("auto", "transformers", "vllm"))


def trackers(incomplete: str) -> list[str]:
    """The trackers there are."""
    return _beginning(incomplete, ("tensorboard", "wandb", "trackio", "mlflow"))


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})
