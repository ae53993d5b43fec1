"""A tracker as this program sees it: something that takes points, and knows whether it has had this run before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from selfimprove.tracking.points import Point


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told of a run when it begins.

    `key` is the same for every start of the run, wherever its folder is moved, and another for any other run: letters
    and digits alone. `config` is the recipe by dotted keys. `folder` is where a tracker may keep files of its own.
    """

    name: str
    key: str
    config: dict[str, Any]
    folder: Path


class Tracker(Protocol):
    """An open tracker. Every method may raise whatever the tracker raises."""

    known: bool
    """Whether the tracker has points of an earlier start of this run."""

    def write(self, point: Point) -> None:
        """Take a point; called in order, in a thread of its own."""

    def close(self, finished: bool) -> None:
        """Hand over what is left; `finished` says that the run owes nothing."""
