"""What was typed, read into values: the recipe, the runtime, the view, the checker's mode.

A value that can't be so is a `UsageError` that names the option and says what can be typed.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from selfimprove.errors import UsageError

if TYPE_CHECKING:
    from selfimprove.answer import Mode
    from selfimprove.cli.options import Execution
    from selfimprove.recipe import Runtime
    from selfimprove.store.journal import Journal
    from selfimprove.view import Mode as ViewMode

MAX_ROUNDS = 9999
"""A round's folder is named by four digits."""


def read_mode(text: str) -> Mode:
    """Where the checker looks for an answer; `UsageError` lists the modes."""
    modes: dict[str, Mode] = {"boxed": "boxed", "marked": "marked", "last": "last"}
    if text not in modes:
        raise UsageError(f"--mode {text}: not a mode", f"Use one of {', '.join(modes)}.")
    return modes[text]


def typed_settings(model: str, problems: str, settings: list[str]) -> dict[str, object]:
    """The keys of a recipe that were typed as `--model`, `--problems` and `--set`, as plain data."""
    from selfimprove.recipe.reading import laid_over, read_settings

    named = {"model": {"name": model}} if model else {}
    named |= {"problems": {"train": problems}} if problems else {}
    return laid_over(named, read_settings(settings), "the command line")


def view_mode(*, as_json: bool, plain: bool, quiet: bool = False) -> ViewMode:
    """The view that the output options choose."""
    return "json" if as_json else "quiet" if quiet else "plain" if plain else "auto"


def read_runtime(execution: Execution) -> Runtime:
    """The runtime that these options make; `UsageError` names the first option whose value it can't have."""
    from pydantic import ValidationError

    from selfimprove.recipe import Runtime

    try:
        runtime = Runtime.model_validate(asdict(execution))
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        option, meaning = f"--{name.replace('_', '-')}", Runtime.model_fields[name].description
        hint = f"{option}: {meaning}."
        raise UsageError(f"{option} {json.dumps(fault['input'])}: {fault['msg']}", hint) from None
    if runtime.workers and not runtime.ray:
        raise UsageError("--workers works only with --ray", "Add --ray auto, or leave --workers out.")
    return runtime


def existing_run(rounds_dir: Path, name: str) -> Journal:
    """The journal of an existing run; if there is none of that name, `UsageError` lists those there are."""
    from selfimprove.report.records import read_run

    return read_run(rounds_dir, name).journal
