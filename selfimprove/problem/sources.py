"""What a source string names, and the distinct problems behind it.

`reasoning-gym:NAME` is generated; a name with the suffix of a problem file, or a folder of such files, is local;
everything else of the form `ID[:CONFIG[:SPLIT]]` is a dataset on the hub. Equal sources are one source: it is read once
and its sets are cut from one sequence of problems, so they can't overlap.

What its rows give is read by `stock`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from selfimprove.errors import UsageError
from selfimprove.problem.files import SUFFIXES, file_parts, format_of, shards
from selfimprove.problem.generated import PREFIX, draw
from selfimprove.problem.hub import JUDGED_SPLITS, HubSource, hub_table, judged_split, resolved
from selfimprove.problem.names import listed
from selfimprove.problem.parts import Piece
from selfimprove.problem.stock import Origin, Reading, Stock, stock_of
from selfimprove.problem.table import rows_of_problems
from selfimprove.recipe import Problems

PART_ROWS, PART_BYTES = 2000, 2 * 2**20
"""Rows and bytes of a part that is read at once, at most; a row more where one is larger."""

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?(:[^:/\s]+){0,2}")


@dataclass(frozen=True)
class GeneratedSource:
    """A mixture or dataset of reasoning-gym."""

    name: str

    def __str__(self) -> str:
        return f"{PREFIX}{self.name}"


@dataclass(frozen=True)
class FileSource:
    """A local file, or a folder of shards; the same under two spellings is one source."""

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


def find_sources(wanted: Problems) -> Sources:
    """The source of each set, the empty ones filled in; raises `UsageError` for one that isn't there."""
    train = found_source(wanted.train, "problems.train", ("train",))
    beside = judged_split(train) if isinstance(train, HubSource) and not wanted.heldout else None
    heldout = found_source(wanted.heldout, "problems.heldout", JUDGED_SPLITS) if wanted.heldout else beside or train
    sealed = found_source(wanted.sealed, "problems.sealed", JUDGED_SPLITS) if wanted.sealed else heldout
    return Sources(train, heldout, sealed)


def decontamination_off(wanted: Problems, source: str) -> str:
    """Why training problems of this source aren't compared by n-grams although the recipe asks for it; else empty."""
    if wanted.decontaminate != "ngram" or not source.startswith(PREFIX):
        return ""
    return (
        "decontamination by n-grams is off: generated questions are all worded alike; "
        "they are distinguished by what they ask, and no problem is in two sets"
    )


def is_hub_name(text: str) -> bool:
    """Whether a source names a dataset on the hub; judged by the form of the name, the hub isn't asked."""
    return bool(_HUB_ID.fullmatch(text)) and not is_local(text)


def is_local(text: str) -> bool:
    """Whether a source is generated, a file or a folder here, judged by its name and the folder it would be."""
    return text.startswith(PREFIX) or bool(format_of(Path(text))) or Path(text).exists()


def read_stock(source: Source, wanted: Problems, reading: Reading, *, as_written: bool = False, more: int = 0) -> Stock:
    """The distinct problems of a source; raises `UsageError` for a row that is none, naming it.

    `as_written`: an answer is what its field holds, and not the final answer in it. From a generator, as many problems
    are drawn as all three sets and `more` problems can use.
    """
    if isinstance(source, GeneratedSource):
        most = wanted.train_size + wanted.heldout_size + wanted.sealed_size + more
        problems, duplicates = draw(source.name, wanted.mixtures, wanted.seed, most)
        return Stock(problems=rows_of_problems(problems), duplicates=duplicates, rows=len(problems))
    return stock_of(origin_of(source), wanted, reading, as_written=as_written)


def origin_of(source: FileSource | HubSource) -> Origin:
    """The rows of the source, in pieces that may be gone through several times."""
    return _of_hub(source) if isinstance(source, HubSource) else _of_files(source)


