"""What training, sampling and merging will hold in memory at most, told before anything is loaded.

The sizes are those that the trainer will choose (`sizes.py`), by the same rule and from the same free memory; what a
token holds is an estimate here (`models/working.py`) and measured there. Rows are as long as `plan/forecast.py` allows
for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from selfimprove.formatting import byte_count
from selfimprove.merging.canaries import ROOM
from selfimprove.merging.summing import GPU_ROOM
from selfimprove.models import compute_dtype
from selfimprove.models.working import WorkingSet, working_set
from selfimprove.plan.forecast import PROGRAM_BYTES, PROMPT_TOKENS, forecast_round
from selfimprove.recipe import Recipe, Runtime
from selfimprove.round.prefixes import token_limit
from selfimprove.store.rows import Kind
from selfimprove.training.sizes import HEAD_SHARE, Sizes, candidates, first_that_fits, head_targets


@dataclass(frozen=True, kw_only=True)
class MemoryNeed:
    """Bytes that each stage takes at its peak, the programs' own included, and the sizes that training will choose.

    They are those of a device: of each GPU in use, or of the machine. `least` is what training takes with the smallest
    sizes, `host` what the certificate takes of the machine's memory where a GPU leaves it to the processor.
    """

    sampling: int
    training: int
    merging: int
    least: int
    sizes: Sizes
    host: int = 0

    @property
    def peak(self) -> int:
        """The most of all stages."""
        return max(self.sampling, self.training, self.merging)

    def told(self) -> str:
        """The need in words."""
        twice = ", activations computed twice" if self.sizes.gradient_checkpointing else ""
        return (
            f"a round takes about {byte_count(self.peak)}: training {byte_count(self.training)} "
            f"({self.sizes.micro_tokens:,} tokens in one pass{twice}), sampling at most {byte_count(self.sampling)}, "
            f"merging {byte_count(self.merging)}"
        ) + (f"; the certificate takes {byte_count(self.host)} of the machine's memory" if self.host else "")


def foretold(recipe: Recipe, runtime: Runtime, folder: Path, device: torch.device, room: int) -> MemoryNeed:
    """The need of a round with the folder's model on the device, which has so many bytes free."""
    dtype = compute_dtype(folder, device)
    return memory_need(recipe, runtime, working_set(folder), dtype.itemsize, room, device.type)


def memory_need(recipe: Recipe, runtime: Runtime, model: WorkingSet, width: int, room: int, device: str) -> MemoryNeed:
    """The need of a round on a device of this type where `room` bytes are free before anything is loaded.

    `width` is that of a weight, in bytes, in the type that the device computes in. Training processes have a GPU each,
    or share the machine.
    """
    sharing = runtime.train_processes if device == "cpu" else 1
    held = PROGRAM_BYTES + width * process_weights(runtime, model)
    trained = 4 * recipe.training.rank * model.adapted  # bytes of the LoRA
    free = max(0, room // sharing - held - 4 * trained)
    sizes = candidates(runtime, head_targets(model.vocabulary, free, device))
    row = _row(recipe)
    rows = min(recipe.training.batch_rows, forecast_round(recipe, recipe.problems.train_size or 10**6).trained_rows)

    def needs(size: Sizes) -> float:
        tokens = max(row, min(size.micro_tokens, rows * row))
        return width * tokens * model.activations(row, checkpointing=size.gradient_checkpointing)

    taken = [*sizes, sizes[-1]][first_that_fits(sizes, needs, free)]
    beside = held + 4 * trained + round(HEAD_SHARE * free)
    limit = PROMPT_TOKENS + recipe.sampling.max_new_tokens
    together = max(1, min(recipe.sampling.chunk_rows, recipe.sampling.chunk_tokens // limit))
    sampled = width * (model.weights + together * limit * model.cached) // runtime.tensor_parallel
    merging = PROGRAM_BYTES + 4 * model.weights + 2 * model.weights  # float32, and the file that it is read from
    left_to_host = device == "cuda" and room < ROOM * 4 * model.weights
    return MemoryNeed(
        sampling=PROGRAM_BYTES + sampled,
        training=sharing * (beside + round(needs(taken))),
        merging=GPU_ROOM if left_to_host else merging,
        least=sharing * (beside + round(needs(sizes[-1]))),
        sizes=taken,
        host=merging if left_to_host else 0,
    )


def process_weights(runtime: Runtime, model: WorkingSet) -> int:
    """Weights that each training process holds."""
    return model.weights_of(runtime.train_processes if runtime.sharding == "fsdp" else 1)


def _row(recipe: Recipe) -> int:
    """Tokens of an example, of the kind that most are of."""
    kind = Kind.FULL if recipe.prefixes.whole or recipe.prefixes.structure_ratio > 0.5 else Kind.PREFIX
    return PROMPT_TOKENS + token_limit(kind, recipe.prefixes, recipe.sampling.max_new_tokens)
