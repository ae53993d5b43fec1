"""What the trainer does at which step, decided before it starts: batches, learning rates, and whether the loss fell.

Everything here is pure and depends on the examples, the settings, the seed and the size of micro-batches alone. So a
training that resumes at step k needs no state of a shuffler or a scheduler: it looks up step k in the plan.

*Batches.* Each epoch is a permutation of the examples, seeded by (seed, epoch), cut into optimizer batches of
`batch_rows`; the last one of an epoch may be smaller. A batch is cut into micro-batches of at most `micro_tokens`
tokens that pass through the model (a longer row is a micro-batch by itself). Rows packed as branches are sorted by
their ids, so that rows with a common prefix share a micro-batch, where the prefix counts once; padded rows are sorted
by length, and padding counts. The loss divides by the size of the optimizer batch, so the cut does not change it.
How many tokens those are is chosen by the free memory (`sizes.py`).

*Loss rule.* With at least 8 steps let q be a quarter of them, m₁ and m₄ the mean losses of the first and the last q,
and s² half the mean squared difference of successive losses (the variance of a step's loss about a slow trend).
The training has failed if m₄ − m₁ > 3 · s · √(2/q): a rise beyond three standard errors of the difference.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from selfimprove.recipe import Training
from selfimprove.round.prefixes import Example
from selfimprove.sampling import derive_seed
from selfimprove.store.durable import content_hash
from selfimprove.training.branches import Ids, shared_length

FEWEST_STEPS = 8
"""Below this number of steps the loss rule has too little to go by."""


@dataclass(frozen=True)
class Step:
    """One optimizer step: its micro-batches as row numbers of the examples, and its learning rate."""

    micro_batches: tuple[tuple[int, ...], ...]
    learning_rate: float

    @property
    def rows(self) -> int:
        """The number of examples in the optimizer batch, by which the sum of their losses is divided."""
        return sum(len(micro) for micro in self.micro_batches)


def plan_steps(
    rows: Sequence[Ids], packs: bool, settings: Training, seed: int, *, micro_tokens: int, processes: int = 1
) -> tuple[Step, ...]:
    """All steps of a training on these rows, each row once an epoch; `packs` if rows are packed as branches."""
    batches: list[list[int]] = []
    for epoch in range(settings.epochs):
        order = list(range(len(rows)))
        random.Random(derive_seed(seed, "epoch", epoch)).shuffle(order)
        batches += [order[at : at + settings.batch_rows] for at in range(0, len(order), settings.batch_rows)]
    return tuple(
        Step(_cut(batch, rows, packs, micro_tokens, processes), learning_rate(number, len(batches), settings))
        for number, batch in enumerate(batches, start=1)
    )


def _cut(
    batch: Sequence[int], rows: Sequence[Ids], packs: bool, tokens: int, processes: int
) -> tuple[tuple[int, ...], ...]:
    """The batch in micro-batches of at most `tokens` tokens, and, if it can be, one for each process."""
    cut = cut_packed if packs else cut_padded
    if processes == 1:
        return cut(batch, rows, tokens)
    whole = count_tokens(Step((tuple(sorted(batch, key=lambda row: rows[row])),), 0.0), rows, packs)
    even = math.ceil(whole / processes) + max(len(rows[row]) for row in batch)  # a row is not cut
    return cut(batch, rows, min(tokens, even))


def cut_packed(batch: Sequence[int], rows: Sequence[Ids], tokens: int) -> tuple[tuple[int, ...], ...]:
    """The batch in micro-batches of at most `tokens` packed tokens, rows sorted by their ids."""
    micro: list[list[int]] = []
    held = 0
    for row in sorted(batch, key=lambda row: (rows[row], row)):
        fresh = len(rows[row]) - (shared_length(rows[micro[-1][-1]], rows[row]) if micro else 0)
        if not micro or held + fresh > tokens:
            micro.append([])
            held, fresh = 0, len(rows[row])
        micro[-1].append(row)
        held += fresh
    return tuple(tuple(part) for part in micro)


def cut_padded(batch: Sequence[int], rows: Sequence[Ids], tokens: int) -> tuple[tuple[int, ...], ...]:
    """The batch in micro-batches of at most `tokens` padded tokens, longest rows first."""
    micro: list[list[int]] = []
    for row in sorted(batch, key=lambda row: (-len(rows[row]), row)):
        if not micro or (len(micro[-1]) + 1) * len(rows[micro[-1][0]]) > tokens:
            micro.append([])
        micro[-1].append(row)
    return tuple(tuple(part) for part in micro)


def count_tokens(step: Step, rows: Sequence[Ids], packs: bool) -> int:
    """Tokens that pass through the model in this step, padding included."""
    if not packs:
        return sum(len(micro) * max(len(rows[row]) for row in micro) for micro in step.micro_batches)
    shared = [shared_length(rows[a], rows[b]) for micro in step.micro_batches for a, b in pairwise(micro)]
    return sum(len(rows[row]) for micro in step.micro_batches for row in micro) - sum(shared)


def largest_micro_batch(plan: Sequence[Step], rows: Sequence[Ids], packs: bool) -> int:
    """Tokens of the largest micro-batch of the plan, padding included."""
    micro = (Step((part,), 0.0) for step in plan for part in step.micro_batches)
    return max(count_tokens(part, rows, packs) for part in micro)


def learning_rate(step: int, steps: int, settings: Training) -> float:
    """The rate at `step` (from 1): a linear warm-up, then constant or a cosine decay towards zero."""
    warmup = math.ceil(settings.warmup_ratio * steps)
    if step <= warmup:
        return settings.learning_rate * step / warmup
    if settings.schedule == "constant":
        return settings.learning_rate
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup - 1) / (steps - warmup)))


def fault_in_losses(losses: Sequence[float]) -> str:
    """Why the losses say that the training failed (the rule above); empty if they don't."""
    if not all(math.isfinite(loss) for loss in losses):
        return "a loss is not finite"
    if len(losses) < FEWEST_STEPS:
        return ""
    quarter = len(losses) // 4
    first, last = sum(losses[:quarter]) / quarter, sum(losses[-quarter:]) / quarter
    spread = math.sqrt(sum((b - a) ** 2 for a, b in pairwise(losses)) / (len(losses) - 1) / 2)
    bound = 3 * spread * math.sqrt(2 / quarter)
    if last - first <= bound:
        return ""
    return (
        f"the loss rose from {first:.4f} (mean of the first {quarter} steps) to {last:.4f} (last {quarter}), "
        f"more than noise explains ({bound:.4f})"
    )


def fingerprint_work(examples: Sequence[Example], settings: Training, seed: int, start: Path | None = None) -> str:
    """SHA-256 of a training's examples, settings, seed and first adapter; a checkpoint of another one has another."""
    rows = [[e.key, e.sample, e.kind, e.prompt_ids, e.target_ids, e.weight] for e in examples]
    begun = [content_hash(start)] if start else []
    text = json.dumps([rows, settings.model_dump(mode="json"), seed, *begun], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
