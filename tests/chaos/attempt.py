"""What one attempt is given. Light to import: the parent and the child both load it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.kill_plan import Kill
from tests.chaos.workload import Workload


def no_mutation() -> None:
    """The program as it is; see `Attempt.mutate`."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One start of a run: its folder, the trace file it appends to, its number from 1, and the kill that ends it.

    Without a kill it goes on to the end of the run. `mutate` is called first, in the child: a test of this test breaks
    something there, and asserts that the break is found.
    """

    workload: Workload
    run: Path
    trace: Path
    number: int
    kill: Kill | None
    mutate: Callable[[], None] = no_mutation
