"""How likely a model finds given completions: one forward pass, nothing is sampled.

Rows are packed and cut as in training (`loss.py`, `batches.py`), and so rounded otherwise than while sampling: compare
scores with scores, not with what a sampler drew by.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from selfimprove.models import compute_dtype, load_model, processor
from selfimprove.models.gpus import choose_device
from selfimprove.recipe import Runtime
from selfimprove.round.prefixes import Example
from selfimprove.training.batches import cut_packed, cut_padded
from selfimprove.training.loss import loss_method, pack, pad, row_ids, surprises

TOKENS = 2048
"""Tokens of a forward pass; a longer row is one by itself."""


@torch.no_grad()
def score(model: Path, examples: Sequence[Example], runtime: Runtime) -> list[float]:
    """The mean log-likelihood of each example's targets in nats a token, in the order of `examples`."""
    if not examples:
        return []
    device = choose_device(runtime.device)
    with processor(runtime):
        loaded = load_model(model, compute_dtype(model, device), runtime.trust_remote_code).to(device)  # type: ignore[arg-type]  # HF's typing
        rows = [row_ids(example) for example in examples]
        method = loss_method(loaded, examples[0].prompt_ids[:8], max(map(len, rows)))
        cut, fill = (cut_packed, pack) if method.packs else (cut_padded, pad)
        found = [0.0] * len(examples)
        for part in cut(range(len(rows)), rows, TOKENS):
            batch = fill([examples[row] for row in part], device)
            lengths = [len(examples[row].target_ids) for row in part]
            each = torch.split(surprises(loaded, batch, method.head_alone), lengths)
            for row, nats in zip(part, each, strict=True):
                found[row] = -float(nats.mean())
    return found
