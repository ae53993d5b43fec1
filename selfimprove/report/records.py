"""A run's records as plain dicts, and how they are read without falling over them.

`at` and its like give None for what is missing or of another type than expected, and None shows as a dash. A file
edited by hand or written by another version can spoil a cell of a report, never the report. Strings come out as they
are: whoever writes them out escapes them. What the run itself steers by is another matter: `journal` refuses a record
that lacks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfimprove.errors import UsageError
from selfimprove.store.durable import read_json
from selfimprove.store.journal import Journal
from selfimprove.text.formatting import MISSING

Record = dict[str, Any]


@dataclass(frozen=True)
class RunRecords:
    """What a run's folder holds, parsed: the resolved recipe, each `round.json` in order, `sealed.json` if it is there.

    `running` says who holds the run's lock; it is empty if nobody does.
    """

    name: str
    folder: Path
    recipe: Record
    rounds: tuple[Record, ...]
    sealed: Record | None
    rollbacks: tuple[Record, ...]
    running: str


def read_runs(rounds_dir: Path) -> list[RunRecords]:
    """The records of every run in the folder, by name; runs begin to exist with their recipe."""
    found = sorted(path.parent for path in rounds_dir.glob("*/recipe.json"))
    return [_read(Journal(folder)) for folder in found]


def read_run(rounds_dir: Path, name: str) -> RunRecords:
    """The records of one run, of the only one if no name is given; `UsageError` lists the runs there are."""
    runs = sorted(path.parent.name for path in rounds_dir.glob("*/recipe.json"))
    if not name and len(runs) == 1:
        name = runs[0]
    if name not in runs:
        there = f"Runs in {rounds_dir}: {', '.join(runs)}." if runs else f"There are no runs in {rounds_dir} yet."
        raise UsageError(f"no run `{name}`" if name else "which run?", there)
    return _read(Journal(rounds_dir / name))


def _read(journal: Journal) -> RunRecords:
    recipe = read_json(journal.recipe_path).get("recipe", {})
    rounds, rollbacks = tuple(journal.rounds()), tuple(journal.rollbacks())
    return RunRecords(journal.name, journal.folder, recipe, rounds, journal.sealed(), rollbacks, journal.held_by())


def at(record: Any, *path: str | int) -> Any:  # noqa: ANN401 - parsed JSON of any shape
    """The value under a path of keys and places, None where there is none."""
    for step in path:
        known = isinstance(record, dict) and step in record
        if not known and not (isinstance(record, list | tuple) and _is_place(record, step)):
            return None
        record = record[step]
    return record


def _is_place(record: Sequence[Any], step: str | int) -> bool:
    return isinstance(step, int) and -len(record) <= step < len(record)


def number(record: Any, *path: str | int) -> int | float | None:  # noqa: ANN401 - parsed JSON of any shape
    """The finite number under a path, None where there is none."""
    value = at(record, *path)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # An integer beyond a float's range is no figure of a run; asking whether it is finite would raise.
    return value if abs(value) < 1e300 else None


def word(record: Any, *path: str | int) -> str:  # noqa: ANN401 - parsed JSON of any shape
    """The string under a path, empty where there is none."""
    value = at(record, *path)
    return value if isinstance(value, str) else ""


def items(record: Any, *path: str | int) -> list[Any]:  # noqa: ANN401 - parsed JSON of any shape
    """The list under a path, empty where there is none."""
    value = at(record, *path)
    return list(value) if isinstance(value, list | tuple) else []


def interval(record: Any, *path: str | int) -> tuple[float | None, float | None]:  # noqa: ANN401 - parsed JSON
    """The two ends under a path, None for an end that is missing."""
    return number(record, *path, 0), number(record, *path, 1)


def accepted(record: Record) -> bool:
    """Whether a round's record says that its challenger became the champion."""
    return at(record, "decision", "accepted") is True


def champion(run: RunRecords) -> int:
    """The round that the champion comes from: the last accepted one or rolled back to; 0 for the base model."""
    current = 0
    for finished in range(len(run.rounds) + 1):
        if finished and accepted(run.rounds[finished - 1]):
            current = finished
        moves = [number(row, "to") for row in run.rollbacks if number(row, "after") == finished]
        current = int(moves[-1] or 0) if moves else current
    return current


def gain(record: Record) -> float | None:
    """A round's gain in accuracy on the held-out problems judged."""
    before, after = (number(record, "scorecard", side, "accuracy") for side in ("champion", "challenger"))
    if before is None or after is None:
        return number(record, "decision", "looks", -1, "gain")
    return after - before


def decision(record: Record) -> str:
    """`accepted` or `rejected`, a dash where the record says neither."""
    return _chosen(at(record, "decision", "accepted"), "accepted", "rejected")


def robust(record: Record) -> str:
    """`yes`, or `no` where the decision hangs on the checker."""
    return _chosen(at(record, "decision", "robust"), "yes", "no")


def _chosen(flag: object, yes: str, no: str) -> str:
    return yes if flag is True else no if flag is False else MISSING