def _of_files(source: FileSource) -> Origin:
    paths = tuple(shards(source.path)) if source.path.is_dir() else (source.path,)

    def pieces() -> Iterator[Piece]:
        for number, path in enumerate(paths):
            for part in file_parts(path, PART_ROWS, PART_BYTES):
                yield Piece(file=number, title=str(path), name=path.name, part=part)

    names, sizes = tuple(path.name for path in paths), tuple(path.stat().st_size for path in paths)
    return Origin(pieces=pieces, names=names, files=paths, sizes=sizes)


def _of_hub(source: HubSource) -> Origin:
    table = hub_table(source)

    def pieces() -> Iterator[Piece]:
        rows = enumerate(table.rows, 1)
        while part := list(itertools.islice(rows, PART_ROWS)):
            yield Piece(file=0, title=str(source), name=str(source), part=part)

    size = sum(path.stat().st_size for path in table.files)
    return Origin(pieces=pieces, names=(str(source),), files=table.files, sizes=(size,))


def refuse_lacking(stocks: dict[Source, Stock], section: str = "problems") -> None:
    """`UsageError` if the recipe names a field in this section that no row of any of its sources has."""
    read = {source: stock for source, stock in stocks.items() if not isinstance(source, GeneratedSource) and stock.rows}
    for role, name in next(iter(read.values())).lacking if read else ():
        if all((role, name) in stock.lacking for stock in read.values()):
            source, stock = next(iter(read.items()))
            raise UsageError(
                f"{section}.{role}: no row of {source} has a field `{name}`",
                f"The fields are: {listed(stock.known)}; use dots for fields inside objects.",
            )


def found_source(text: str, key: str, splits: tuple[str, ...]) -> Source:
    """What a source string names; `UsageError`, which `key` opens, if there is no such thing."""
    path = Path(text)
    if text.startswith(PREFIX):
        return GeneratedSource(text.removeprefix(PREFIX))
    if format_of(path):
        return FileSource(_file(path, key))
    if path.is_dir() and shards(path):
        return FileSource(_relative(path))
    if is_hub_name(text) and not _inner_folders(path):
        return resolved(HubSource(*text.split(":")), splits)
    fault = "neither a file nor the id of a dataset"
    if path.exists():
        fault = "a folder without problem files" if path.is_dir() else "not a problem file"
    raise UsageError(f"{key}: {text!r} is {fault}", _instead(path))


_MANY, _SHOWN = 10_000, 8
"""Entries below a folder that are looked at for problem files, and the most folders that are named."""


def _instead(path: Path) -> str:
    """What to do about a file of a kind that is not read."""
    unpacked = {".zst": "zstd -d", ".zip": "unzip", ".tar": "tar xf", ".tgz": "tar xf", ".7z": "7z x"}
    unpacked |= {".gz": "gunzip", ".bz2": "bunzip2", ".xz": "unxz"}
    kinds = f"A file ends in {', '.join(SUFFIXES)}; an id is ID[:CONFIG[:SPLIT]]."
    suffix = path.suffix.lower()
    if inner := _inner_folders(path):
        more = f" and {len(inner) - _SHOWN} more" if len(inner) > _SHOWN else ""
        return f"Name one of the folders with its files: {listed(inner[:_SHOWN])}{more}."
    if path.is_file() and suffix in unpacked:
        return f"Unpack it: {unpacked[suffix]} {path}. {kinds}"
    if path.is_file() and suffix in (".xlsx", ".xls", ".ods"):
        return f"Save the sheet as CSV. {kinds}"
    return kinds


def _inner_folders(path: Path) -> list[str]:
    """The folders below one that hold problem files; none if it is no folder."""
    below = itertools.islice(path.rglob("*"), _MANY) if path.is_dir() else ()
    return sorted({str(file.parent) for file in below if format_of(file)})


def _file(path: Path, key: str) -> Path:
    if not path.is_file():
        if path.is_dir() and shards(path):
            return _relative(path)
        raise UsageError(f"{key}: {path}: no such file", "Paths start at the current folder.")
    return _relative(path)


def _relative(path: Path) -> Path:
    resolved_path, here = path.resolve(), Path.cwd()
    return resolved_path.relative_to(here) if resolved_path.is_relative_to(here) else resolved_path
