"""Files that are whole or absent: every write of a run goes through here, and a kill at any instant costs one write.

*Whole files* are written under a temporary name in the same folder, synced, and renamed over the old one; then the
folder is synced. *Rows* (JSONL) are appended and synced; a line counts once its newline stands, so a torn last line is
no line and what it stood for is owed again. *Folders* are built under a name that begins with a dot and renamed into
place. Nothing here is undone on failure: a later start reads what is whole.

*Interruption.* A signal that asks to stop is heard between writes: `interrupt` raises `KeyboardInterrupt` at once if no
write is in hand, else when it is done.

*Faults.* `fault` is called at every point where a kill or a full disk could hurt: before bytes are written, before they
are synced, before and after a rename. It does nothing, unless a test (`tests/chaos`) injects faults there: it may tear
the write, raise what a disk raises, or kill the process.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from selfimprove.errors import UnreadableError, UsageError

Point = Literal["write", "append", "sync", "rename", "renamed"]
Fault = Callable[[Point, Path, bytes], None]
"""Called with the point, the file that is about to change, and the bytes about to be written (empty elsewhere)."""


def no_fault(point: Point, path: Path, data: bytes) -> None:
    """Nothing goes wrong."""


fault: Fault = no_fault


class _Hand:
    """Whether a write is in hand, and whether a stop was asked for meanwhile."""

    writes = 0
    stop_wanted = False


@contextmanager
def _in_hand() -> Iterator[None]:
    _Hand.writes += 1
    try:
        yield
    finally:
        _Hand.writes -= 1
        if not _Hand.writes and _Hand.stop_wanted:
            _Hand.stop_wanted = False
            raise KeyboardInterrupt


def interrupt() -> None:
    """Raise `KeyboardInterrupt` now, or, if a write is in hand, as soon as it is done; for signal handlers."""
    if not _Hand.writes:
        raise KeyboardInterrupt
    _Hand.stop_wanted = True


def write_atomically(path: Path, data: bytes) -> None:
    """After this `path` holds `data`, also after a power cut; before it, what it held. Nothing in between is seen."""
    temporary = path.with_name(f".{path.name}.tmp")
    with _in_hand():
        try:
            fault("write", temporary, data)
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                fault("sync", temporary, b"")
                os.fsync(file.fileno())
            _rename(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def write_json(path: Path, value: object) -> None:
    """Write `value` atomically as indented JSON, ASCII only."""
    write_atomically(path, (json.dumps(value, indent=1, ensure_ascii=True) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; `UnreadableError` names a file that is missing or isn't one."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UnreadableError(f"{path}: missing", "Restore it, or start a new run with --run NAME.") from None
    except (OSError, ValueError, RecursionError) as error:
        cause = "nested too deeply" if isinstance(error, RecursionError) else error
        raise UnreadableError(f"{path}: not readable as JSON: {cause}", "Restore it, or start a new run.") from None
    if not isinstance(value, dict):
        raise UnreadableError(f"{path}: not a JSON object", "Restore it, or start a new run.")
    return value


def append_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Append one line of JSON per row, durable on return."""
    data = "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows).encode()
    with _in_hand():
        fault("append", path, data)
        with path.open("ab") as file:
            file.write(data)
            file.flush()
            fault("sync", path, b"")
            os.fsync(file.fileno())
        _sync_folder(path.parent)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a JSONL file, none if it doesn't exist; a torn last line is left out.

    `UsageError` names a broken line that isn't the last: that is damage, not a kill.
    """
    if not path.exists():
        return []
    *whole, _torn = path.read_bytes().split(b"\n")
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(whole, start=1):
        row = _parse_row(line)
        if row is None and number < len(whole):
            raise UsageError(f"{path}:{number}: not a line of JSON", "Remove the file; its rows are made again.")
        if row is not None:
            rows.append(row)
    return rows


def keep_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Make the file hold exactly these rows; touches nothing if it does already."""
    data = "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows).encode()
    if (path.read_bytes() if path.exists() else b"") != data:
        write_atomically(path, data)


def keep_whole_lines(path: Path) -> None:
    """Cut off a torn last line, so that the next append begins a line of its own."""
    data = path.read_bytes() if path.exists() else b""
    if data and not data.endswith(b"\n"):
        write_atomically(path, data[: data.rfind(b"\n") + 1])


def publish(temporary: Path, folder: Path) -> None:
    """Rename a finished folder into place, durable on return; a stale one there is replaced."""
    with _in_hand():
        for path in sorted(temporary.rglob("*")):
            _sync(path)
        fault("sync", temporary, b"")
        _sync(temporary)
        if folder.exists():
            shutil.rmtree(folder)
        _rename(temporary, folder)


def make_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, durable on return."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(missing):
        _sync_folder(folder.parent)


def remove(path: Path) -> int:
    """Delete a file or a folder, if it is there; returns the bytes that its files took.

    A folder is renamed first, so that a kill leaves scratch and not half a folder under its name.
    """
    if not path.exists():
        return 0
    freed = size_of(path)
    if path.is_dir():
        going = path.with_name(f".{path.name.lstrip('.')}.going")
        shutil.rmtree(going, ignore_errors=True)
        path.rename(going)
        shutil.rmtree(going)
    else:
        path.unlink()
    return freed


def size_of(path: Path) -> int:
    """Bytes of a file, or of a folder's files together."""
    if path.is_file():
        return path.stat().st_size
    return sum(member.stat().st_size for member in path.rglob("*") if member.is_file())


def content_hash(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files with their names; what done-records hold."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for member in sorted(p for p in path.rglob("*") if p.is_file()):
        whole.update(f"{member.relative_to(path).as_posix()}\0{content_hash(member)}\n".encode())
    return whole.hexdigest()


def _rename(temporary: Path, path: Path) -> None:
    fault("rename", path, b"")
    temporary.replace(path)
    fault("renamed", path, b"")
    _sync_folder(path.parent)


def _parse_row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # a folder can't be opened elsewhere
        _sync(folder)
