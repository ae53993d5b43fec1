"""A run small enough to be made many times in a test: a tiny random Llama, a file of sums, the real runner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfimprove.models.tiny import make_tiny_model
from tests import warm
from tests.paths import ROOT

RECIPE = """
[model]
name = "{model}"

[problems]
train = "{problems}"
train_size = 24
heldout_size = 24
sealed_size = 16

[sampling]
max_new_tokens = 10
chunk_rows = 8

[prefixes]
length = 4
structure_ratio = 0.25

[training]
rank = 2
learning_rate = 1e-3
batch_rows = 8
epochs = 2
checkpoint_steps = 1

[merging]
canaries = 2

[gate]
batch = 8
"""


@dataclass(frozen=True)
class Workshop:
    """A folder with a tiny model, a problem file and a recipe."""

    folder: Path

    @property
    def recipe(self) -> Path:
        return self.folder / "tiny.toml"

    @property
    def runs(self) -> Path:
        return self.folder / "rounds"

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "selfimprove", *words]

    def environment(self) -> dict[str, str]:
        root = str(ROOT)
        cache = str(self.folder / "cache")
        return {**os.environ, "SELFIMPROVE_CACHE": cache, "PYTHONPATH": root, "HF_HUB_OFFLINE": "1"}

    def call(
        self, *words: str, timeout: float = 240, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line to its end, in the workshop's folder."""
        return warm.call(words, self.folder, {**self.environment(), **(environment or {})}, timeout)

    def call_fresh(
        self, *words: str, timeout: float = 240, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The same in a process that shares nothing with others, not even the hash seed or an imported library."""
        return subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env={**self.environment(), **(environment or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def run(
        self, name: str, rounds: int = 2, *more: str, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`selfimprove run` on the tiny recipe, one event a line."""
        return self.call(*self.run_words(name, rounds), *more, environment=environment)

    def run_words(self, name: str, rounds: int) -> list[str]:
        words = ["run", "--recipe", "tiny.toml", "--run", name, "--rounds", str(rounds), "--json"]
        return [*words, "--threads", "1", "--checker-workers", "1", "--device", "cpu", "--engine", "transformers"]

    def run_until(
        self, name: str, rounds: int, when: Callable[[dict[str, Any]], bool], sign: signal.Signals, *more: str
    ) -> int:
        """Start the run and send `sign` at the first event that `when` accepts; the exit code."""
        return self.until([*self.run_words(name, rounds), *more], when, sign)

    def until(self, words: Sequence[str], when: Callable[[dict[str, Any]], bool], sign: signal.Signals) -> int:
        """Start a command that prints events and send `sign` at the first that `when` accepts; the exit code."""
        with warm.started(words, self.folder, self.environment()) as (process, lines):
            for line in lines:
                if when(json.loads(line)):
                    process.send_signal(sign)
                    break
            else:
                raise AssertionError("the run ended before the event came")
            lines.read()
            return process.wait(120)


def hear_interrupts() -> None:
    """A shell's `&` has SIGINT ignored, and children inherit that; the run under test shall hear it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def make_workshop(folder: Path) -> Workshop:
    """A workshop in `folder`, equal for equal folders' contents."""
    folder.mkdir(parents=True, exist_ok=True)
    make_tiny_model(folder / "tiny", dtype="bfloat16", sharded=True)  # as the hub has models
    rows = [{"question": f"What is {a} + {b}?", "answer": str(a + b)} for a in range(2, 11) for b in range(11, 20)]
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "tiny.toml").write_text(RECIPE.format(model="tiny", problems="sums.jsonl"))
    return Workshop(folder)


def events_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The events that a run with --json printed."""
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
