"""What the actors of tests/engines/test_ray.py run: a module that their processes can import."""

from __future__ import annotations

import os
import time
from pathlib import Path
from threading import Lock

from selfimprove.engines.ray_files import FileEntry, FileServer
from selfimprove.errors import UsageError


class Doubler:
    """A worker that doubles numbers; at those named in `fatal` its process ends or hangs, once or always."""

    def __init__(self, fatal: dict[int, str], folder: Path) -> None:
        self._fatal = fatal
        self._folder = folder

    def prepare(self) -> str:
        """Ready at once."""
        return "ready"

    def rest(self) -> None:
        """Nothing to close."""

    def work(self, numbers: list[int]) -> list[int]:
        """Twice each number."""
        return [self._double(number) for number in numbers]

    def _double(self, number: int) -> int:
        way = self._fatal.get(number)
        mark = self._folder / str(number)
        if way == "always" or (way == "once" and not mark.exists()):
            mark.touch()
            os._exit(1)
        if way == "hangs" or (way == "hangs once" and not mark.exists()):
            mark.touch()
            time.sleep(3600)
        if way == "refused":
            raise UsageError("a number too many", "Leave it out.")
        if way == "slow":
            time.sleep(0.5)
        (self._folder / f"done-{number}").touch()
        return 2 * number


class WatchedServer(FileServer):
    """A `FileServer` that takes its time, and counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()
        self._now = self._most = self._hashed = 0

    def read(self, path: Path, offset: int) -> bytes:
        """As the server does, after a while."""
        with self._lock:
            self._now += 1
            self._most = max(self._most, self._now)
        time.sleep(0.2)
        with self._lock:
            self._now -= 1
        return super().read(path, offset)

    def manifest(self, folder: Path) -> list[FileEntry]:
        """As the server does."""
        self._hashed += 1
        return super().manifest(folder)

    def most_at_once(self) -> int:
        """Most pieces that were read at the same time."""
        return self._most

    def hashed(self) -> int:
        """How often a folder's hashes were asked for."""
        return self._hashed
