"""What was typed, read into values: settings of a recipe, the runtime, the checker's mode.

Whatever is typed wrongly is a `UsageError` that names the option and says what can be typed.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfimprove.errors import UsageError

if TYPE_CHECKING:
    from selfimprove.answer import Mode
    from selfimprove.recipe import Recipe, Runtime


def read_mode(text: str) -> Mode:
    """Where the checker looks for an answer."""
    modes: dict[str, Mode] = {"boxed": "boxed", "marked": "marked", "last": "last"}
    if text not in modes:
        raise UsageError(f"--mode {text}: not a mode", f"Type one of {', '.join(modes)}.")
    return modes[text]


def read_settings(settings: list[str]) -> dict[str, dict[str, Any]]:
    """The values of `--set section.key=value`, by section and key; the last one counts."""
    overrides: dict[str, dict[str, Any]] = {}
    for setting in settings:
        section, key, value = _setting(setting)
        overrides.setdefault(section, {})[key] = value
    return overrides


def _setting(text: str) -> tuple[str, str, Any]:
    """`section.key=value` taken apart; the value is TOML, or plain text if it isn't."""
    dotted, equals, value = text.partition("=")
    section, _, key = dotted.strip().partition(".")
    if not (equals and section and key):
        raise UsageError(f"--set {text!r}: not of the form section.key=value", "Such as training.rank=8")
    try:
        read = tomllib.loads(f"value = {value}")
    except (ValueError, RecursionError):  # not TOML, a number of too many digits, nested too deeply
        return section, key, value
    return section, key, read["value"] if len(read) == 1 else value


def chosen_recipe(path: Path | None, model: str, problems: str, settings: list[str]) -> Recipe:
    """The recipe of a file (or the default one) with what `--model`, `--problems` and `--set` say laid over it."""
    from selfimprove.recipe.reading import read_recipe

    overrides = read_settings(settings)
    for section, key, value in (("model", "name", model), ("problems", "train", problems)):
        if value:
            overrides[section] = {key: value, **overrides.get(section, {})}
    return read_recipe(path, overrides)


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
