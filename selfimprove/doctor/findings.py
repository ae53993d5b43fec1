"""One line of the doctor: what was checked, how serious it is, what was found, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How serious a finding is; the values are what `selfimprove doctor --json` prints."""

    OK = "ok"
    """Nothing needs doing."""
    WARNING = "warning"
    """The run that was asked for works, but slower, or less surely than it could."""
    ERROR = "error"
    """The run that was asked for will not work."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found; `advice` is what to do, empty if and only if the level is `OK`."""

    check: str
    level: Level
    found: str
    advice: str = ""


def ok(check: str, found: str) -> Finding:
    """A finding of level `OK`."""
    return Finding(check=check, level=Level.OK, found=found)


def warning(check: str, found: str, advice: str) -> Finding:
    """A finding of level `WARNING`."""
    return Finding(check=check, level=Level.WARNING, found=found, advice=advice)


def error(check: str, found: str, advice: str) -> Finding:
    """A finding of level `ERROR`."""
    return Finding(check=check, level=Level.ERROR, found=found, advice=advice)
