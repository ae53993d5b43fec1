"""How much of a round is overhead: start-up, orchestration, journal, checker; and how fast judging is beside sampling.

A process of its own, as a user starts one, runs one round with the real loop: of the demo's recipe, or for a model of
one's own that of `round_on`, which judges as many whole answers as it samples. Its wall-clock time is taken from
outside, so it includes the interpreter, imports, problems and checker processes. Inside, timers count loading a model
into the engine, sampling, judging, training and merging as model work; the rest is overhead. There are few sealed
problems, since judging them is no part of a round.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import Row
from benchmarks.bench.clock import Clock, clocked
from benchmarks.bench.work import SUMS, Work
from selfimprove.answer.checking import Checker
from selfimprove.errors import StageError
from selfimprove.events import silence
from selfimprove.models import default_cache, resolve_model
from selfimprove.problem import load_problems
from selfimprove.recipe import Runtime
from selfimprove.recipe.reading import parse_recipe
from selfimprove.runs.assemble import machinery_of
from selfimprove.runs.loop import run_rounds
from selfimprove.store.journal import Identity, Journal

ROOT = Path(__file__).parents[2]
"""The repository, from which the measurement in a process of its own is started."""

DEMO: dict[str, Any] = {
    "problems": {
        "train": "reasoning-gym:arithmetic",
        "train_size": 10000,
        "heldout_size": 256,
        "sealed_size": 8,
    },
    "sampling": {
        "prompt": "{question} Answer with the number only.",
        "temperature": 0.7,
        "max_new_tokens": 32,
        "problems_per_round": 256,
        "samples": 4,
    },
    "prefixes": {
        "select": "verified",
        "length": 16,
        "structure_ratio": 0.0,
        "template": "{question} Answer with the number only.",
    },
    "training": {"learning_rate": 4e-4, "epochs": 1, "batch_rows": 16},
    "gate": {"beside_temperature": 0.6},
}
"""The work of the recipe `demo`."""
QUICK: dict[str, Any] = {
    **DEMO,
    "problems": {"train_size": 64, "heldout_size": 64, "sealed_size": 8},
    "sampling": {**DEMO["sampling"], "problems_per_round": 64},
    "prefixes": {"select": "all", "length": "full"},
}


@dataclass(frozen=True)
class Round:
    """Wall-clock seconds of a process that ran a round; those of model work in it, and tokens drawn, by kind."""

    wall: float
    model: dict[str, float]
    tokens: dict[str, int]

    @property
    def outside(self) -> float:
        """Seconds outside model work."""
        return self.wall - sum(self.model.values())

    def rate(self, kind: str) -> float:
        """Tokens a second of this kind of model work."""
        return self.tokens[kind] / self.model[kind]


def round_on(work: Work) -> dict[str, Any]:
    """The recipe of a round on this work, with as many completions of the same length sampled and judged per model."""
    return {
        "model": {"name": work.model},
        "problems": {"train": work.problems or SUMS, "train_size": 64, "heldout_size": 64, "sealed_size": 1},
        "sampling": {"prompt": work.prompt, "temperature": 0.7, "max_new_tokens": 256},
        "prefixes": {"select": "verified", "length": 16},
        "training": {"batch_rows": 16},
    }


def measure_overhead(runtime: Runtime, repeats: int, recipe: dict[str, Any], reach: float = 0.05) -> list[Row]:
    """The rows for the time outside model work in a round of this recipe, and for judging beside sampling."""
    rounds = [measure_round(runtime, recipe) for _ in range(repeats)]
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in rounds[0].model.items())
    return [
        Row(
            name="overhead",
            what="round outside model work",
            against="the round's wall-clock",
            unit="s",
            ours=tuple(one.outside for one in rounds),
            other=tuple(one.wall for one in rounds),
            reach=reach,
            note=f"the model's work in the first repeat: {parts}",
        ),
        Row(
            name="judging",
            what="greedy answers of the champion and the challenger",
            against="sampling in the same round",
            unit="tokens/s",
            ours=tuple(one.rate("judge") for one in rounds),
            other=tuple(one.rate("sample") for one in rounds),
            reach=0.9,
            side="at least",
            note="prompts included; several samples share the work of their prompt",
        ),
    ]


def measure_round(runtime: Runtime, recipe: dict[str, Any]) -> Round:
    """One round in a process of its own; if it fails, `StageError` has the end of its stderr."""
    with tempfile.TemporaryDirectory() as folder:
        words = [folder, json.dumps(recipe), runtime.model_dump_json()]
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.bench.overhead", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        wall = time.perf_counter() - began
    if done.returncode:
        raise StageError(f"the measured round failed: {done.stderr[-500:]}")
    return Round(wall, **json.loads(done.stdout.splitlines()[-1]))


def _child(folder: str, recipe_json: str, runtime_json: str) -> None:
    """Run the round in this process and print the seconds and tokens of model work as JSON."""
    runtime = Runtime.model_validate_json(runtime_json)
    recipe = parse_recipe(json.loads(recipe_json), "the measurement")
    problems, clock = load_problems(recipe.problems), Clock()
    base = resolve_model(recipe.model, default_cache(), runtime.trust_remote_code)
    identity = Identity(base.fingerprint, problems.fingerprint())
    with Checker(workers=runtime.usable_threads()) as checker:
        machinery = clocked(machinery_of(recipe, base, runtime, checker), clock)
        run_rounds(recipe, problems, identity, machinery, Journal(Path(folder) / "run"), 1, silence)
    sys.stdout.write(json.dumps({"model": clock.seconds, "tokens": clock.tokens}) + "\n")


if __name__ == "__main__":
    _child(*sys.argv[1:])
