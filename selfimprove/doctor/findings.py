"""One line of the doctor: what was looked at, how it stands, what was found, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """What a check found; `advice` is what to do, empty where nothing needs doing.

    `error`: the run that was asked for will not work. `warning`: it works, but slower, or less surely than it could.
    """

    check: str
    level: Level
    found: str
    advice: str = ""


def ok(check: str, found: str) -> Finding:
    """Nothing needs doing."""
    return Finding(check, "ok", found)


def warning(check: str, found: str, advice: str) -> Finding:
    """The run works, but not as well as it could."""
    return Finding(check, "warning", found, advice)


def error(check: str, found: str, advice: str) -> Finding:
    """The run will not work."""
    return Finding(check, "error", found, advice)
