"""The loss of target tokens, computed where targets are predicted and nowhere else.

It is their negative log-likelihood, and of a wrong row their probability, which is bounded: pushing a wrong answer down
never pays more than the row's weight (arXiv 2601.09253, 2506.01347).

The decoder's body runs on the rows, packed as branches of a tree (`branches.py`) or, for models that don't allow it,
padded on the right; the hidden states that predict targets are gathered, and only those pass through the output head.
With prompts of 70 tokens and prefixes of 8 that leaves out nine tenths of the largest matrix product.

The head is frozen, so its loss is computed with its gradient, some targets at a time (`_HeadLoss`): logits of all
targets are never held, which for 4,000 targets and a vocabulary of 150,000 would be 2.4 GB in float32, several times.
How many at a time is chosen by the free memory (`sizes.py`): each time reads the whole matrix of the head twice.

Models that do more to their logits than apply the head, by scaling or soft caps, are found by comparing both ways on a
few tokens (`head_is_all`); for those the model's own forward is used.

No mask is derived from ids: the id that pads may be any, the end of sequence included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from selfimprove.models.gpus import runs_packed
from selfimprove.round.prefixes import Example
from selfimprove.store.rows import Kind
from selfimprove.training.attention import branches_hold
from selfimprove.training.branches import Branches, Ids, grow


@dataclass(frozen=True)
class LossMethod:
    """How a model's losses may be computed: rows packed as branches or padded; by the output head alone or not."""

    packs: bool
    head_alone: bool


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Token ids and what else the model is called with; of each target its position in the output, id and weight.

    `wrong` says of each target whether its probability is the loss, and not its negative log-likelihood.
    """

    ids: Tensor
    others: dict[str, Tensor | Branches]
    places: Tensor
    targets: Tensor
    weights: Tensor
    wrong: Tensor


def row_ids(example: Example) -> Ids:
    """The ids that the model reads of an example: prompt and targets but the last, which predicts nothing."""
    return (*example.prompt_ids, *example.target_ids[:-1])


def pack(examples: Sequence[Example], device: torch.device) -> Batch:
    """The examples as branches of one tree; they must be sorted by `row_ids`."""
    tree = grow([row_ids(example) for example in examples], device)
    places = [path[len(e.prompt_ids) - 1 :] for path, e in zip(tree.paths, examples, strict=True)]
    return _batch(tree.ids, {"position_ids": tree.positions, "branches": tree}, places, examples)


def pad(examples: Sequence[Example], device: torch.device) -> Batch:
    """The examples as rows padded on the right."""
    inputs = [row_ids(example) for example in examples]
    width = max(map(len, inputs))
    ids = torch.tensor([row + (0,) * (width - len(row)) for row in inputs], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in inputs], device=device)
    places = [
        range(row * width + len(e.prompt_ids) - 1, row * width + len(inputs[row])) for row, e in enumerate(examples)
    ]
    return _batch(ids, {"attention_mask": mask}, places, examples)


def _batch(
    ids: Tensor, others: dict[str, Tensor | Branches], places: Sequence[Sequence[int]], examples: Sequence[Example]
) -> Batch:
    weights, device = [e.weight / len(e.target_ids) for e in examples for _ in e.target_ids], ids.device
    wrong = [e.kind == Kind.WRONG for e in examples for _ in e.target_ids]
    return Batch(
        ids=ids,
        others=others,
        places=torch.tensor([place for row in places for place in row], device=device),
        targets=torch.tensor([token for e in examples for token in e.target_ids], device=device),
        weights=torch.tensor(weights, dtype=torch.float32, device=device),
        wrong=torch.tensor(wrong, device=device),
    )


def loss_method(model: PreTrainedModel, ids: Ids, longest: int) -> LossMethod:
    """How this model's losses may be computed, tried on a few tokens; where rows are packed, its attention is set."""
    head_alone = head_is_all(model, ids, model.device)
    packs = runs_packed(model.device) and branches_hold(model, ids, longest, model.device)
    return LossMethod(packs=packs, head_alone=head_alone)


