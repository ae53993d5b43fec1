"""`make gpu-check`: whether everything that a run asks of a GPU works on this one, and how fast, within 20 minutes.

Nothing is downloaded: the model has random weights in the shape of a 1.5B one (`--model` takes a real one instead), and
the round at the end runs the embedded model. Without a GPU the same rows run at toy size, to show that the script
itself works; their seconds are then no figures of anything, and the table says so.

A *row* is one question (`rows.py`), answered in a process of its own (`running.py`), so that a crash or a hang of CUDA
ends the row and not the check, and each row begins with an empty GPU. Rows build on one another: the first that fails
ends the check, is named, and the exit code is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from selfimprove.formatting import MISSING, decimal

Figures = dict[str, float | str | bool]
"""What a row found, by its name with its unit (`start_s`, `left_mib`)."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much work the rows do."""

    completions: int
    new_tokens: int
    chunks: tuple[int, ...]
    train_rows: int
    prompt_tokens: int
    target_tokens: int
    round_keys: tuple[str, ...]


WHOLE = Size(
    completions=64,
    new_tokens=256,
    chunks=(8, 64, 256),
    train_rows=320,
    prompt_tokens=128,
    target_tokens=32,
    round_keys=("problems.heldout_size=128", "problems.sealed_size=128"),
)
TOY = Size(
    completions=8,
    new_tokens=16,
    chunks=(8, 64, 256),
    train_rows=80,
    prompt_tokens=16,
    target_tokens=8,
    round_keys=(
        "problems.train_size=16",
        "problems.heldout_size=8",
        "problems.sealed_size=8",
        "sampling.problems_per_round=16",
        "gate.batch=8",
        "sampling.max_new_tokens=16",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a row works with: the model under test, a folder of its own, the engine, and how much to do."""

    model: Path
    folder: Path
    engine: str
    toy: bool

    @property
    def size(self) -> Size:
        """The work of each row."""
        return TOY if self.toy else WHOLE


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A row's outcome: its figures, or why it failed or was left out."""

    name: str
    what: str
    seconds: float
    figures: Figures = field(default_factory=dict)
    failed: str = ""
    left_out: str = ""

    @property
    def outcome(self) -> str:
        """`passed`, `left out` or `FAILED`."""
        return "FAILED" if self.failed else "left out" if self.left_out else "passed"


def table(rows: Sequence[Checked]) -> str:
    """The rows as a Markdown table, a failure's reason in the place of its figures."""
    lines = ["| row | what | outcome | s | found |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        found = row.failed or row.left_out or "; ".join(f"{name} {_cell(value)}" for name, value in row.figures.items())
        lines.append(f"| {row.name} | {row.what} | {row.outcome} | {decimal(row.seconds)} | {found or MISSING} |")
    return "\n".join(lines)


def _cell(value: float | str | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else decimal(value)
