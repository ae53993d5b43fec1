"""Rows of local files, each with the place it comes from.

Text formats (`.jsonl`, `.json`, `.csv`) are read here line by line and not through the `datasets` builders, which don't
name the line of a bad row. Parquet is read through `datasets`. A fault is a `UsageError` that opens with FILE:LINE
(FILE:ROW for Parquet, from 1).
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from selfimprove.errors import UsageError

SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")

LONGEST_ROW = 16 * 2**20
"""Bytes of a row: a longer one is no problem, and would be held in memory whole."""
LARGEST_FILE = 2 * 2**30
"""Bytes of a file that is read whole (`.json`, `.csv`), and of a Parquet file's columns once unpacked."""

Row = tuple[int, object]
"""The line (or row, from 1) on which a row starts, and what stands there."""


def file_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, as its suffix says; raises `UsageError` at the first that can't be read."""
    try:
        match path.suffix.lower():
            case ".jsonl":
                yield from _json_lines(path)
            case ".json":
                yield from _json(path)
            case ".csv":
                yield from _csv(path)
            case _:
                yield from _parquet(path)
    except OSError as error:
        raise UsageError(
            f"{path}: can't be read: {error.strerror or error}", "Check the path and its rights."
        ) from None


def _json_lines(path: Path) -> Iterator[Row]:
    with path.open("rb") as lines:
        for number in itertools.count(1):
            line = lines.readline(LONGEST_ROW + 1)
            if not line:
                return
            _refuse_long(len(line), path, number)
            text = _decoded(line, path, number).strip()
            if text:
                yield number, _parsed(text, path, number)


def _json(path: Path) -> Iterator[Row]:
    """A list of objects, or one object a line as in `.jsonl`."""
    text = _decoded(_whole(path), path, 1)
    if not text.lstrip().startswith("["):
        yield from _json_lines(path)
        return
    _parsed(text, path, 1)
    decoder = json.JSONDecoder()
    end, line = text.index("[") + 1, 1 + text.count("\n", 0, text.index("["))
    while text[start := _past(text, end, " \t\r\n,")] != "]":
        line += text.count("\n", end, start)
        row, end = decoder.raw_decode(text, start)
        _refuse_long(end - start, path, line)
        yield line, row
        line += text.count("\n", start, end)


def _csv(path: Path) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(_decoded(_whole(path), path, 1), newline=""), strict=True)
    header: list[str] | None = None
    start = 1
    try:
        for cells in reader:
            if header is None:
                header = cells
            elif cells and len(cells) != len(header):
                raise UsageError(
                    f"{path}:{start}: {len(cells)} cells under {len(header)} column names", "Quote cells with commas."
                )
            elif cells:
                yield start, dict(zip(header, cells, strict=True))
            start = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(f"{path}:{start}: not readable as CSV: {error}", "Correct or remove the row.") from None


def _parquet(path: Path) -> Iterator[Row]:
    import tempfile

    import datasets
    import pyarrow.parquet

    try:
        groups = pyarrow.parquet.read_metadata(path)
        unpacked = sum(groups.row_group(number).total_byte_size for number in range(groups.num_row_groups))
    except (pyarrow.ArrowException, ValueError) as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{path}: not readable as Parquet: {cause}", "Write the file anew.") from None
    _refuse_large(unpacked, path)
    with tempfile.TemporaryDirectory(prefix="selfimprove-") as cache, _unlogged(logging.getLogger("datasets")):
        try:
            table: Iterable[object] = datasets.Dataset.from_parquet(str(path), cache_dir=cache, keep_in_memory=True)
        except (datasets.exceptions.DatasetsError, ValueError) as error:  # pyarrow raises kinds of ValueError
            cause = (str(error.__cause__ or error).splitlines() or [type(error).__name__])[0]
            raise UsageError(f"{path}: not readable as Parquet: {cause}", "Write the file anew.") from None
        yield from enumerate(table, 1)


@contextlib.contextmanager
def _unlogged(logger: logging.Logger) -> Iterator[None]:
    """Silences the logger: what it would print, the error that is raised says already."""
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _whole(path: Path) -> bytes:
    _refuse_large(path.stat().st_size, path)
    return path.read_bytes()


def _refuse_large(size: int, path: Path) -> None:
    if size > LARGEST_FILE:
        raise UsageError(
            f"{path}: {size / 2**30:.1f} GiB of rows, more than {LARGEST_FILE / 2**30:.0f}",
            "Take the rows that are wanted, or write them as .jsonl.",
        )


def _refuse_long(size: int, path: Path, line: int) -> None:
    if size > LONGEST_ROW:
        raise UsageError(f"{path}:{line}: a row of more than {LONGEST_ROW:,} bytes", "Shorten or remove the row.")


def _decoded(data: bytes, path: Path, first_line: int) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = first_line + data.count(b"\n", 0, error.start)
        raise UsageError(
            f"{path}:{line}: not UTF-8 (byte 0x{data[error.start]:02x})", f"Convert the file: iconv -t UTF-8 {path}"
        ) from None


def _parsed(text: str, path: Path, first_line: int) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line, cause = first_line + error.lineno - 1, error.msg
    except ValueError as error:  # a number of too many digits
        line, cause = first_line, str(error)
    except RecursionError:
        line, cause = first_line, "nested too deeply"
    raise UsageError(f"{path}:{line}: not JSON: {cause}", "Correct or remove the row.")


def _past(text: str, position: int, skipped: str) -> int:
    while text[position] in skipped:
        position += 1
    return position