@torch.no_grad()
def head_is_all(model: PreTrainedModel, ids: Ids, device: torch.device) -> bool:
    """Whether the model's logits are its output head on the decoder's hidden states, and nothing else."""
    batch = torch.tensor([ids], device=device)
    hidden = getattr(_body(model)(input_ids=batch, use_cache=False), "last_hidden_state", None)
    if hidden is None:  # of Llama 4, whose decoder is the whole model
        return False
    whole = model(input_ids=batch, use_cache=False).logits
    head = _head(model)
    return type(head) is nn.Linear and torch.allclose(head(hidden).float(), whole.float(), rtol=1e-3, atol=1e-3)


def weighted_loss(model: PreTrainedModel, batch: Batch, head_alone: bool, at_once: int = 256) -> Tensor:
    """The sum of weight times loss over the batch's targets, float32: negative log-likelihoods in nats, probabilities.

    With `head_alone` no more than `at_once` targets pass through the output head together. The sum is no product of
    matrices, which autocast would round to bfloat16.
    """
    if head_alone:
        states = _target_states(model, batch)
        loss: Tensor = _HeadLoss.apply(states, _head(model), batch, at_once)  # type: ignore[no-untyped-call]  # torch
        return loss
    surprise = surprises(model, batch, False)
    return (torch.where(batch.wrong, torch.exp(-surprise), surprise) * batch.weights).sum()


def surprises(model: PreTrainedModel, batch: Batch, head_alone: bool, at_once: int = 256) -> Tensor:
    """The negative log-likelihood of each target in nats, float32 [targets]; arguments as in `weighted_loss`."""
    if not head_alone:
        return nn.functional.cross_entropy(target_logits(model, batch, False), batch.targets, reduction="none")
    head, states = _head(model), _target_states(model, batch)
    parts = zip(torch.split(states, at_once), torch.split(batch.targets, at_once), strict=True)
    return torch.cat([nn.functional.cross_entropy(head(part).float(), ids, reduction="none") for part, ids in parts])


def target_logits(model: PreTrainedModel, batch: Batch, head_alone: bool) -> Tensor:
    """Logits of the targets, float32 [targets, vocabulary]; `head_alone` as `head_is_all` says of the model."""
    if head_alone:
        logits: Tensor = _head(model)(_target_states(model, batch))
    else:
        logits = model(input_ids=batch.ids, **batch.others, use_cache=False).logits.flatten(0, 1)[batch.places]
    return logits.float()


def _target_states(model: PreTrainedModel, batch: Batch) -> Tensor:
    states: Tensor = _body(model)(input_ids=batch.ids, **batch.others, use_cache=False).last_hidden_state
    return states.flatten(0, 1)[batch.places]


class _HeadLoss(torch.autograd.Function):
    """The weighted loss of a batch's targets under a frozen head; the forward pass computes its gradient too.

    That of a logit is w·(q - 1) for the target and w·q for the others, q their probability; of a wrong target, times
    minus its probability. So no gradient of a wrong row is larger than its weight, and it vanishes as q does.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context
        hidden: Tensor,
        head: nn.Linear,
        batch: Batch,
        at_once: int,
    ) -> Tensor:
        total = torch.zeros((), device=hidden.device)
        gradients = []
        for at in range(0, len(batch.targets), at_once):
            states, wanted, shares, wrong = (
                part[at : at + at_once] for part in (hidden, batch.targets, batch.weights, batch.wrong)
            )
            logits = nn.functional.linear(states.to(head.weight.dtype), head.weight, head.bias).float()
            norm = logits.logsumexp(-1, keepdim=True)
            surprise = (norm - logits.gather(1, wanted[:, None]))[:, 0]
            likely = torch.exp(-surprise)
            total += (shares * torch.where(wrong, likely, surprise)).sum()
            shares = torch.where(wrong, -likely * shares, shares)
            share = logits.sub_(norm).exp_().mul_(shares[:, None])
            share[torch.arange(len(wanted), device=wanted.device), wanted] -= shares
            gradients.append(share.to(head.weight.dtype) @ head.weight)
        ctx.save_for_backward(torch.cat(gradients).to(hidden.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401 - torch's context
        (towards,) = ctx.saved_tensors
        return towards * gradient.to(towards.dtype), None, None, None


def _body(model: PreTrainedModel) -> nn.Module:
    body: nn.Module = model.get_decoder()  # type: ignore[no-untyped-call]  # untyped in transformers
    return body


def _head(model: PreTrainedModel) -> nn.Module:
    head: nn.Module = model.get_output_embeddings()  # type: ignore[no-untyped-call]  # untyped in transformers
    return head
