"""What a tracker is to this program: it takes points, and knows whether it has points of this run already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from selfimprove.tracking.metrics import Point


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """A run as a tracker is opened for it.

    `key` is made of letters and digits; it is the same for every start of the run, wherever its folder is moved, and no
    other run has it. `config` is the recipe by dotted keys. `folder` is where a tracker may keep files of its own.
    """

    name: str
    key: str
    config: Mapping[str, object]
    folder: Path


class Tracker(Protocol):
    """An open tracker. Every method may raise whatever the tracker raises."""

    known: bool
    """Whether the tracker has points of this run from an earlier start."""

    def write(self, point: Point) -> None:
        """Take a point. Points come in order; all calls come from one thread, which is not the main one."""

    def close(self, finished: bool) -> None:
        """Send what is still buffered; `finished` says that the run has all its rounds."""
