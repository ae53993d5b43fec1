"""The workload of the chaos test: a recipe whose rounds take seconds, and a file of sums.

The sizes are chosen for the kills, not for learning: several chunks, batches, steps and training checkpoints a stage,
so that a kill can come between any two of them.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfimprove.recipe import Recipe
from selfimprove.recipe.reading import parse_recipe

ROUNDS = 2
TINY = "tiny"
"""Name of the random model that is made on the spot."""

Sections = dict[str, dict[str, Any]]

_COMMON: Sections = {
    "sampling": {"max_new_tokens": 12, "chunk_rows": 8},
    "prefixes": {"length": 4, "structure_ratio": 0.25},
    "merging": {"canaries": 2},
    # The naive rule accepts at equal accuracy and rejects below it; the sequential one would reject every round at
    # these sizes, and no merge of two adapters would be tested. The guards are wide open for the same reason.
    "gate": {"rule": "point", "batch": 8, "max_pass_drop": 1.0, "max_truncation_rise": 1.0},
}
_TINY: Sections = {
    "problems": {"train_size": 24, "heldout_size": 24, "sealed_size": 16},
    # A random model is right by luck alone: at this temperature its letters are nearly uniform, so that a digit of a
    # one-digit sum turns up now and then. With seed 1, round 1 is accepted and round 2 rejected.
    "sampling": {"temperature": 4.0},
    "training": {"rank": 2, "learning_rate": 1e-2, "batch_rows": 8, "epochs": 2, "checkpoint_steps": 2},
    "gate": {"samples": 2},
}
_OTHER: Sections = {
    "problems": {"train_size": 16, "heldout_size": 16, "sealed_size": 8},
    "training": {"rank": 4, "learning_rate": 2e-4, "batch_rows": 4, "epochs": 1, "checkpoint_steps": 2},
}


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The folder that a chaos test works in, its model and its recipe; `cache` holds converted models."""

    folder: Path
    model: str
    recipe: Recipe
    cache: Path

    @property
    def allowed(self) -> dict[str, int]:
        """Units that one kill may make redone, by kind: a chunk, a judged batch, steps between training checkpoints."""
        gate, chunk = self.recipe.gate, self.recipe.sampling.chunk_rows
        return {
            "sampled rows": chunk,
            "judged rows": max(gate.batch * gate.samples, chunk),
            "training steps": self.recipe.training.checkpoint_steps,
        }


def make_workload(folder: Path, model: str) -> Workload:
    """The workload in `folder`, its problem file written; `UsageError` for a recipe that the model can't have."""
    problems = folder / "sums.jsonl"
    problems.write_text("".join(json.dumps(row) + "\n" for row in _sums()), encoding="ascii")
    tiny = model == TINY
    data: dict[str, Any] = {"seed": 1}
    for sections in (_COMMON, _TINY if tiny else _OTHER):
        for section, values in sections.items():
            data[section] = {**data.get(section, {}), **values}
    data["model"] = {**data.get("model", {}), "name": str(folder / TINY) if tiny else model}
    data["problems"]["train"] = str(problems)
    cache = folder / "cache" if tiny else _default_cache()
    return Workload(folder=folder, model=model, recipe=parse_recipe(data, "the self-test"), cache=cache)


def _default_cache() -> Path:
    """As `selfimprove.models.default_cache`, whose module would load torch into the parent."""
    return Path(os.environ.get("SELFIMPROVE_CACHE") or "~/.cache/selfimprove").expanduser().absolute()


def _sums() -> list[dict[str, str]]:
    return [
        {"question": f"What is {a} + {b} + {c}?", "answer": str(a + b + c)}
        for a in range(10)
        for b in range(10 - a)
        for c in range(10 - a - b)
    ]
