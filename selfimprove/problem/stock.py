"""All rows of one source: read in parts, side by side where there are many, or found as an earlier start read them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from selfimprove.host.cgroups import usable_cores
from selfimprove.host.folders import default_cache
from selfimprove.problem.counting import absent_of
from selfimprove.problem.crew import Crew
from selfimprove.problem.distinct import distinct
from selfimprove.problem.files import Lines
from selfimprove.problem.kept import find, keep, key_of
from selfimprove.problem.learnt import Learnt
from selfimprove.problem.names import SYSTEMS, bare_name, listed
from selfimprove.problem.parts import Piece, PieceRead
from selfimprove.problem.suspect import refuse_absent_texts, refuse_bare_questions
from selfimprove.problem.table import Made, ProblemRows, Rows, answered, joined, own_copy, problem_rows
from selfimprove.problem.values import Aside, Tally
from selfimprove.recipe import Problems

if TYPE_CHECKING:
    import pyarrow as pa

PROSE = ("sentence", "several answers", "type")
"""Kinds of rows that have something where an answer should stand, and no answer."""
LARGE = 8 * 2**20
"""Bytes of a source from which on it is read in workers and kept: reading that many takes seconds."""

Told = Callable[[int, int], None]
"""Called with the bytes that are read, and those there are."""


def untold(done: int, total: int) -> None:
    """Nobody is told."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How sources are read, which changes nothing of what is read.

    `workers` is 0 for one a core, `cache` None for the user's; sources of `large` bytes and more use both.
    """

    told: Told = untold
    workers: int = 0
    cache: Path | None = None
    large: int = LARGE

    @property
    def folder(self) -> Path:
        """The cache folder."""
        return self.cache or default_cache()


@dataclass(frozen=True, kw_only=True)
class Stock:
    """The distinct problems of a source in a seeded order, and what became of its other rows.

    `fields` says which fields were read by their role, the commonest first; `unused` are those of its first rows that
    were not; `lacking` those that the recipe names and no row has. All of them are empty for a generated source.
    `notes` tell of fields that were taken by no name of theirs, and of rows without a field that the recipe names.
    `key` is the name under which the source is kept, empty if it is not.
    """

    problems: ProblemRows
    duplicates: int
    rows: int = 0
    aside: Sequence[Aside] = ()
    fields: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unused: tuple[str, ...] = ()
    lacking: tuple[tuple[str, str], ...] = ()
    known: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    key: str = ""

    @property
    def answered(self) -> int:
        """How many of the problems have an answer."""
        return answered(self.problems)

    def tally(self, source: object) -> Tally:
        """What the rows gave, in figures."""
        prose = [one for one in self.aside if one.kind in PROSE]
        first = f"{prose[0].where}: {prose[0].why}" if prose else ""
        return Tally(
            source=str(source),
            rows=self.rows,
            answered=self.answered,
            aside=len(self.aside),
            prose=len(prose),
            first=first,
            notes=self.notes,
        )


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A source of rows: its pieces, which may be gone through twice, the names and the bytes of its files.

    `files` is empty where what stands in them can't be told by their bytes.
    """

    pieces: Callable[[], Iterator[Piece]]
    names: tuple[str, ...]
    files: tuple[Path, ...]
    sizes: tuple[int, ...]


def stock_of(origin: Origin, wanted: Problems, reading: Reading, *, as_written: bool) -> Stock:
    """What the source gives; raises `UsageError` for a row that is none, naming it.

    `as_written` as in `FieldReader`.
    """
    large = sum(origin.sizes) >= reading.large
    key = key_of(origin.files, wanted, as_written) if large and origin.files else ""
    if key and (found := find(reading.folder, key)) is not None and (stock := _opened(found, key)) is not None:
        return stock
    workers = (reading.workers or usable_cores()) if large else 0
    with Crew(workers, wanted, as_written) as crew:
        learnt, used, notes, batches = _read(origin, wanted, crew, reading.told if large else untold)
    rows = Rows(joined(batches), origin.names)
    found_distinct = distinct(rows, as_written=as_written)
    fields = {role: tuple(name for name, _ in names.most_common()) for role, names in used.items()}
    taken = {name.split(".")[0] for names in fields.values() for joint in names for name in joint.split(", ")}
    if any(rows.table["system"].unique().to_pylist()):
        taken |= {name for name in learnt.known if bare_name(name) in SYSTEMS}
    unused = tuple(name for name in learnt.known if name not in taken)
    if not used["context"] and not used["options"]:
        refuse_bare_questions(rows, found_distinct.aside, unused, origin.names[0])
        refuse_absent_texts(rows, unused, absent_of(learnt.counted), origin.names[0])
    notes += _lettered_replies(rows)
    stock = Stock(
        problems=problem_rows(rows, found_distinct.places), duplicates=found_distinct.duplicates,
        rows=rows.table.num_rows, aside=_asides(rows, found_distinct.aside), fields=tuple(fields.items()),
        unused=unused, lacking=tuple(learnt.lacking.items()), known=tuple(learnt.known), notes=notes, key=key,
    )  # fmt: skip
    if key:
        keep(reading.folder, key, lambda path: _write(stock, found_distinct.aside, path))
    return stock


