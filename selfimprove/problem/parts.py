"""One part of a source from its rows to columns: what a worker does, and this process where there is no worker.

Whether the numbers of options count from 0 or from 1 only all rows together say, and which field is the question where
none has a usual name. So a part is read at once only if no row in it leaves one of them open; else it gives what it
taught, and is read again when all have been looked at.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from selfimprove.problem.fields import FieldReader
from selfimprove.problem.files import Part, rows_of
from selfimprove.problem.heads import without_header
from selfimprove.problem.learnt import Learnt
from selfimprove.problem.table import Columns
from selfimprove.problem.unfolding import unfolded
from selfimprove.recipe import Problems

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of a source: rows of its file number `file`, which is called `title` in full and `name` in short."""

    file: int
    title: str
    name: str
    part: Part


@dataclass(frozen=True, kw_only=True)
class PieceRead:
    """What a part taught, and unless it has to be read again its rows, the fields that were read, and notes on them.

    `lacked` as in `FieldReader`.
    """

    learnt: Learnt
    batch: pa.RecordBatch | None
    used: dict[str, Counter[str]]
    notes: tuple[str, ...] = ()
    lacked: Counter[str] = field(default_factory=Counter)


def read_piece(piece: Piece, named: Problems, as_written: bool, learnt: Learnt | None) -> PieceRead:
    """Read a part; `learnt` is what all parts taught, if that is known. Raises `UsageError` for a row that is none.

    `as_written` as in `FieldReader`.
    """
    found = without_header(list(rows_of(piece.part, Path(piece.title))))
    rows = [(number, one) for number, row in found for one in unfolded(row)]
    reader = FieldReader(named, as_written=as_written, learnt=learnt)
    if learnt is None:
        for _, row in rows:
            reader.learn(row)
        if reader.learnt.waits:
            return PieceRead(learnt=reader.learnt, batch=None, used={})
    columns = Columns(seed=named.seed)
    for number, row in rows:
        read = reader.read(row, f"{piece.title}:{number}", f"{piece.name}:{number}")
        columns.add(piece.file, number, read.problem, read.kind, read.why)
    return PieceRead(
        learnt=reader.learnt, batch=columns.batch(), used=reader.used, notes=reader.notes(), lacked=reader.lacked
    )
