"""What was read of large sources, kept in the cache folder: a million rows take a minute to read and a second to find.

A file under `problems/` there holds the table of a source (`table`) and what else its `Stock` is made of. Its name is a
hash of the bytes of the source's files, of their names, of the recipe's keys that reading depends on, and of the code
that reads, so nothing has to be invalidated: another file, another setting or another version has another name. Behind
the table stands the hash of all before it; a file that doesn't end with that, or whose table can't be opened, is no
file and is made anew. Files are written under a name of their own and renamed, so starts at the same time don't meet.
Whoever needs the room may delete the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from selfimprove.recipe import Problems

READING = ("seed", "question", "answer", "context", "options")
"""Keys of [problems] that what is read of a source depends on."""
_DIGEST = 32


def key_of(files: Sequence[Path], wanted: Problems, as_written: bool) -> str:
    """The name under which what is read of these files is kept."""
    settings = json.dumps({name: getattr(wanted, name) for name in READING}, sort_keys=True)
    digest = hashlib.sha256(f"{reader_version()}{settings}{as_written}".encode())
    for path in files:
        with path.open("rb") as file:
            digest.update(f"\n{path}\n{hashlib.file_digest(file, 'sha256').hexdigest()}".encode("utf-8", "replace"))
    return digest.hexdigest()


@cache
def reader_version() -> str:
    """A hash of the code that reads rows and their references, and of what it stands on."""
    here = Path(__file__).parent
    digest = hashlib.sha256(f"{sys.version} {unicodedata.unidata_version}".encode())
    for path in sorted([*here.glob("*.py"), *(here.parent / "answer").glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def found_again(cache: Path, keys: Sequence[str], wanted: Problems, find_out: Callable[[], float]) -> float:
    """A figure of the sets cut from these sources: kept where all of the sources are, else found out."""
    if not all(keys):
        return find_out()
    key = hashlib.sha256(f"{keys}{wanted.model_dump_json()}".encode()).hexdigest()
    try:
        return float(bytes(find(cache, key) or b""))
    except ValueError:
        figure = find_out()
        keep(cache, key, lambda path: path.write_text(repr(figure)))
        return figure


def find(cache: Path, key: str) -> memoryview | None:
    """What is kept under this name, mapped and not read into memory; None if nothing whole is."""
    import mmap

    try:
        with (cache / "problems" / key).open("rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError):  # none, or an empty one
        return None
    body, digest = data[:-_DIGEST], data[-_DIGEST:]
    return body if hashlib.sha256(body).digest() == digest else None


def keep(cache: Path, key: str, write: Callable[[Path], object]) -> None:
    """Keep what `write` writes to the path that it is given; a folder that can't be written to keeps nothing."""
    folder = cache / "problems"
    temporary = folder / f".{key}.{os.getpid()}.{secrets.token_hex(4)}"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        with temporary.open("ab") as file:
            file.write(digest)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / key)
    with suppress(OSError):
        temporary.unlink(missing_ok=True)
