"""Arms: recipes with one value for each varied key, their names, and what they must have in common.

An arm's name is its recipe file's, followed by the last word and the value of each varied key: `upft-length-8`. It
names a folder, so characters other than letters, digits and `.+_-` are replaced, and a short hash keeps names distinct.
The seed in a recipe file is ignored: all arms are run with seeds 0, 1, ….
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from selfimprove.errors import UsageError
from selfimprove.recipe import Recipe
from selfimprove.recipe.keys import changed_keys
from selfimprove.recipe.reading import Setting, laid_over, read_recipe, read_setting

MOST_ARMS = 1000
NAME_LIMIT = 40
"""Characters of a value, or of a file's name, in an arm's name."""

COMMON = ("model.", "problems.", "answers.", "guards")
"""Sections and tables in which arms may not differ, since they define what is measured."""
JUDGING = (
    *("gate.samples", "gate.temperature", "gate.beside_samples", "gate.beside_temperature"),
    *("sampling.max_new_tokens", "sampling.prompt", "sampling.system"),
)
"""Keys that change how every model is judged, and so the base model's accuracy too."""
TEMPLATE = "sampling.template"
"""The table whose keys do so as well."""


@dataclass(frozen=True)
class Arm:
    """One recipe to compare; its `seed` is 0, and each run sets its own."""

    name: str
    recipe: Recipe


@dataclass(frozen=True)
class Varied:
    """A recipe key and the values that the arms give it."""

    key: str
    values: tuple[object, ...]


def read_arms(files: Sequence[Path], vary: Sequence[str], common: Mapping[str, object]) -> tuple[Arm, ...]:
    """Every recipe file with every combination of the varied values, `common` (plain data) laid over all of them.

    Raises `UsageError` naming the file, key or arm that can't be compared with the others.
    """
    varied = [_varied(text) for text in vary]
    listed = [key.key for key in varied]
    if len({*listed}) < len(listed):
        raise UsageError("a key is varied twice", "Name all its values in one --vary KEY=V1,V2")
    if "seed" in common:
        _refuse_seed("--set")
    arms = [_arm(path, common, varied, values) for path in files for values in _combinations(varied)]
    _refuse_equal(arms)
    for arm in arms[1:]:
        _refuse_unlike(arms[0], arm)
    return tuple(arms)


def judged_otherwise(recipes: Sequence[Recipe]) -> list[str]:
    """The keys of judging in which these recipes differ; if there are any, the arms' accuracies can't be compared."""
    changed = {key for recipe in recipes for key in changed_keys(recipes[0], recipe)}
    drawn = any(recipe.gate.samples > 1 for recipe in recipes)
    also = ("sampling.temperature", "sampling.top_p", "sampling.top_k") if drawn else ()
    judging = changed & {*JUDGING, *also}
    return sorted(judging | {key for key in changed if key.startswith(TEMPLATE)})


def _varied(text: str) -> Varied:
    key, equals, listed = text.partition("=")
    key = key.strip()
    if key == "seed":
        _refuse_seed("--vary")
    values = _values(key, listed) if equals else []
    if not values or "." not in key:
        raise UsageError(
            f"--vary {text!r}: not of the form section.key=V1,V2,…", "For example: prefixes.length=4,8,full"
        )
    if key.startswith(COMMON):
        raise UsageError(
            f"--vary {key}: arms share the sections model, problems and answers", "Compare them separately."
        )
    return Varied(key, tuple(values))


def _values(key: str, listed: str) -> list[object]:
    """The values between commas: read as one TOML list, or if that fails each by itself as `--set` reads it."""
    try:
        read = tomllib.loads(f"values = [{listed}]")
    except (ValueError, RecursionError):
        return [read_setting(f"{key}={value.strip()}").value for value in listed.split(",") if value]
    return list(read["values"]) if len(read) == 1 else []


def _combinations(varied: Sequence[Varied]) -> list[tuple[object, ...]]:
    count = math.prod(len(key.values) for key in varied)
    if count > MOST_ARMS:
        raise UsageError(f"{count:,} combinations of the varied values", f"Vary fewer values: at most {MOST_ARMS:,}.")
    return list(itertools.product(*(key.values for key in varied)))


def _refuse_seed(option: str) -> NoReturn:
    raise UsageError(f"{option} seed: every arm of a comparison is run with seeds 0, 1, …", "Use --seeds N.")


def _arm(path: Path, common: Mapping[str, object], varied: Sequence[Varied], values: Sequence[Any]) -> Arm:
    overrides = dict(common)
    words = [_slug(path.stem)]
    for key, value in zip(varied, values, strict=True):
        name = key.key.partition(".")[2]
        overrides = laid_over(overrides, Setting(key.key, value).table(), "--vary")
        words += [_slug(name), _slug(value if isinstance(value, str) else json.dumps(value, default=str))]
    return Arm("-".join(words), read_recipe(path, overrides).model_copy(update={"seed": 0}))


def _slug(text: str) -> str:
    """`text` as a part of a folder's name, with a hash of it where characters were replaced."""
    safe = re.sub(r"[^A-Za-z0-9.+_]+", "-", text).strip("-._")[:NAME_LIMIT]
    return safe if safe == text else f"{safe}-{hashlib.sha256(text.encode()).hexdigest()[:6]}".lstrip("-")


def _refuse_equal(arms: Sequence[Arm]) -> None:
    names: dict[str, Arm] = {}
    recipes: dict[str, Arm] = {}
    for arm in arms:
        if arm.name in names:
            raise UsageError(f"two arms would be called `{arm.name}`", "Give the recipe files different names.")
        twin = recipes.get(arm.recipe.fingerprint())
        if twin:
            raise UsageError(f"`{twin.name}` and `{arm.name}` are the same recipe", "Leave one of them out.")
        names[arm.name] = recipes[arm.recipe.fingerprint()] = arm


def _refuse_unlike(first: Arm, other: Arm) -> None:
    changed = [key for key in changed_keys(first.recipe, other.recipe) if key.startswith(COMMON)]
    if changed:
        raise UsageError(
            f"`{other.name}` can't be compared with `{first.name}`, since it differs in {', '.join(changed)}",
            "Arms share the sections model, problems and answers; --set sets a key for all of them.",
        )
