"""Rows of files that hold columns: Parquet, and what `datasets` writes.

A database writes numbers as decimals and moments as dates: both are read as the text that shows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from selfimprove.errors import UsageError
from selfimprove.problem.names import Row
from selfimprove.problem.plain import refuse_large

if TYPE_CHECKING:
    import pyarrow

ROWS = 1024
"""Rows that are read at once."""


def parquet_rows(path: Path) -> Iterator[tuple[int, object]]:
    """The rows of a Parquet file with their numbers from 1; `UsageError` where it can't be read."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path)
        groups = table.metadata
        refuse_large(sum(groups.row_group(n).total_byte_size for n in range(groups.num_row_groups)), path)
        yield from enumerate((row for batch in table.iter_batches(batch_size=ROWS) for row in _rows(batch)), 1)
    except (pyarrow.ArrowException, ValueError) as error:  # pyarrow raises kinds of both
        raise _unreadable(path, "Parquet", error) from None


def arrow_rows(path: Path) -> Iterator[tuple[int, object]]:
    """The rows of Arrow's stream or its file format, with their numbers from 1; `UsageError` where it can't be read."""
    import pyarrow

    refuse_large(path.stat().st_size, path)
    try:
        with pyarrow.memory_map(str(path)) as source:
            try:
                batches = pyarrow.ipc.open_stream(source).read_all().to_batches(max_chunksize=ROWS)
            except pyarrow.ArrowInvalid:
                batches = pyarrow.ipc.open_file(source).read_all().to_batches(max_chunksize=ROWS)
            yield from enumerate((row for batch in batches for row in _rows(batch)), 1)
    except (pyarrow.ArrowException, ValueError) as error:
        raise _unreadable(path, "Arrow", error) from None


def _rows(batch: pyarrow.RecordBatch) -> list[Row]:
    import pyarrow

    for place, field in enumerate(batch.schema):
        if pyarrow.types.is_decimal(field.type) or pyarrow.types.is_temporal(field.type):
            batch = batch.set_column(place, field.name, batch.column(place).cast(pyarrow.string()))
    rows: list[Row] = batch.to_pylist()
    return rows


def _unreadable(path: Path, form: str, error: Exception) -> UsageError:
    cause = (str(error).splitlines() or [type(error).__name__])[0]
    return UsageError(f"{path}: not readable as {form}: {cause}", "Write the file again.")
