"""What a source string names, and the distinct problems behind it.

`reasoning-gym:NAME` is generated; a name with the suffix of a problem file, or a folder of such files, is local;
everything else of the form `ID[:CONFIG[:SPLIT]]` is a dataset on the hub. Equal sources are one source: it is read once
and its sets are cut from one sequence of problems, so they can't overlap.

A file or dataset is gone through twice: its fields are learnt from all rows before the first is read (`fields`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from selfimprove.errors import UsageError
from selfimprove.problem.fields import FieldReader
from selfimprove.problem.files import SUFFIXES, file_rows, format_of, shards
from selfimprove.problem.generated import PREFIX, draw
from selfimprove.problem.hub import JUDGED_SPLITS, HubSource, hub_rows, judged_split, resolved
from selfimprove.problem.names import listed
from selfimprove.problem.values import Aside, Problem, Tally, distinct
from selfimprove.recipe import Problems

MOST_NAMED = 200
"""Names of fields that are listed of a source, at most."""

_LETTER = re.compile(r"[A-J]")
_SHOWN = re.compile(r"(?<![A-Za-z])[AB]\s*[).:\]}]")
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


@dataclass(frozen=True, kw_only=True)
class Stock:
    """The distinct problems of a source in a seeded order, and what became of its other rows.

    `fields` says which fields were read by their role, the commonest first; `unused` are those of its first row that
    were not; `lacking` those that the recipe names and no row has. All of them are empty for a generated source.
    """

    problems: tuple[Problem, ...]
    duplicates: int
    rows: int = 0
    aside: tuple[Aside, ...] = ()
    fields: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unused: tuple[str, ...] = ()
    lacking: tuple[tuple[str, str], ...] = ()
    known: tuple[str, ...] = ()

    def tally(self, source: object) -> Tally:
        """What the rows gave, in figures."""
        prose = [one for one in self.aside if one.kind in PROSE]
        answered = sum(problem.answer is not None for problem in self.problems)
        first = f"{prose[0].where}: {prose[0].why}" if prose else ""
        return Tally(source=str(source), rows=self.rows, answered=answered, prose=len(prose), first=first)


PROSE = ("sentence", "several answers", "type")
"""Kinds of rows that have something where an answer should stand, and no answer."""


def find_sources(wanted: Problems) -> Sources:
    """The source of each set, the empty ones filled in; raises `UsageError` for one that isn't there."""
    train = found_source(wanted.train, "problems.train", ("train",))
    beside = judged_split(train) if isinstance(train, HubSource) and not wanted.heldout else None
    heldout = found_source(wanted.heldout, "problems.heldout", JUDGED_SPLITS) if wanted.heldout else beside or train
    sealed = found_source(wanted.sealed, "problems.sealed", JUDGED_SPLITS) if wanted.sealed else heldout
    return Sources(train, heldout, sealed)


def is_hub_name(text: str) -> bool:
    """Whether a source names a dataset on the hub; judged by the form of the name, the hub isn't asked."""
    return bool(_HUB_ID.fullmatch(text)) and not is_local(text)


def is_local(text: str) -> bool:
    """Whether a source is generated, a file or a folder here, judged by its name and the folder it would be."""
    return text.startswith(PREFIX) or bool(format_of(Path(text))) or Path(text).exists()


def read_stock(source: Source, wanted: Problems, *, as_written: bool = False) -> Stock:
    """The distinct problems of a source; raises `UsageError` for a row that is none, naming it.

    `as_written`: an answer is what its field holds, and not the final answer in it. From a generator, as many problems
    are drawn as all three sets together can use.
    """
    if isinstance(source, GeneratedSource):
        most = wanted.train_size + wanted.heldout_size + wanted.sealed_size
        problems, duplicates = draw(source.name, wanted.mixtures, wanted.seed, most)
        return Stock(problems=tuple(problems), duplicates=duplicates, rows=len(problems))
    return _read_rows(source, wanted, as_written)


