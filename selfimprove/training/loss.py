"""The negative log-likelihood of target tokens, computed where targets are predicted and nowhere else.

The decoder's body runs on the padded rows, the hidden states that predict targets are gathered, and only those pass
through the output head: with prompts of 100 tokens and prefixes of 8 that leaves out nine tenths of the largest matrix
product. (`logits_to_keep` of transformers keeps the same positions in every row, which rows of different length don't
have.) Models that do more to their logits than apply the head, by scaling or soft caps, are found by comparing both
ways on a few tokens (`head_is_all`); for those the model's own forward is used.

Rows are padded on the right and the mask is made from lengths. The id that pads may be any, the end of sequence
included: no mask is derived from ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from selfimprove.prefixes import Example


@dataclass(frozen=True)
class Batch:
    """Padded rows [rows, width] and, one for each target token: where it is predicted, the token, its weight."""

    ids: Tensor
    mask: Tensor
    rows: Tensor
    columns: Tensor
    targets: Tensor
    weights: Tensor


def pad(examples: Sequence[Example], device: torch.device) -> Batch:
    """The examples as one batch: inputs are prompt and targets but the last, which predicts nothing."""
    inputs = [(*e.prompt_ids, *e.target_ids[:-1]) for e in examples]
    width = max(map(len, inputs))
    targets = [
        (row, len(e.prompt_ids) - 1 + at, token, e.weight / len(e.target_ids))
        for row, e in enumerate(examples)
        for at, token in enumerate(e.target_ids)
    ]
    row, column, token, weight = zip(*targets, strict=True)
    return Batch(
        ids=torch.tensor([ids + (0,) * (width - len(ids)) for ids in inputs], device=device),
        mask=torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in inputs], device=device),
        rows=torch.tensor(row, device=device),
        columns=torch.tensor(column, device=device),
        targets=torch.tensor(token, device=device),
        weights=torch.tensor(weight, dtype=torch.float32, device=device),
    )


@torch.no_grad()
def head_is_all(model: PreTrainedModel, ids: tuple[int, ...], device: torch.device) -> bool:
    """Whether the model's logits are its output head on the body's hidden states, and nothing else."""
    batch = torch.tensor([ids], device=device)
    hidden = _body(model)(input_ids=batch, use_cache=False).last_hidden_state
    whole = model(input_ids=batch, use_cache=False).logits
    return torch.allclose(_head(model)(hidden).float(), whole.float(), rtol=1e-3, atol=1e-3)


def target_losses(model: PreTrainedModel, batch: Batch, gathers: bool) -> Tensor:
    """Negative log-likelihood of each target in nats, float32 [targets]; `gathers` if the head is all there is."""
    return nn.functional.cross_entropy(target_logits(model, batch, gathers), batch.targets, reduction="none")


def target_logits(model: PreTrainedModel, batch: Batch, gathers: bool) -> Tensor:
    """Logits at the positions that predict targets, float32 [targets, vocabulary]."""
    if gathers:
        hidden = _body(model)(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False).last_hidden_state
        logits: Tensor = _head(model)(hidden[batch.rows, batch.columns])
    else:
        logits = model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False).logits[
            batch.rows, batch.columns
        ]
    return logits.float()


def _body(model: PreTrainedModel) -> nn.Module:
    body: nn.Module = model.get_decoder()  # type: ignore[no-untyped-call]  # untyped in transformers
    return body


def _head(model: PreTrainedModel) -> nn.Module:
    head: nn.Module = model.get_output_embeddings()  # type: ignore[no-untyped-call]  # untyped in transformers
    return head
