"""Rows of files that hold columns: Parquet, and what `datasets` writes.

A database writes numbers as decimals and moments as dates: both are read as the text that shows them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
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
        classes = _classes(table.schema_arrow)
        rows = (row for batch in table.iter_batches(batch_size=ROWS) for row in _rows(batch, classes))
        yield from enumerate(rows, 1)
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
            classes = _classes(batches[0].schema) if batches else {}
            yield from enumerate((row for batch in batches for row in _rows(batch, classes)), 1)
    except (pyarrow.ArrowException, ValueError) as error:
        raise _unreadable(path, "Arrow", error) from None


def _classes(schema: pyarrow.Schema) -> dict[str, list[str]]:
    """The names of the classes whose numbers stand in a column, where `datasets` has noted them; by the column."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {
            name: [str(one) for one in kind["names"]]
            for name, kind in features.items()
            if isinstance(kind, dict) and kind.get("_type") == "ClassLabel" and isinstance(kind.get("names"), list)
        }
    except (ValueError, TypeError, LookupError, AttributeError):
        return {}


def _rows(batch: pyarrow.RecordBatch, classes: Mapping[str, Sequence[str]]) -> list[Row]:
    """The rows of a batch, with the names of classes in the place of their numbers."""
    import pyarrow

    for place, field in enumerate(batch.schema):
        if pyarrow.types.is_decimal(field.type) or pyarrow.types.is_temporal(field.type):
            batch = batch.set_column(place, field.name, batch.column(place).cast(pyarrow.string()))
    rows: list[Row] = batch.to_pylist()
    for name, names in classes.items():
        for row in rows:
            number = row.get(name)
            if isinstance(number, int):
                row[name] = names[number] if 0 <= number < len(names) else None
    return rows


def _unreadable(path: Path, form: str, error: Exception) -> UsageError:
    cause = (str(error).splitlines() or [type(error).__name__])[0]
    return UsageError(f"{path}: not readable as {form}: {cause}", "Write the file again.")
