"""Rows of local files, each with the place it comes from.

Text formats (`.jsonl`, `.json`, `.csv`, `.tsv`) are read here and not through the `datasets` builders, which don't name
the line of a bad row; Parquet and Arrow through pyarrow. Any of the text formats may be compressed (`.gz`, `.bz2`,
`.xz`). A folder of shards is its files one after the other, if they are of one kind and of one split. A fault is a
`UsageError` that opens with FILE:LINE (FILE:ROW for Parquet and Arrow, from 1).

A `.json` file is a list of objects, an object with one such list in it (`{"data": [...]}`), an object that holds rows
in another form (`objects`), or one object a line.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import json
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from selfimprove.errors import UsageError
from selfimprove.problem.columnar import arrow_rows, parquet_rows
from selfimprove.problem.decimals import SEPARATOR, decimal_columns, with_points
from selfimprove.problem.encodings import likely_encoding
from selfimprove.problem.heads import column_names, given_to_all
from selfimprove.problem.names import ANSWERS, QUESTIONS, bare_name
from selfimprove.problem.objects import are_rows, rows_within
from selfimprove.problem.plain import LARGEST_FILE, refuse_large
from selfimprove.problem.standins import refuse_stand_in

SUFFIXES = (".jsonl", ".json", ".csv", ".parquet", ".ndjson", ".tsv", ".arrow")
COMPRESSED: dict[str, Callable[..., object]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
BINARY = (".parquet", ".arrow")
ROWS_UNDER = ("data", "rows", "examples", "instances", "problems", "questions")
"""Names under which an object holds its rows where it has other lists too."""

LONGEST_ROW = 16 * 2**20
"""Bytes of a row: a longer one is no problem, and would be held in memory whole."""

Row = tuple[int, object]
"""The line (or row, from 1) on which a row starts, and what stands there."""


@dataclass(frozen=True)
class Lines:
    """Lines of a file as they stand, from line `first`; `end` is where in the file they were read to, in bytes."""

    first: int
    data: bytes
    end: int


Part = Lines | list[Row]

_SPLIT = re.compile(r"^(train|test|validation|valid|dev|val|eval)(?=\W|_|$)", re.IGNORECASE)
_ABOUT = ("dataset_info.json", "state.json", "dataset_infos.json", "dataset_dict.json")  # by `datasets`


def format_of(path: Path) -> str:
    """The suffix of the file's format in lower case, without that of a compression; empty for no problem file."""
    name = path.name.lower()
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    found = Path(name).suffix
    packed = name != path.name.lower()
    return found if found in SUFFIXES and not (packed and found in BINARY) else ""


def shards(folder: Path) -> list[Path]:
    """The problem files of a folder in the order of their names; `UsageError` unless they are of one kind and split."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and format_of(path))
    files = [path for path in files if path.name not in _ABOUT]
    kinds = sorted({format_of(path) for path in files})
    splits = sorted({match[1].lower() for path in files if (match := _SPLIT.match(path.name))})
    if len(kinds) > 1 or len(splits) > 1:
        fault = f"files of {len(kinds)} kinds ({', '.join(kinds)})" if len(kinds) > 1 else f"splits {', '.join(splits)}"
        raise UsageError(f"{folder}: a folder with {fault}", f"Name one of its files, such as {files[0]}.")
    return files


def file_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, as its suffix says; raises `UsageError` at the first that can't be read."""
    with _faults(path):
        match format_of(path):
            case ".jsonl" | ".ndjson":
                yield from _json_lines(path)
            case ".json":
                yield from _json(path)
            case ".csv" | ".tsv":
                yield from _table(path)
            case ".arrow":
                yield from arrow_rows(path)
            case _:
                yield from parquet_rows(path)


def file_parts(path: Path, rows: int, size: int) -> Iterator[Part]:
    """The file in parts of so many rows or so many bytes, in order; raises what `file_rows` raises.

    Where a line is a row, a part is lines that are still to be parsed (`rows_of`), which is a third of all the work.
    """
    with _faults(path):
        if format_of(path) in (".jsonl", ".ndjson") and not _opens_json(path):
            yield from _line_parts(path, rows, size)
            return
    found = file_rows(path)
    while some := list(itertools.islice(found, rows)):
        yield some


