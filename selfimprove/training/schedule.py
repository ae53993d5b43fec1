"""What the trainer does at which step, decided before it starts: batches, learning rates, and whether the loss fell.

Everything here is pure and depends on the examples, the settings and the seed alone. So a training that is taken up
at step k needs no state of a shuffler or a scheduler: it looks up step k in the plan.

*Batches.* Each epoch is a permutation of the examples, seeded by (seed, epoch), cut into optimizer batches of
`batch_rows`; the last one of an epoch may be smaller. A batch is cut into micro-batches: its rows sorted by length, so
that rows of like length are padded together, as many as fit under `micro_tokens` padded tokens (a longer row stands
alone). The loss divides by the size of the optimizer batch, so the cut into micro-batches does not change it.

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

from selfimprove.prefixes import Example
from selfimprove.recipe import Training
from selfimprove.sampling import derive_seed

FEWEST_STEPS = 8
"""Below this number of steps the loss rule has too little to go by."""


@dataclass(frozen=True)
class Step:
    """One optimizer step: its micro-batches as row numbers of the examples, and its learning rate."""

    micro_batches: tuple[tuple[int, ...], ...]
    learning_rate: float

    @property
    def rows(self) -> int:
        """Examples in the optimizer batch: what the sum of their losses is divided by."""
        return sum(len(micro) for micro in self.micro_batches)


def plan_steps(lengths: Sequence[int], settings: Training, seed: int) -> tuple[Step, ...]:
    """All steps of a training on rows of these lengths in tokens; each epoch uses every row exactly once."""
    batches: list[list[int]] = []
    for epoch in range(settings.epochs):
        order = list(range(len(lengths)))
        random.Random(derive_seed(seed, "epoch", epoch)).shuffle(order)
        batches += [order[at : at + settings.batch_rows] for at in range(0, len(order), settings.batch_rows)]
    return tuple(
        Step(cut_batch(batch, lengths, settings.micro_tokens), learning_rate(number, len(batches), settings))
        for number, batch in enumerate(batches, start=1)
    )


def cut_batch(batch: Sequence[int], lengths: Sequence[int], tokens: int) -> tuple[tuple[int, ...], ...]:
    """The batch in micro-batches of at most `tokens` padded tokens, longest rows first; a longer row stands alone."""
    micro: list[list[int]] = []
    for row in sorted(batch, key=lambda row: (-lengths[row], row)):
        if not micro or (len(micro[-1]) + 1) * lengths[micro[-1][0]] > tokens:
            micro.append([])
        micro[-1].append(row)
    return tuple(tuple(rows) for rows in micro)


def learning_rate(step: int, steps: int, settings: Training) -> float:
    """The rate at `step` (from 1): rising in equal parts over the warm-up, then constant, or a cosine towards zero."""
    warmup = math.ceil(settings.warmup_ratio * steps)
    if step <= warmup:
        return settings.learning_rate * step / warmup
    if settings.schedule == "constant":
        return settings.learning_rate
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup - 1) / (steps - warmup)))


def fault_in_losses(losses: Sequence[float]) -> str:
    """Why a finished training is unusable by its losses (the rule above), empty if it isn't."""
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


def fingerprint_work(examples: Sequence[Example], settings: Training, seed: int) -> str:
    """SHA-256 of what a training is: a checkpoint with another one belongs to other work."""
    rows = [[e.key, e.sample, e.kind, e.prompt_ids, e.target_ids, e.weight] for e in examples]
    text = json.dumps([rows, settings.model_dump(mode="json"), seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
