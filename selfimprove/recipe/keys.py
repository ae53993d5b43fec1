"""The keys of recipes by their dotted names: which differ between two, what each means, the table of docs/recipe.md."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping

from selfimprove.recipe import TASK_TEMPLATE, Guard, Recipe, Section

REQUIRED = object()
"""Stands for the default of a key that has none."""

NAMED = 6
"""Keys that a message names."""


def changed_keys(old: Recipe, new: Recipe) -> list[str]:
    """Dotted names of the keys in which two recipes differ, sorted."""
    before, after = dotted(old.model_dump(mode="json")), dotted(new.model_dump(mode="json"))
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def changed_told(old: Recipe, new: Recipe, typed: Collection[str] = ()) -> str:
    """The keys in which two recipes differ, those that were typed first; of many, the others are counted."""
    changed = changed_keys(old, new)
    ordered = [key for key in typed if key in changed]
    ordered += [key for key in changed if key not in ordered]
    shown = max(NAMED, sum(key in changed for key in typed))
    more = f" and {len(ordered) - shown} more" if len(ordered) > shown else ""
    return ", ".join(ordered[:shown]) + more


def key_table() -> str:
    """The recipe's keys as a Markdown table: key, default, meaning. docs/recipe.md holds it, and a test compares."""
    keys = (*described(), *described_of_guards())
    rows = [f"| `{key}` | {shown(default)} | {meaning} |" for key, default, meaning in keys]
    return "\n".join(["| key | default | meaning |", "| --- | --- | --- |", *rows]) + "\n"


def described() -> Iterator[tuple[str, object, str | None]]:
    """Dotted name, default and meaning of each key of a recipe, in the order of the sections."""
    for name, value in Recipe():
        if isinstance(value, Section):
            for key, field in type(value).model_fields.items():
                yield f"{name}.{key}", getattr(value, key), field.description
        else:
            yield name, value, Recipe.model_fields[name].description


def described_of_guards() -> Iterator[tuple[str, object, str | None]]:
    """The same of the keys that each table `[[guards]]` may have."""
    for key, field in Guard.model_fields.items():
        yield f"guards.{key}", REQUIRED if field.is_required() else field.default, field.description


def shown(value: object) -> str:
    """A default in Markdown: its JSON in backquotes, `unset`, `required`, or `the paper's` for the task template."""
    if value is REQUIRED:
        return "required"
    return "unset" if value is None else "the paper's" if value == TASK_TEMPLATE else f"`{json.dumps(value)}`"


def dotted(data: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested tables as one, by dotted keys; an empty table stands as it is."""
    flat: dict[str, object] = {}
    for key, value in data.items():
        if isinstance(value, dict) and value:
            flat |= dotted(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
