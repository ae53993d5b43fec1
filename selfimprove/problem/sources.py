"""What a source string names, and the distinct problems behind it.

`reasoning-gym:NAME` is generated; a name with the suffix of a problem file is local; everything else of the form
`ID[:CONFIG[:SPLIT]]` is a dataset on the hub. Equal sources are one source: it is read once and its sets
are cut from one sequence of problems, so they can't overlap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from selfimprove.errors import UsageError
from selfimprove.problem.fields import problem_from_row
from selfimprove.problem.files import SUFFIXES, file_rows
from selfimprove.problem.generated import PREFIX, draw
from selfimprove.problem.hub import JUDGED_SPLITS, HubSource, hub_rows, judged_split, resolved
from selfimprove.problem.values import Problem, distinct
from selfimprove.recipe import Problems

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?(:[^:/\s]+){0,2}")


@dataclass(frozen=True)
class GeneratedSource:
    """A mixture or dataset of reasoning-gym."""

    name: str

    def __str__(self) -> str:
        return f"{PREFIX}{self.name}"


@dataclass(frozen=True)
class FileSource:
    """A local file; the same file under two spellings is one source."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


Source = GeneratedSource | FileSource | HubSource


@dataclass(frozen=True)
class Sources:
    """Where each set comes from; equal ones share their problems."""

    train: Source
    heldout: Source
    sealed: Source


@dataclass(frozen=True)
class Stock:
    """The distinct problems of a source in a seeded order, and how many duplicates it had."""

    problems: tuple[Problem, ...]
    duplicates: int


def find_sources(wanted: Problems) -> Sources:
    """The source of each set, the empty ones filled in; raises `UsageError` for one that isn't there."""
    train = _found(wanted.train, "train", ("train",))
    beside = judged_split(train) if isinstance(train, HubSource) and not wanted.heldout else None
    heldout = _found(wanted.heldout, "heldout", JUDGED_SPLITS) if wanted.heldout else beside or train
    sealed = _found(wanted.sealed, "sealed", JUDGED_SPLITS) if wanted.sealed else heldout
    return Sources(train, heldout, sealed)


def is_hub_name(text: str) -> bool:
    """Whether a source names a dataset on the hub; judged by the form of the name, the hub isn't asked."""
    local = text.startswith(PREFIX) or Path(text).suffix.lower() in SUFFIXES
    return bool(_HUB_ID.fullmatch(text)) and not local and not Path(text).exists()


def read_stock(source: Source, wanted: Problems, answered: bool) -> Stock:
    """The distinct problems of a source; with `answered` a row without an answer is a `UsageError` naming it.

    From a generator, as many problems are drawn as all three sets together can use.
    """
    if isinstance(source, GeneratedSource):
        most = wanted.train_size + wanted.heldout_size + wanted.sealed_size
        problems, duplicates = draw(source.name, wanted.mixtures, wanted.seed, most)
    else:
        rows = list(_row_problems(source, wanted, answered))
        problems, duplicates = distinct(rows, wanted.seed)
    return Stock(tuple(problems), duplicates)


def _found(text: str, key: str, splits: tuple[str, ...]) -> Source:
    path = Path(text)
    if text.startswith(PREFIX):
        return GeneratedSource(text.removeprefix(PREFIX))
    if path.suffix.lower() in SUFFIXES:
        return FileSource(_file(path, key))
    if is_hub_name(text):
        return resolved(HubSource(*text.split(":")), splits)
    fault = "not a problem file" if path.exists() else "neither a file nor the id of a dataset"
    raise UsageError(
        f"problems.{key}: {text!r} is {fault}", f"A file ends in {', '.join(SUFFIXES)}; an id is ID[:CONFIG[:SPLIT]]."
    )


def _file(path: Path, key: str) -> Path:
    if not path.is_file():
        raise UsageError(f"problems.{key}: {path}: no such file", "Paths start at the current folder.")
    resolved_path, here = path.resolve(), Path.cwd()
    return resolved_path.relative_to(here) if resolved_path.is_relative_to(here) else resolved_path


def _row_problems(source: FileSource | HubSource, wanted: Problems, answered: bool) -> Iterator[Problem]:
    rows = file_rows(source.path) if isinstance(source, FileSource) else hub_rows(source)
    short = source.path.name if isinstance(source, FileSource) else str(source)
    for number, row in rows:
        where = f"{source}:{number}"
        problem = problem_from_row(row, wanted, where, f"{short}:{number}")
        if answered and problem.answer is None:
            raise UsageError(
                f"{where}: no answer; held-out and sealed problems need one",
                'Recognised are `expected_answer`, `answer`, `solution`; another: [problems] answer = "…".',
            )
        yield problem
