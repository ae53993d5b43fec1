"""What a life of the self-test is told: light to import, for the parent and for the process that will be killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.kills import Kill
from tests.chaos.setting import Setting


def nothing() -> None:
    """Break nothing; see `Life.mutant`."""


@dataclass(frozen=True)
class Life:
    """One start of a run: which folder, the trace it writes, its number, and how it is to end.

    `mutant` is called first, in the victim: a test breaks something there, and sees that it is found out.
    """

    setting: Setting
    run: Path
    trace: Path
    number: int
    kill: Kill | None
    mutant: Callable[[], None] = nothing