def rows_of(part: Part, path: Path) -> Iterator[Row]:
    """The rows of a part of the file at `path`; raises `UsageError` at the first that can't be parsed."""
    if not isinstance(part, Lines):
        yield from part
        return
    for number, line in enumerate(io.BytesIO(part.data), part.first):
        text = _decoded(line, path, number).strip()
        if text:
            yield number, _parsed(text, path, number)


def _line_parts(path: Path, rows: int, size: int) -> Iterator[Lines]:
    lines: list[bytes] = []
    first, held = 1, 0
    with path.open("rb") as raw, _opened(path, raw) as source:
        while line := source.readline(LONGEST_ROW + 1):
            _refuse_long(len(line), path, first + len(lines))
            lines.append(line)
            held += len(line)
            if len(lines) >= rows or held >= size:
                yield Lines(first, b"".join(lines), raw.tell())
                first, held, lines = first + len(lines), 0, []
    if lines:
        yield Lines(first, b"".join(lines), path.stat().st_size)


def _opens_json(path: Path) -> bool:
    """Whether the first line opens a JSON value that goes on below it."""
    with _opened(path) as lines:
        return lines.readline(1000).removeprefix(b"\xef\xbb\xbf").strip() in (b"[", b"{")


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        refuse_stand_in(path)
        yield
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        cause = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: can't be read: {cause}", "Check the path and its permissions.") from None


def _opened(path: Path, raw: IO[bytes] | None = None) -> IO[bytes]:
    """The bytes of a file, unpacked; `raw` is the file where it is open already."""
    unpack = COMPRESSED.get(path.suffix.lower())
    if unpack is None:
        return raw or path.open("rb")
    return cast("IO[bytes]", unpack(raw or path))


def _json_lines(path: Path) -> Iterator[Row]:
    if _opens_json(path):
        yield from _json(path)
        return
    for part in _line_parts(path, 1, LONGEST_ROW):
        yield from rows_of(part, path)


def _json(path: Path) -> Iterator[Row]:
    """A list of objects, an object that holds them, or one object a line as in `.jsonl`."""
    text = _decoded(_whole(path), path, 1)
    if text.lstrip()[:1] == "{":
        yield from _json_object(text, path)
    elif text.lstrip()[:1] == "[":
        _parsed(text, path, 1)
        yield from _json_list(text, text.index("["), path)
    else:
        yield from _json_lines(path)


def _json_object(text: str, path: Path) -> Iterator[Row]:
    """The rows inside the one object that the text is, or the objects on its lines."""
    try:
        whole, end = json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip()))
    except RecursionError:
        raise UsageError(f"{path}:1: not JSON: nested too deeply", "Correct or remove the row.") from None
    except ValueError:
        whole, end = None, 0
    if whole is None or text[end:].strip():
        pretty = text.lstrip()[1:].lstrip(" \t")[:1] in "\r\n"
        if pretty and whole is None:
            _parsed(text, path, 1)
        yield from _json_lines(path) if not pretty else _concatenated(text, path)
        return
    lists = [key for key, value in whole.items() if are_rows(value)]
    lists = [key for key in lists if key in ROWS_UNDER][:1] or lists
    if len(lists) > 1:
        one = lists[0]
        picked, target = (f".{one}", f"{one}.json") if one.isidentifier() else (f"'.[{json.dumps(one)}]'", "rows.json")
        raise UsageError(
            f"{path}: several lists of rows: {', '.join(lists)}",
            f"Write one to a file of its own: jq {picked} {path} > {target}",
        )
    if lists:
        given = given_to_all(whole)
        for line, row in _json_list(text, _start_of(text, lists[0], whole[lists[0]]), path):
            yield line, {**given, **row} if given and isinstance(row, dict) else row
    else:
        yield from enumerate(rows_within(whole), 1)


def _concatenated(text: str, path: Path) -> Iterator[Row]:
    """Pretty-printed objects one after the other."""
    decoder, end, line = json.JSONDecoder(), 0, 1
    while text[end:].strip():
        start = end + len(text[end:]) - len(text[end:].lstrip())
        line += text.count("\n", end, start)
        try:
            row, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            cause = getattr(error, "msg", "nested too deeply")
            raise UsageError(f"{path}:{line}: not JSON: {cause}", "Correct or remove the row.") from None
        yield line, row
        line += text.count("\n", start, end)


