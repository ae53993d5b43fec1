"""What the steps of a verdict hand to one another: the candidate in a text, and what a comparison found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["correct", "wrong", "unparsed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a stage found: equal (`correct`), different (`wrong`) or not to be decided (`unparsed`), and why."""

    outcome: Outcome
    stage: str
    reason: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """The answer as written (None: there is none), how it was found, and why there is none."""

    text: str | None
    how: str
    reason: str = ""
