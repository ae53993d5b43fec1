"""Whether a merged model answers as its parent with the adapter on it does, on a few prompts.

The parent with the adapter, unmerged, continues each canary prompt greedily by `NEW_TOKENS` tokens (ends of sequence
are held back, so that every prompt gives as many). Both models then score those same tokens, teacher-forced:

- *agreement* is the share of positions at which both have the same most likely token;
- *kl* is the mean over positions of KL(adapter ‖ merged) in nats.

Both run in the type the folders are stored in, as they are sampled; so `kl` holds the rounding of kernels beside
that of the weights (of the order of 1e-3 in bfloat16).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from selfimprove.models import compute_dtype, load_model, processor
from selfimprove.prefixes import Example
from selfimprove.recipe import Runtime
from selfimprove.training.loss import Batch, head_is_all, pad, target_logits

NEW_TOKENS = 16


@dataclass(frozen=True)
class Likeness:
    """How alike adapter and merged model are: mean KL in nats, and share of equal greedy tokens, over `tokens`."""

    kl: float
    agreement: float
    tokens: int


@torch.no_grad()
def compare(parent: Path, adapter: Path, merged: Path, canaries: Sequence[Sequence[int]], runtime: Runtime) -> Likeness:
    """The likeness of parent with adapter and merged model on the canary prompts (token ids); one model at a time."""
    name = ("cuda" if torch.cuda.is_available() else "cpu") if runtime.device == "auto" else runtime.device
    device = torch.device(name)
    dtype = compute_dtype(merged, device)
    with processor(runtime):
        batch, intended = _adapter_side(parent, adapter, canaries, dtype, device, runtime.trust_remote_code)
        model = load_model(merged, dtype, runtime.trust_remote_code).to(device)  # type: ignore[arg-type]  # HF's typing
        actual = _log_probs(model, batch)
    kl = (intended.exp() * (intended - actual)).sum(-1).mean().item()
    return Likeness(kl, (intended.argmax(-1) == actual.argmax(-1)).float().mean().item(), len(intended))


def _adapter_side(
    parent: Path,
    adapter: Path,
    canaries: Sequence[Sequence[int]],
    dtype: torch.dtype,
    device: torch.device,
    trust_remote_code: bool,
) -> tuple[Batch, Tensor]:
    base = load_model(parent, dtype, trust_remote_code)
    PeftModel.from_pretrained(base, str(adapter)).to(device)  # puts the factors into `base`
    continuations = _continue(base, canaries, device)
    examples = [
        Example(str(number), 0, "full", tuple(prompt), continuation)
        for number, (prompt, continuation) in enumerate(zip(canaries, continuations, strict=True))
    ]
    batch = pad(examples, device)
    return batch, _log_probs(base, batch)


def _continue(model: PreTrainedModel, prompts: Sequence[Sequence[int]], device: torch.device) -> list[tuple[int, ...]]:
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    # "untyped" and "not callable": both by transformers' own annotations
    model.generation_config.update(  # type: ignore[no-untyped-call]
        do_sample=False, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS
    )
    whole = model.generate(ids, attention_mask=mask)  # type: ignore[operator]
    return [tuple(row) for row in whole[:, width:].tolist()]


def _log_probs(model: PreTrainedModel, batch: Batch) -> Tensor:
    ids = batch.inputs["input_ids"]
    gathers = head_is_all(model, tuple(ids[0, :1].tolist()), ids.device)
    return torch.log_softmax(target_logits(model, batch, gathers), dim=-1)