def _read(
    origin: Origin, wanted: Problems, crew: Crew, told: Told
) -> tuple[Learnt, dict[str, Counter[str]], tuple[str, ...], list[pa.RecordBatch]]:
    """All pieces, those again that wait for what the others teach."""
    learnt: Learnt | None = None
    used = {role: Counter[str]() for role in ("question", "context", "options", "answer")}
    found: list[PieceRead] = []
    for piece, read in crew.read(origin.pieces(), None):
        if learnt is None:
            learnt = read.learnt
        else:
            learnt.join(read.learnt)
        found.append(_held(read))
        told(_done(piece, origin), sum(origin.sizes))
    learnt = learnt or Learnt(lacking={role: name for role in used if (name := getattr(wanted, role))})
    taken = learnt.decides
    waiting = {place for place, read in enumerate(found) if read.batch is None or (taken and read.learnt.open)}
    again = (piece for place, piece in enumerate(origin.pieces()) if place in waiting) if waiting else ()
    for place, (piece, read) in zip(sorted(waiting), crew.read(again, learnt), strict=True):
        found[place] = _held(read)
        told(_done(piece, origin), sum(origin.sizes))
    for read in found:
        for role, names in read.used.items():
            used[role].update(names)
    lacked = sum((read.lacked for read in found), Counter[str]())
    rows = sum(read.batch.num_rows for read in found if read.batch is not None)
    notes = tuple(dict.fromkeys(note for read in found for note in read.notes))
    notes += tuple(
        f"`{name}` is filled in {count:,} of {rows:,} rows; the other questions were read without it"
        for name, count in used["context"].items()
        if count < _MOST_FILLED * rows and bare_name(name) not in _OPTIONAL
    )
    notes += tuple(_lacked_told(role, wanted, count, rows, used[role]) for role, count in lacked.items())
    return learnt, used, notes, [read.batch for read in found if read.batch is not None]


def _lettered_replies(rows: Rows) -> tuple[str, ...]:
    """That the answers are letters for true and false, or for yes and no, which no model writes."""
    found = {answer for answer in rows.table["answer"].unique().to_pylist() if answer is not None}
    words = next((words for words in _REPLIES if found and found == set(words)), None)
    if words is None:
        return ()
    (one, other), (first, second) = words, words.values()
    return (f"the answers are `{one}` and `{other}`: write `{first}` and `{second}`, which models answer",)


_REPLIES = ({"T": "true", "F": "false"}, {"t": "true", "f": "false"}, {"Y": "yes", "N": "no"}, {"y": "yes", "n": "no"})
_MOST_FILLED = 0.9
"""Share of the rows from which on a context is filled in as good as all of them."""
_OPTIONAL = ("input", "hint", "lecture")
"""Bare names of contexts that only some questions of a source have."""


def _lacked_told(role: str, wanted: Problems, count: int, rows: int, used: Counter[str]) -> str:
    """That rows don't have the field that the recipe names, and which fields were read in them."""
    name = getattr(wanted, role)
    found = [field for field, _ in used.most_common() if name not in field.split(", ")]
    others = [field for field in found if not field.startswith(f"{name}.")]
    return f"{count:,} of {rows:,} rows have no `{name}`; their {role} was read from {listed(others[:3])}"


def _held(read: PieceRead) -> PieceRead:
    return read if read.batch is None else replace(read, batch=own_copy(read.batch))


def _done(piece: Piece, origin: Origin) -> int:
    """The bytes that are read once this piece is."""
    within = piece.part.end if isinstance(piece.part, Lines) else 0
    return sum(origin.sizes[: piece.file]) + within


def _asides(rows: Rows, more: Sequence[Aside]) -> Sequence[Aside]:
    import numpy as np

    return Made(rows, np.flatnonzero(~rows.answered), rows.asides, tuple(more))


def _write(stock: Stock, more: Sequence[Aside], path: Path) -> None:
    """Write the table with the order of the problems as a column, and the rest as its metadata."""
    import numpy as np
    import pyarrow as pa

    order = np.full(stock.rows, -1, dtype=np.int64)
    order[stock.problems.places] = np.arange(len(stock.problems))
    table = stock.problems.rows.table.append_column("order", pa.array(order))
    rest = {
        "names": stock.problems.rows.names, "duplicates": stock.duplicates, "fields": stock.fields,
        "unused": stock.unused, "lacking": stock.lacking, "known": stock.known,
        "notes": stock.notes,
        "aside": [[one.where, one.kind, one.why] for one in more],
    }  # fmt: skip
    table = table.replace_schema_metadata({"selfimprove": json.dumps(rest)})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _opened(data: memoryview, key: str) -> Stock | None:
    """The stock that was written, its table left in the file; None for a table of another form."""
    import numpy as np
    import pyarrow as pa

    try:
        table = pa.ipc.open_file(pa.BufferReader(pa.py_buffer(data))).read_all()
        rest = json.loads(table.schema.metadata[b"selfimprove"])
        rows = Rows(table.drop_columns("order"), tuple(rest["names"]))
        order = np.asarray(table["order"])
    except (pa.ArrowException, ValueError, TypeError, LookupError):
        return None
    asked = np.flatnonzero(order >= 0)
    places = np.empty(len(asked), dtype=np.int64)
    places[order[asked]] = asked
    more = tuple(Aside(where=where, kind=kind, why=why) for where, kind, why in rest["aside"])
    return Stock(
        problems=problem_rows(rows, places), duplicates=rest["duplicates"], rows=table.num_rows,
        aside=_asides(rows, more), fields=tuple((role, tuple(names)) for role, names in rest["fields"]),
        unused=tuple(rest["unused"]), lacking=tuple((role, name) for role, name in rest["lacking"]),
        known=tuple(rest["known"]), notes=tuple(rest["notes"]), key=key,
    )  # fmt: skip
