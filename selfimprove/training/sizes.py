"""How much a training computes at once: chosen by the free memory, recorded, and halved once if memory runs out.

None of it is part of a recipe: gradients are sums over the whole optimizer batch, so they are the same but for
rounding (and for the draws of a LoRA's dropout). Three sizes are chosen, in this order:

*Targets at the head.* Each pass through the output head reads its whole matrix, 0.5 to 1 GB in a model with a large
vocabulary, and holds one logit for each target and token of the vocabulary. `HEAD_TARGETS` make the read a few per cent
of the pass; a `HEAD_SHARE` of the free memory bounds the logits.

*Tokens of a micro-batch* and *gradient checkpointing.* The trainer computes its longest rows once, forward and
backward, and counts what that holds (`fit.py`). From there memory grows with the tokens of a micro-batch. The first of
`candidates` whose largest micro-batch holds at most `SHARE` of the free memory is taken: fewer tokens first, since they
cost next to nothing, then activations computed twice, which cost a third of the speed. Where the longest rows don't fit
at all, that way is left out. Rows are not cut: a micro-batch is at least as long as its longest row.

`SHARE` leaves room for what is not seen: fragments of the heap, the system's own caches, other programs that grow.
Micro-batches are of unlike sizes, so of the blocks that one frees the next can't use all, and what the C library keeps
grows with each: a training of a 1.5B model took 13.4 GiB after a hundred, and 11.4 with the bound below. Where the
process holds more than `SHARE` beyond its weights after a micro-batch, the freed blocks go back to the system. To do so
each time costs an eighth of the speed of a model of 135M weights, since the next one has to be given its pages anew.
Sizes are far apart, so what else a machine does seldom changes them. The choice is written to the training's work
folder before its first step and into the round's record: a training that goes on takes it from there. What the runtime
asks for outright is always taken.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from selfimprove.recipe import Runtime

FILE = "sizes.json"
SHARE = 0.3
"""Share of the free memory that a micro-batch's activations may take."""
HEAD_SHARE = 1 / 32
"""Share of the free memory that the logits held at once may take."""
HEAD_TARGETS = {"cpu": 256}
"""Targets beyond which the head gains nothing on this device, by the ratio of its products' speed to its memory's."""
HEAD_TARGETS_OF_GPU = 2048
HEAD_FEWEST = 16
LOGIT_BYTES = 8
"""Of a logit and its gradient: both in float32, or one of them in bfloat16 and copied."""

TOKENS = (4096, 2048, 1024, 768, 512, 384)
"""Tokens of a micro-batch, tried in this order, without gradient checkpointing and then with it."""
FEWEST_TOKENS = 256
"""With gradient checkpointing, or where it is turned off, the last that is tried."""


@dataclass(frozen=True)
class Short:
    """Memory ran out in an attempt to train."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Tokens of a micro-batch, targets in one pass through the head, and whether activations are computed twice.

    `halved` says that memory ran out with twice as many.
    """

    micro_tokens: int
    gradient_checkpointing: bool
    head_targets: int
    halved: bool = False


def head_targets(vocabulary: int, free: int, device: str) -> int:
    """How many targets one pass through the head takes, a power of two, with so many bytes free on such a device."""
    targets = HEAD_TARGETS.get(device, HEAD_TARGETS_OF_GPU)
    while targets > HEAD_FEWEST and targets * vocabulary * LOGIT_BYTES > HEAD_SHARE * free:
        targets //= 2
    return targets


def candidates(runtime: Runtime, head: int) -> tuple[Sizes, ...]:
    """What may be chosen, in order of preference: one where the runtime asks for both sizes outright."""
    ways = {"auto": (False, True), "on": (True,), "off": (False,)}[runtime.gradient_checkpointing]

    def tokens(checkpointing: bool) -> tuple[int, ...]:
        if runtime.micro_tokens != "auto":
            return (runtime.micro_tokens,)
        return (*TOKENS, FEWEST_TOKENS) if checkpointing == ways[-1] else TOKENS

    return tuple(
        Sizes(micro_tokens=count, gradient_checkpointing=checkpointing, head_targets=head)
        for checkpointing in ways
        for count in tokens(checkpointing)
    )


def first_that_fits(sizes: Sequence[Sizes], needs: Callable[[Sizes], float], free: int) -> int:
    """The place of the first whose need, in bytes, is within its share of the free memory; their number if none is."""
    return next((place for place, size in enumerate(sizes) if needs(size) <= SHARE * free), len(sizes))


def halved(sizes: Sizes, runtime: Runtime) -> Sizes | None:
    """What to try once after memory ran out; None if it was halved already, or all that helps was asked for outright.

    Besides half the tokens and targets that is gradient checkpointing, since rows that are longer than a micro-batch
    take as much as before.
    """
    tokens = sizes.micro_tokens // 2 if runtime.micro_tokens == "auto" else sizes.micro_tokens
    checkpointing = sizes.gradient_checkpointing or runtime.gradient_checkpointing == "auto"
    changed = tokens < sizes.micro_tokens or checkpointing != sizes.gradient_checkpointing
    if sizes.halved or not tokens or not changed:
        return None
    return Sizes(
        micro_tokens=tokens,
        gradient_checkpointing=checkpointing,
        head_targets=max(1, sizes.head_targets // 2),
        halved=True,
    )


def write_sizes(sizes: Sizes, work: Path) -> None:
    """Record the choice for a later call on the same work folder."""
    temporary = work / f"{FILE}.partial"
    temporary.write_text(json.dumps(asdict(sizes)))
    temporary.replace(work / FILE)


def read_sizes(work: Path, runtime: Runtime) -> Sizes | None:
    """The recorded choice, with what the runtime asks for outright in its place; None if there is none to be read."""
    try:
        sizes = Sizes(**json.loads((work / FILE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    if runtime.micro_tokens != "auto":
        sizes = replace(sizes, micro_tokens=runtime.micro_tokens)
    if runtime.gradient_checkpointing != "auto":
        sizes = replace(sizes, gradient_checkpointing=runtime.gradient_checkpointing == "on")
    return sizes
