"""Rows as they were read, in columns: a table of Arrow, from which problems are made when they are asked for.

A million rows as objects are a gigabyte and more; as columns they are half of that, are kept in a file as they stand
(`kept`), and what a run leaves untouched is never made. A problem and a row set aside are views of one row here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from selfimprove.problem.values import Aside, Problem

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Places = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

Value = TypeVar("Value")
STEP = 1024
"""Rows that are made at once where all are gone through."""


@dataclass
class Columns:
    """Rows on their way into a table, a list a column."""

    seed: int
    file: list[int] = field(default_factory=list)
    line: list[int] = field(default_factory=list)
    question: list[str | None] = field(default_factory=list)
    answer: list[str | None] = field(default_factory=list)
    system: list[str] = field(default_factory=list)
    form: list[str | None] = field(default_factory=list)
    identity: list[str | None] = field(default_factory=list)
    key: list[bytes | None] = field(default_factory=list)
    rank: list[bytes | None] = field(default_factory=list)
    drawn: list[str | None] = field(default_factory=list)
    kind: list[str] = field(default_factory=list)
    why: list[bytes] = field(default_factory=list)

    def add(self, file: int, line: int, problem: Problem | None, kind: str = "", why: str = "") -> None:
        """Add a row: a problem, or what it lacks to be one or to have an answer."""
        self.file.append(file)
        self.line.append(line)
        found = problem is not None
        self.question.append(problem.question if problem else None)
        self.answer.append(problem.answer if problem else None)
        self.system.append(problem.system if problem else "")
        self.form.append(problem.form if problem else None)
        self.identity.append(problem.identity if problem and problem.identity != problem.form else None)
        self.key.append(bytes.fromhex(problem.key) if problem else None)
        order = hashlib.sha256(f"{self.seed}:{problem.identity}".encode()).digest() if problem else None
        self.rank.append(order)
        self.drawn.append((problem.drawn or None) if problem else None)
        lacks = not found or self.answer[-1] is None
        self.kind.append(kind if lacks else "")
        self.why.append(why.encode("utf-8", "surrogatepass") if lacks else b"")

    def batch(self) -> pa.RecordBatch:
        """The rows as a batch of the table."""
        import pyarrow as pa

        text, data = pa.large_string(), pa.large_binary()
        kinds = {
            "file": pa.int32(), "line": pa.int64(), "question": text, "answer": text, "system": text, "form": text,
            "identity": text, "key": pa.binary(8), "rank": pa.binary(32), "drawn": text, "kind": text, "why": data,
        }  # fmt: skip
        return pa.record_batch([pa.array(getattr(self, name), kind) for name, kind in kinds.items()], list(kinds))


def own_copy(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch in Arrow's memory: what came through a pipe lies on the heap, which is not given back in pieces."""
    import pyarrow as pa

    return batch.take(pa.array(range(batch.num_rows), pa.int64()))


def joined(batches: list[pa.RecordBatch]) -> pa.Table:
    """One table of one batch; the list is emptied, so that no column is held twice for longer than it takes."""
    import pyarrow as pa

    if not batches:
        batches = [Columns(seed=0).batch()]
    table = pa.Table.from_batches(batches)
    batches.clear()
    names, columns = table.column_names, table.columns
    del table
    for place in range(len(columns)):
        columns[place] = columns[place].combine_chunks()
    return pa.table(columns, names)