def _start_of(text: str, key: str, rows: object) -> int:
    """Where the list under this key of the outer object begins."""
    decoder = json.JSONDecoder()
    for match in re.finditer(rf"{re.escape(json.dumps(key))}\s*:\s*\[", text):
        found, _ = decoder.raw_decode(text, match.end() - 1)
        if found == rows:
            return match.end() - 1
    return text.index("[")


def _json_list(text: str, opening: int, path: Path) -> Iterator[Row]:
    """The items of the list that opens there, with the lines on which they start."""
    decoder = json.JSONDecoder()
    end, line = opening + 1, 1 + text.count("\n", 0, opening)
    while text[start := _past(text, end, " \t\r\n,")] != "]":
        line += text.count("\n", end, start)
        row, end = decoder.raw_decode(text, start)
        _refuse_long(end - start, path, line)
        yield line, row
        line += text.count("\n", start, end)


def _table(path: Path) -> Iterator[Row]:
    """The rows of a file with a header whose separator the header shows; an empty row is none."""
    text = _decoded(_whole(path), path, 1)
    above, separator = column_names(text, "\t" if format_of(path) == ".tsv" else "")
    reader = csv.reader(_below(text, above), delimiter=separator, strict=True)
    decimal = decimal_columns(_below(text, above)) if separator == SEPARATOR else frozenset()
    header: list[str] | None = None
    start = 1 + above
    try:
        for cells in reader:
            if header is None:
                header = cells
                _refuse_doubled(header, path)
            elif not any(map(str.strip, cells)):
                pass
            elif len(cells) != len(header):
                hint = "Quote cells with commas." if separator == "," else f"Quote cells with {separator!r} in them."
                raise UsageError(f"{path}:{start}: {len(cells)} cells under {len(header)} column names", hint)
            else:
                cells = [_as_shown(cell) for cell in cells]
                yield start, dict(zip(header, with_points(cells, decimal) if decimal else cells, strict=True))
            start = above + reader.line_num + 1
    except csv.Error as error:
        raise UsageError(f"{path}:{start}: not readable as CSV: {error}", "Correct or remove the row.") from None


def _as_shown(cell: str) -> str:
    """The text that a spreadsheet shows for a cell that is a formula of one text: `="007"` keeps its zeros so."""
    return cell[2:-1].replace('""', '"') if cell[:2] == '="' and cell[-1:] == '"' and len(cell) > 2 else cell


def _refuse_doubled(header: list[str], path: Path) -> None:
    """`UsageError` if two columns have one name that is usual for a question or an answer: one would hide the other."""
    bare = [bare_name(name) for name in header]
    doubled = next((n for n, one in enumerate(bare) if bare.count(one) > 1 and one in (*QUESTIONS, *ANSWERS)), None)
    if doubled is not None:
        raise UsageError(
            f"{path}: {bare.count(bare[doubled])} columns are called `{header[doubled]}`",
            "Give each column a name of its own.",
        )


def _below(text: str, above: int) -> io.StringIO:
    """The text without its first lines."""
    lines = io.StringIO(text, newline="")
    for _ in range(above):
        lines.readline()
    return lines


def _whole(path: Path) -> bytes:
    refuse_large(path.stat().st_size, path)
    with _opened(path) as source:
        data = source.read(LARGEST_FILE + 1)
    refuse_large(len(data), path)
    return data


def _refuse_long(size: int, path: Path, line: int) -> None:
    if size > LONGEST_ROW:
        raise UsageError(f"{path}:{line}: a row of more than {LONGEST_ROW:,} bytes", "Shorten or remove the row.")


def _decoded(data: bytes, path: Path, first_line: int) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = first_line + data.count(b"\n", 0, error.start)
        raise UsageError(
            f"{path}:{line}: not UTF-8 (byte 0x{data[error.start]:02x})",
            "Save it as UTF-8 (in Excel: CSV UTF-8), or convert it: "
            f"iconv -f {likely_encoding(data)} -t UTF-8 {path} > {path.stem}-utf8{path.suffix}",
        ) from None


def _parsed(text: str, path: Path, first_line: int) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line, cause = first_line + error.lineno - 1, f"{error.msg} (column {error.colno})"
    except ValueError as error:  # a number of too many digits
        line, cause = first_line, str(error)
    except RecursionError:
        line, cause = first_line, "nested too deeply"
    raise UsageError(f"{path}:{line}: not JSON: {cause}", "Correct or remove the row.")


def _past(text: str, position: int, skipped: str) -> int:
    while text[position] in skipped:
        position += 1
    return position
