"""Recipes from TOML files, `--set` and plain data: validated whole, or refused by file, key, cause and valid values.

Plain data is what TOML or JSON gives: *tables*, a mapping from sections to mappings of their keys, with the keys of no
section (`seed`) beside them.
"""

from __future__ import annotations

import difflib
import functools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from selfimprove.errors import UsageError
from selfimprove.recipe import Guard, MixturePart, Recipe, Runtime, Section
from selfimprove.recipe.keys import described, described_of_guards, dotted, shown

_PACKAGED = Path(__file__).parents[1] / "recipes"
_BOUNDS_OF_VERSION_1 = {"min_survival", "min_agreement", "max_kl"}
_NOW_RUNTIME = {"micro_tokens", "gradient_checkpointing"}
_SINGLE_KEYS = {name for name, value in Recipe() if not isinstance(value, Section)}


@dataclass(frozen=True)
class Setting:
    """A recipe's key by its dotted name (`training.rank`, `seed`), and the value typed for it."""

    key: str
    value: object

    def table(self) -> dict[str, object]:
        """The setting as plain data."""
        section, _, key = self.key.partition(".")
        return {section: {key: self.value}} if key else {section: self.value}


def read_recipe(path: Path | None, overrides: Mapping[str, object] | None = None) -> Recipe:
    """The recipe in a TOML file (or all defaults), with `overrides` (plain data) laid over it.

    A name without a suffix that is no file is that of a recipe that comes with the program, such as `rft`.

    Raises `UsageError` naming the file, the key and the cause.
    """
    where = str(path or "the command line")
    data = {} if path is None else _read_toml(_located(path))
    return parse_recipe(laid_over(data, overrides or {}, where), where)


def overridden(recipe: Recipe, overrides: Mapping[str, object]) -> Recipe:
    """The recipe with `overrides` (plain data) from the command line laid over it; raises as `read_recipe` does."""
    where = "the command line"
    return parse_recipe(laid_over(recipe.model_dump(), overrides, where), where)


def packaged_recipe(name: str, overrides: Mapping[str, object] | None = None) -> Recipe:
    """A recipe that comes with the program, whatever file of its name lies in the working folder."""
    return read_recipe(_PACKAGED / f"{name}.toml", overrides)


def typed_keys(path: Path | None, overrides: Mapping[str, object]) -> list[str]:
    """The dotted names of the keys that a user wrote: those of the overrides, then those of the recipe's file."""
    written = {} if path is None else _read_toml(_located(path))
    return list(dict.fromkeys([*dotted(overrides), *dotted(written)]))


def laid_over(data: Mapping[str, object], overrides: Mapping[str, object], where: str) -> dict[str, object]:
    """A copy of `data` with the values of `overrides` in place of its own; neither is validated.

    Raises `UsageError`, naming `where`, if a section of `data` with keys to override isn't a table.
    """
    laid = dict(data)
    for name, over in overrides.items():
        under = laid.get(name, {})
        if name in _SINGLE_KEYS or not isinstance(over, Mapping):
            laid[name] = over
        elif isinstance(under, Mapping):
            laid[name] = {**under, **over}
        else:
            raise UsageError(f"{where}: `{name}` must be a table", f"Write it as [{name}] with its keys below it.")
    return laid


def parse_recipe(data: Mapping[str, object], where: str) -> Recipe:
    """A validated recipe from plain data; `where` is named in the `UsageError` that a bad value raises."""
    try:
        return Recipe.model_validate(dict(data))
    except ValidationError as error:
        message, hint = _first_fault(error)
        raise UsageError(f"{where}: {message}", hint) from None


def parse_stored(data: Mapping[str, object], where: str) -> Recipe:
    """The resolved recipe that a run's folder is bound to, of this version of the format or of version 1.

    Runs of version 1 rounded merges to nearest and had other bounds on them, which nothing reads any more: such a run
    keeps its way of rounding, and its later merges are judged as all are now. Keys of `training` that are options of
    the runtime now are left out; the record keeps them, and with them its fingerprint.
    """
    training = data.get("training")
    if isinstance(training, dict):
        data = {**data, "training": {key: value for key, value in training.items() if key not in _NOW_RUNTIME}}
    merging = data.get("merging")
    if isinstance(merging, dict) and merging.keys() >= _BOUNDS_OF_VERSION_1:
        kept = {key: value for key, value in merging.items() if key not in _BOUNDS_OF_VERSION_1}
        data = {**data, "merging": {**kept, "rounding": "nearest"}}
    return parse_recipe(data, where)


def read_settings(texts: Iterable[str]) -> dict[str, object]:
    """What `--set section.key=value` was typed with, as plain data; of several values for one key the last counts."""
    tables = (read_setting(text).table() for text in texts)
    return functools.reduce(lambda data, table: laid_over(data, table, "--set"), tables, {})


def read_setting(text: str) -> Setting:
    """`section.key=value` or `seed=value` taken apart; the value is TOML, or plain text if it isn't.

    Raises `UsageError` for another form; whether the recipe has such a key is not looked at.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    section, _, name = key.partition(".")
    if not (equals and section and (name or key in _SINGLE_KEYS)):
        raise UsageError(f"--set {text!r}: not of the form section.key=value", "For example: training.rank=8")
    try:
        read = tomllib.loads(f"value = {value}")
    except (ValueError, RecursionError):  # not TOML, a number of too many digits, nested too deeply
        return Setting(key, value)
    return Setting(key, read["value"] if len(read) == 1 else value)


def recipe_names() -> list[str]:
    """The names of the recipes that come with the program."""
    return sorted(path.stem for path in _PACKAGED.glob("*.toml"))


def _located(path: Path) -> Path:
    packaged = _PACKAGED / f"{path}.toml"
    named = len(path.parts) == 1 and not path.suffix and not path.is_file()
    return packaged if named and packaged.is_file() else path


def _read_toml(path: Path) -> dict[str, object]:
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
        return (
            f"`{key}` must be a table",
            f"Write it as [{key}] with its keys below it: {', '.join(section.model_fields)}.",
        )
    message = fault["msg"].removeprefix("Value error, ")
    field = section.model_fields.get(path[-1]) if path else None
    if field is None:
        return (f"`{key}`: {message}", "docs/recipe.md lists the keys.") if key else (message, "Change one.")
    default = "" if field.is_required() else f"; by default {shown(field.get_default(call_default_factory=True))}"
    return f"`{key}`: {message}", f"{key}: {field.description}{default}."


def _place(loc: tuple[int | str, ...]) -> tuple[type[Section], list[str]]:
    """The section that a fault lies in, and its key, without what pydantic adds for the parts of a union."""
    if loc[:1] == ("guards",) and len(loc) > 1:
        return Guard, [str(part) for part in loc]
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
        return f"It isn't a recipe key but an option: --{leaf.replace('_', '-')}."
    known = [name for name, *_ in (described_of_guards() if section is Guard else described())]
    keys = known if "." in key else [*Recipe.model_fields]
    moved = [name for name in known if name.rpartition(".")[2] == leaf]
    close = moved or difflib.get_close_matches(key, keys, 1)
    return f"Did you mean {' or '.join(close)}?" if close else f"The keys here are: {', '.join(section.model_fields)}."
