"""What a run was made with, for its report: the recipe's keys that aren't the defaults, and the packages' versions."""

from __future__ import annotations

import json

from selfimprove.recipe import Recipe
from selfimprove.report.records import RunRecords
from selfimprove.report.section import Section


def recipe_section(run: RunRecords) -> Section:
    """The keys whose value isn't the default; `format` is the file's, not the recipe's."""
    default = flat(Recipe().model_dump(mode="json"))
    own = {key: value for key, value in flat(run.bound.recipe).items() if key != "format"}
    rows = tuple(
        (key, json.dumps(own[key], ensure_ascii=False, default=str), json.dumps(default.get(key), ensure_ascii=False))
        for key in sorted(own)
        if key not in default or own[key] != default[key]
    )
    title, header = "Recipe, where it differs from the defaults", ("key", "value", "default")
    return Section(title, () if rows else ("All keys have their default values.",), header, rows, frozenset(header))


def flat(data: object, prefix: str = "") -> dict[str, object]:
    """The values of nested tables by their dotted keys."""
    if not isinstance(data, dict) or not (data or not prefix):
        return {prefix.removesuffix("."): data}
    found: dict[str, object] = {}
    for key, value in data.items():
        found |= flat(value, f"{prefix}{key}.")
    return found


def versions_section(run: RunRecords) -> Section:
    """Each package with its version, or its versions in the order of the rounds where they changed."""
    seen: dict[str, list[str]] = {}
    for record in run.rounds:
        for name, version in record.versions.items():
            versions = seen.setdefault(name, [])
            if str(version) not in versions:
                versions.append(str(version))
    rows = tuple((name, ", then ".join(versions)) for name, versions in sorted(seen.items()))
    return Section("Versions", (), ("package", "version"), rows, frozenset({"package", "version"}))