def _read_rows(source: FileSource | HubSource, wanted: Problems, as_written: bool) -> Stock:
    reader = FieldReader(wanted, as_written=as_written)
    known: dict[str, None] = {}
    for _, _, row in _placed(source):
        reader.learn(row)
        if len(known) < MOST_NAMED and isinstance(row, dict):
            known |= dict.fromkeys(str(name) for name in row)
    problems: list[Problem] = []
    aside: list[Aside] = []
    rows = 0
    for where, short, row in _placed(source):
        read = reader.read(row, where, short)
        rows += 1
        if read.problem is not None:
            problems.append(read.problem)
        if read.problem is None or read.problem.answer is None:
            aside.append(Aside(where=short, kind=read.kind, why=read.why))
    if not as_written:
        problems, letters = _without_bare_letters(problems)
        aside += letters
    found = distinct(problems, wanted.seed)
    fields = {role: tuple(name for name, _ in names.most_common()) for role, names in reader.used.items()}
    used = {name.split(".")[0] for names in fields.values() for joined in names for name in joined.split(", ")}
    return Stock(
        problems=tuple(found.problems), duplicates=found.duplicates, rows=rows,
        aside=(*aside, *found.disagreeing), fields=tuple(fields.items()),
        unused=tuple(name for name in known if name not in used), lacking=tuple(reader.lacking.items()),
        known=tuple(known),
    )  # fmt: skip


def _without_bare_letters(problems: list[Problem]) -> tuple[list[Problem], list[Aside]]:
    """The problems without those whose answer is the letter of an option that the question doesn't show.

    Where most answers of a source are letters, its options stand in a field that was not recognised.
    """
    answered = [one for one in problems if one.answer is not None]
    letters = {one.key for one in answered if _LETTER.fullmatch(one.answer or "") and not _SHOWN.search(one.question)}
    if 2 * len(letters) <= len(answered):
        return problems, []
    why = "the answer is the letter {} and no options stand in the question: name their field in problems.options"
    aside = [
        Aside(where=one.source, kind="options", why=why.format(one.answer)) for one in answered if one.key in letters
    ]
    return [one for one in problems if one.key not in letters], aside


def refuse_lacking(stocks: dict[Source, Stock]) -> None:
    """`UsageError` if the recipe names a field that no row of any source has."""
    read = {source: stock for source, stock in stocks.items() if not isinstance(source, GeneratedSource) and stock.rows}
    for role, name in next(iter(read.values())).lacking if read else ():
        if all((role, name) in stock.lacking for stock in read.values()):
            source, stock = next(iter(read.items()))
            raise UsageError(
                f"problems.{role}: no row of {source} has a field `{name}`",
                f"The fields are: {listed(stock.known)}; dots go into objects.",
            )


def _placed(source: FileSource | HubSource) -> Iterator[tuple[str, str, object]]:
    """The rows of a source, each with its place in full and in short."""
    if isinstance(source, HubSource):
        for number, row in hub_rows(source):
            yield f"{source}:{number}", f"{source}:{number}", row
        return
    for path in shards(source.path) if source.path.is_dir() else [source.path]:
        for number, row in file_rows(path):
            yield f"{path}:{number}", f"{path.name}:{number}", row


def found_source(text: str, key: str, splits: tuple[str, ...]) -> Source:
    """What a source string names; `UsageError`, which `key` opens, if there is no such thing."""
    path = Path(text)
    if text.startswith(PREFIX):
        return GeneratedSource(text.removeprefix(PREFIX))
    if format_of(path):
        return FileSource(_file(path, key))
    if path.is_dir() and shards(path):
        return FileSource(_relative(path))
    if is_hub_name(text):
        return resolved(HubSource(*text.split(":")), splits)
    fault = "not a problem file" if path.exists() else "neither a file nor the id of a dataset"
    raise UsageError(f"{key}: {text!r} is {fault}", _instead(path))


def _instead(path: Path) -> str:
    """What to do about a file of a kind that is not read."""
    unpacked = {".zst": "zstd -d", ".zip": "unzip", ".tar": "tar xf", ".tgz": "tar xf", ".7z": "7z x"}
    unpacked |= {".gz": "gunzip", ".bz2": "bunzip2", ".xz": "unxz"}
    kinds = f"A file ends in {', '.join(SUFFIXES)}; an id is ID[:CONFIG[:SPLIT]]."
    suffix = path.suffix.lower()
    if path.is_file() and suffix in unpacked:
        return f"Unpack it: {unpacked[suffix]} {path}. {kinds}"
    if path.is_file() and suffix in (".xlsx", ".xls", ".ods"):
        return f"Save the sheet as CSV. {kinds}"
    return kinds


def _file(path: Path, key: str) -> Path:
    if not path.is_file():
        if path.is_dir() and shards(path):
            return _relative(path)
        raise UsageError(f"{key}: {path}: no such file", "Paths start at the current folder.")
    return _relative(path)


def _relative(path: Path) -> Path:
    resolved_path, here = path.resolve(), Path.cwd()
    return resolved_path.relative_to(here) if resolved_path.is_relative_to(here) else resolved_path
