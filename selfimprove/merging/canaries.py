"""KL divergence of a merged model, and of its parent, from the parent with the adapter on it, on a few prompts.

The parent with the adapter, unmerged, continues each canary prompt greedily by `NEW_TOKENS` tokens (the end of sequence
is suppressed, so that every prompt gives as many), which gives its probabilities as well. Two other models then score
the same tokens, teacher-forced: the parent as it is, and the merged model. Their rows are packed as in training where
the model allows it: the prompts' common head is computed once, and nothing is padded. Decoding and packed rows round
differently, by 1e-11 nats a token in the embedded model, far below any update that was measured. For each token

    KL(adapter ‖ merged)    what the merge lost or added
    KL(adapter ‖ parent)    what the adapter does, and so what a merge that lost everything would score

in nats; their ratio over the tokens gives the functional share that the certificate judges (`certificate.py`), and its
95% interval is a bootstrap over the tokens with a fixed seed. *Agreement* is the share of tokens at which adapter and
merged model have the same most likely token.

All three are computed in float32, whatever type the folders are stored in: the rounding of bfloat16 kernels is of the
order of 1e-3 nats, which would hide an update at a small learning rate. So this takes four bytes a weight; a GPU that
has less to spare leaves it to the processor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel

from selfimprove.merging.device import device_with
from selfimprove.models import load_model, processor
from selfimprove.models.gpus import has_float64
from selfimprove.models.weights import tensor_heads
from selfimprove.recipe import Runtime
from selfimprove.round.prefixes import Example
from selfimprove.store.rows import Kind
from selfimprove.training.loss import LossMethod, loss_method, pack, pad, row_ids, target_logits

NEW_TOKENS = 16

ROOM = 1.25
"""Free GPU memory that the comparison needs, as a multiple of the float32 weights."""

BOOTSTRAPS = 2000
"""Resamples of the tokens for the interval of the share."""


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """Mean divergences from the adapter in nats, the share of its effect that was kept, and its 95% interval."""

    kl: float
    kl_parent: float
    share: float
    low: float
    high: float
    agreement: float
    tokens: int


@torch.no_grad()
def compare(parent: Path, adapter: Path, merged: Path, canaries: Sequence[Sequence[int]], runtime: Runtime) -> Likeness:
    """The merged model compared with the parent with the adapter, on the canary prompts (token ids).

    One model is in memory at a time.
    """
    weights = sum(math.prod(head.shape) for head in tensor_heads(merged).values())
    device = device_with(runtime, int(ROOM * 4 * weights))
    with processor(runtime):
        continued, before = _adapter_side(parent, adapter, canaries, device, runtime.trust_remote_code)
        model = load_model(merged, torch.float32, runtime.trust_remote_code).to(device)  # type: ignore[arg-type]  # HF's typing
        after = log_probs(model, continued.examples, method_for(model, continued.examples))
    agreement = (continued.log_probs.argmax(-1) == after.argmax(-1)).double().mean().item()
    return likeness(divergence(continued.log_probs, after), divergence(continued.log_probs, before), agreement)


def likeness(merged: Sequence[float], parent: Sequence[float], agreement: float) -> Likeness:
    """The likeness from both models' divergences at each token; the share is 0 where the adapter does nothing."""
    kl, kl_parent = np.asarray(merged), np.asarray(parent)
    tokens = len(kl)
    draws = np.random.default_rng(0).multinomial(tokens, [1 / tokens] * tokens, BOOTSTRAPS)
    share, low, high = 0.0, 0.0, 0.0
    if kl_parent.any():
        drawn = draws @ kl_parent
        # A resample in which the adapter does nothing has nothing to keep.
        shares = np.where(drawn > 0, 1 - (draws @ kl) / np.where(drawn > 0, drawn, 1), 0.0)
        share = float(1 - kl.sum() / kl_parent.sum())
        low, high = (float(end) for end in np.quantile(shares, [0.025, 0.975]))
    return Likeness(
        kl=float(kl.mean()),
        kl_parent=float(kl_parent.mean()),
        share=share,
        low=low,
        high=high,
        agreement=agreement,
        tokens=tokens,
    )


def divergence(one: Tensor, other: Tensor) -> list[float]:
    """KL(one ‖ other) at each token, from log-probabilities [tokens, vocabulary]."""
    found: list[float] = (one.exp() * (one - other)).sum(-1).clamp(min=0).tolist()
    return found


@dataclass(frozen=True)
class Continued:
    """Prompts with their greedy continuations, sorted as `pack` takes them, and the log-probabilities at each token."""

    examples: list[Example]
    log_probs: Tensor


def _adapter_side(
    parent: Path,
    adapter: Path,
    canaries: Sequence[Sequence[int]],
    device: torch.device,
    trust_remote_code: bool,
) -> tuple[Continued, Tensor]:
    """The canaries as the adapter continues them, and the log-probabilities of those tokens without the adapter."""
    base = load_model(parent, torch.float32, trust_remote_code)
    adapted = PeftModel.from_pretrained(base, str(adapter))  # puts the factors into `base`
    adapted.to(device)
    continued = continue_greedily(base, canaries, device)
    with adapted.disable_adapter():
        return continued, log_probs(base, continued.examples, method_for(base, continued.examples))


def continue_greedily(model: PreTrainedModel, prompts: Sequence[Sequence[int]], device: torch.device) -> Continued:
    """Each prompt with the `NEW_TOKENS` tokens that the model decodes greedily, the end of sequence suppressed."""
    prompts = sorted(map(tuple, prompts))
    width = max(map(len, prompts))
    ids = torch.tensor([(0,) * (width - len(prompt)) + prompt for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    own = model.generation_config
    # The model's own settings, such as beams and penalties, are those of its chats. "untyped", "not callable": by their
    # own annotations.
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS,
        bos_token_id=own.bos_token_id,
        eos_token_id=own.eos_token_id,
        pad_token_id=own.pad_token_id,
    )
    found = model.generate(ids, attention_mask=mask, return_dict_in_generate=True, output_logits=True)  # type: ignore[operator]
    continuations = found.sequences[:, width:].tolist()
    rows = zip(prompts, continuations, strict=True)
    examples = [Example(str(at), 0, Kind.FULL, prompt, tuple(row)) for at, (prompt, row) in enumerate(rows)]
    return Continued(examples, _log_softmax(torch.stack(found.logits, 1).flatten(0, 1)))


def log_probs(model: PreTrainedModel, examples: Sequence[Example], method: LossMethod) -> Tensor:
    """Log-probabilities at the examples' targets, float64 [targets, vocabulary]; the examples sorted as for `pack`."""
    batch = (pack if method.packs else pad)(examples, model.device)
    return _log_softmax(target_logits(model, batch, method.head_alone))


def method_for(model: PreTrainedModel, examples: Sequence[Example]) -> LossMethod:
    """How the model scores the examples; sets its attention accordingly."""
    return loss_method(model, examples[0].prompt_ids[:8], max(len(row_ids(example)) for example in examples))


def _log_softmax(logits: Tensor) -> Tensor:
    return torch.log_softmax((logits if has_float64(logits.device) else logits.cpu()).double(), dim=-1)
