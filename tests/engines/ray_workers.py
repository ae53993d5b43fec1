"""What the actors of tests/engines/test_ray.py run: a module that their processes can import."""

from __future__ import annotations

import os
import time
from pathlib import Path

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
