"""Recipes from TOML files and plain data: validated whole, or refused by file, key, cause and what may stand there."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from selfimprove.errors import UsageError
from selfimprove.recipe import MixturePart, Recipe, Runtime, Section
from selfimprove.recipe.keys import described, shown

_PACKAGED = Path(__file__).parents[1] / "recipes"
_BOUNDS_OF_VERSION_1 = {"min_survival", "min_agreement", "max_kl"}


def read_recipe(path: Path | None, overrides: dict[str, dict[str, Any]] | None = None) -> Recipe:
    """The recipe in a TOML file (or all defaults), with `overrides` (section to key to value) laid over it.

    A name without a suffix that is no file is that of a recipe that comes with the program, such as `rft`.

    Raises `UsageError` naming the file, the key and the cause.
    """
    data: dict[str, Any] = {} if path is None else _read_toml(_located(path))
    for section, values in (overrides or {}).items():
        if not isinstance(data.setdefault(section, {}), dict):
            raise UsageError(f"{path}: `{section}` must be a table", f"Write it as [{section}], its keys below it.")
        data[section].update(values)
    return parse_recipe(data, str(path or "the command line"))


def parse_recipe(data: dict[str, Any], where: str) -> Recipe:
    """A validated recipe from plain data; `where` is named in the `UsageError` that a bad value raises."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        message, hint = _first_fault(error)
        raise UsageError(f"{where}: {message}", hint) from None


def parse_stored(data: dict[str, Any], where: str) -> Recipe:
    """The resolved recipe that a run's folder is bound to, of this version of the format or of version 1.

    Runs of version 1 rounded merges to nearest and had other bounds on them, which nothing reads any more: such a run
    keeps its way of rounding, and its later merges are judged as all are now.
    """
    merging = data.get("merging")
    if isinstance(merging, dict) and merging.keys() >= _BOUNDS_OF_VERSION_1:
        kept = {key: value for key, value in merging.items() if key not in _BOUNDS_OF_VERSION_1}
        data = {**data, "merging": {**kept, "rounding": "nearest"}}
    return parse_recipe(data, where)


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


def recipe_names() -> list[str]:
    """The names of the recipes that come with the program."""
    return sorted(path.stem for path in _PACKAGED.glob("*.toml"))


def _located(path: Path) -> Path:
    packaged = _PACKAGED / f"{path}.toml"
    named = len(path.parts) == 1 and not path.suffix and not path.is_file()
    return packaged if named and packaged.is_file() else path


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        hint = f"Name a recipe file (TOML), or a recipe that comes with the program: {', '.join(recipe_names())}."
        raise UsageError(f"{path}: no such recipe", hint) from None
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}", "Name a recipe file (TOML).") from None
    except RecursionError:
        raise UsageError(f"{path}: not readable as TOML: nested too deeply", "Make the value flat.") from None
    except ValueError as error:  # not UTF-8, not TOML, or a number of too many digits
        raise UsageError(f"{path}: not readable as TOML: {error}", "Fix it there.") from None


def _first_fault(error: ValidationError) -> tuple[str, str]:
    """The first thing wrong with a recipe, by its key, and what may stand there instead."""
    fault = error.errors(include_url=False)[0]
    section, path = _place(fault["loc"])
    key = ".".join(path)
    if fault["type"] == "extra_forbidden":
        return f"unknown key `{key}`", _suggestion(key, section)
    if fault["type"] == "model_type":
        return f"`{key}` must be a table", f"Write it as [{key}], its keys below it: {', '.join(section.model_fields)}."
    message = fault["msg"].removeprefix("Value error, ")
    field = section.model_fields.get(path[-1]) if path else None
    if field is None:
        return (f"`{key}`: {message}", "README.md lists the keys under “Recipe”.") if key else (message, "Change one.")
    default = "" if field.is_required() else f"; by default {shown(field.get_default(call_default_factory=True))}"
    return f"`{key}`: {message}", f"{key} is: {field.description}{default}."


def _place(loc: tuple[int | str, ...]) -> tuple[type[Section], list[str]]:
    """The section that a fault lies in, and its key, without what pydantic adds for the parts of a union."""
    section: type[Section] = Recipe
    path: list[str] = []
    for step, part in enumerate(loc):
        path.append(str(part))
        inner = section.model_fields[part].annotation if part in section.model_fields else None
        if isinstance(inner, type) and issubclass(inner, Section):
            section = inner
        elif loc[step : step + 1] == ("mixtures",):
            return MixturePart, [*path, *map(str, loc[step + 1 :])]
        else:
            break
    return section, path


def _suggestion(key: str, section: type[Section]) -> str:
    leaf = key.rpartition(".")[2]
    if leaf in Runtime.model_fields:
        return f"It is no key of a recipe but an option: --{leaf.replace('_', '-')}."
    keys = [name for name, *_ in described()] if "." in key else [*Recipe.model_fields]
    moved = [name for name, *_ in described() if name.rpartition(".")[2] == leaf]
    close = moved or difflib.get_close_matches(key, keys, 1)
    return f"Did you mean {' or '.join(close)}?" if close else f"Known are here: {', '.join(section.model_fields)}."