@dataclass(frozen=True, eq=False)
class Rows:
    """A table and the names of the files that its rows come from."""

    table: pa.Table
    names: tuple[str, ...]

    @cached_property
    def answered(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Of each row whether it has an answer."""
        import numpy as np
        import pyarrow.compute as pc

        return np.asarray(pc.is_valid(self.table["answer"]))

    def where(self, file: int, line: int) -> str:
        """The place of a row in short: the file's name and the line, if it has one."""
        return f"{self.names[file]}:{line}" if line else self.names[file]

    def problems(self, places: Places) -> list[Problem]:
        """The problems of these rows."""
        columns = ("file", "line", "question", "answer", "system", "form", "identity", "key", "drawn")
        found = self.table.select(columns).take(places)
        return [
            Problem(
                question=question, answer=answer, source=self.where(file, line), identity=identity or form,
                key=key.hex(), form=form, system=system, drawn=drawn or "",
            )
            for file, line, question, answer, system, form, identity, key, drawn in zip(
                *(found[name].to_pylist() for name in columns), strict=True
            )
        ]  # fmt: skip

    def asides(self, places: Places) -> list[Aside]:
        """These rows as rows that were set aside."""
        found = self.table.select(("file", "line", "kind", "why")).take(places)
        return [
            Aside(where=self.where(file, line), kind=kind, why=why.decode("utf-8", "surrogatepass"))
            for file, line, kind, why in zip(*(column.to_pylist() for column in found.columns), strict=True)
        ]


@dataclass(frozen=True, eq=False)
class Made(Sequence[Value], Generic[Value]):
    """Values that are made of rows when they are asked for, in the order of `places`; `more` stand behind them.

    Equal to any sequence of equal values.
    """

    rows: Rows
    places: Places
    make: Callable[[Places], list[Value]]
    more: tuple[Value, ...] = ()

    def __len__(self) -> int:
        return len(self.places) + len(self.more)

    @overload
    def __getitem__(self, place: int) -> Value: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Value]: ...
    def __getitem__(self, place: int | slice) -> Value | Sequence[Value]:
        if isinstance(place, slice):
            return tuple(self[one] for one in range(*place.indices(len(self))))
        place = range(len(self))[place]
        if place >= len(self.places):
            return self.more[place - len(self.places)]
        return self.make(self.places[place : place + 1])[0]

    def __iter__(self) -> Iterator[Value]:
        for start in range(0, len(self.places), STEP):
            yield from self.make(self.places[start : start + STEP])
        yield from self.more

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


ProblemRows = Made[Problem]
"""Problems that are made of rows; what is asked of many of them is answered from the columns, by these functions."""


def first_answered(problems: ProblemRows, count: int) -> tuple[ProblemRows, ProblemRows]:
    """The first so many that have an answer, and all others."""
    import numpy as np

    taken = np.flatnonzero(problems.rows.answered[problems.places])[:count]
    rest = np.ones(len(problems.places), dtype=bool)
    rest[taken] = False
    return replace(problems, places=problems.places[taken]), replace(problems, places=problems.places[rest])


def answered(problems: ProblemRows) -> int:
    """How many of the problems have an answer."""
    return int(problems.rows.answered[problems.places].sum())


def only_answered(problems: ProblemRows) -> ProblemRows:
    """Those that have an answer."""
    return replace(problems, places=problems.places[problems.rows.answered[problems.places]])


def without(problems: ProblemRows, names: set[str]) -> ProblemRows:
    """Those whose names (`Problem.names`) are none of these."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not names or not len(problems):
        return problems
    table, wanted = problems.rows.table, pa.array(sorted(names), pa.large_string())
    form, identity = (pc.is_in(table[name], wanted) for name in ("form", "identity"))
    # The form is a name of a problem without a system turn, and its identity where it has no other.
    same = np.asarray(pc.or_(identity, pc.and_(form, pc.equal(table["system"], ""))))
    return replace(problems, places=problems.places[~same[problems.places]])


def without_places(problems: ProblemRows, gone: Sequence[int]) -> ProblemRows:
    """The problems without those at these places among them."""
    import numpy as np

    return replace(problems, places=np.delete(problems.places, list(gone)))


def texts(problems: ProblemRows, name: str) -> Iterator[Any]:
    """One column of the problems, value by value."""
    column = problems.rows.table[name]
    for start in range(0, len(problems.places), STEP):
        yield from column.take(problems.places[start : start + STEP]).to_pylist()


def keys_and_answers(problems: ProblemRows) -> Iterator[tuple[str, str | None]]:
    """The key and the answer of each problem."""
    return zip((key.hex() for key in texts(problems, "key")), texts(problems, "answer"), strict=True)


def problem_rows(rows: Rows, places: Places) -> ProblemRows:
    """The problems at these rows, in this order."""
    return Made(rows, places, rows.problems)


def rows_of_problems(problems: Sequence[Problem]) -> ProblemRows:
    """Problems that were made elsewhere, such as drawn from a generator, as rows."""
    import numpy as np

    names = {problem.source: place for place, problem in reversed(list(enumerate(problems)))}
    numbers = {name: number for number, name in enumerate(sorted(names))}
    columns = Columns(seed=0)
    for problem in problems:
        columns.add(numbers[problem.source], 0, problem)
    return problem_rows(Rows(joined([columns.batch()]), tuple(numbers)), np.arange(len(problems)))
