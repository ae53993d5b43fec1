"""How hard the files call their problems: the level of a row, which a problem itself doesn't keep."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from selfimprove.problem.files import file_rows, format_of, shards
from selfimprove.recipe import Problems

NAMES = ("level", "difficulty")
"""Fields that hold a level, whatever their case."""
LIMIT = 40
"""Characters of a level; a longer text is none."""


def levels_of(wanted: Problems, places: Collection[str]) -> dict[str, str]:
    """The levels of the rows at these places (`name.jsonl:12`), as far as they have one; local files are read again."""
    files = {place.rpartition(":")[0] for place in places}
    return {
        place: level
        for path in _paths(wanted)
        if path.name in files
        for line, row in file_rows(path)
        if (place := f"{path.name}:{line}") in places and (level := _level(row))
    }


def _paths(wanted: Problems) -> Iterator[Path]:
    """The local files that the problems come from."""
    for text in sorted({wanted.train, wanted.heldout, wanted.sealed} - {""}):
        path = Path(text)
        if path.is_dir():
            yield from shards(path)
        elif path.is_file() and format_of(path):
            yield path


def _level(row: object) -> str:
    if not isinstance(row, dict):
        return ""
    held = {str(name).lower(): value for name, value in row.items()}
    found = next((held[name] for name in NAMES if isinstance(held.get(name), (str, int, float))), "")
    text = str(found).strip()
    return text if len(text) <= LIMIT else ""
