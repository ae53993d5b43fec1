"""What was typed, read into values: settings of a recipe, the runtime, the checker's mode.

Whatever is typed wrongly is a `UsageError` that names the option and says what can be typed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfimprove.errors import UsageError

if TYPE_CHECKING:
    from selfimprove.answer import Mode
    from selfimprove.recipe import Recipe, Runtime
    from selfimprove.store.journal import Journal


MOST_ROUNDS = 9999
"""A round's folder is named by four digits."""


def read_mode(text: str) -> Mode:
    """Where the checker looks for an answer."""
    modes: dict[str, Mode] = {"boxed": "boxed", "marked": "marked", "last": "last"}
    if text not in modes:
        raise UsageError(f"--mode {text}: not a mode", f"Type one of {', '.join(modes)}.")
    return modes[text]


def chosen_recipe(path: Path | None, model: str, problems: str, settings: list[str]) -> Recipe:
    """The recipe of a file (or the default one) with what `--model`, `--problems` and `--set` say laid over it."""
    from selfimprove.recipe.reading import laid_over, read_recipe, read_settings

    named = {"model": {"name": model} if model else {}, "problems": {"train": problems} if problems else {}}
    return read_recipe(path, laid_over(named, read_settings(settings), "the command line"))


def read_runtime(**options: Any) -> Runtime:  # noqa: ANN401 - what was typed; this is where it is validated
    """The runtime that these options make; `UsageError` names the option that can't be so."""
    from pydantic import ValidationError

    from selfimprove.recipe import Runtime

    try:
        runtime = Runtime.model_validate(options)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        option, meaning = f"--{name.replace('_', '-')}", Runtime.model_fields[name].description
        hint = f"{option} is: {meaning}."
        raise UsageError(f"{option} {json.dumps(fault['input'])}: {fault['msg']}", hint) from None
    if runtime.workers and not runtime.ray:
        raise UsageError("--workers are those of a cluster", "Add --ray auto, or leave --workers out.")
    return runtime


def existing_run(rounds_dir: Path, name: str) -> Journal:
    """The journal of a run that is there; `UsageError` lists those there are."""
    from selfimprove.report.records import read_run

    return read_run(rounds_dir, name).journal
