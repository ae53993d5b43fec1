"""Attention over rows packed as branches of a tree, registered with transformers as an attention implementation.

`_Spread` scatters the packed q, k and v into padded buckets of rows; its backward pass sums a token's gradients over
the rows that share it: one gather, and one sum for each shared run of tokens, in a fixed order (on a GPU, one for all
of them). `_Collect` gathers the packed tokens from the padded result. In between is torch's own
`scaled_dot_product_attention`, or `_DenseAttention` for short rows on a processor.

*Which models.* Any model whose attention implementation can be chosen runs it, but a layer that mixes tokens by other
means (recurrence, convolution, a window or chunk narrower than the rows) would mix rows. `branches_hold` finds out: no
such width or kind of layer in the decoder's configuration, and packed behind a row that it branches from, a row has the
hidden states that it has alone, and not a bit of them changes with that other row. (Mixtures of experts may fail this,
rightly or not: which tokens are routed together changes the rounding.) Other models take padded rows (`loss.py`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedConfig, PreTrainedModel

from selfimprove.training.branches import Branches, Bucket, Ids, grow

ATTENTION = "selfimprove_branches"
_WIDTHS = ("sliding_window", "attention_chunk_size")
"""Keys of configurations that bound how far a token attends."""
_NARROW_KINDS = frozenset({"sliding_attention", "chunked_attention"})
"""Kinds of layers that are bounded by one of these widths."""
_KINDS = frozenset({"full_attention", "attention"}) | _NARROW_KINDS
"""Kinds of layers (`layer_types` of configurations) whose tokens are mixed by attention alone."""

_FEW_KEYS = 512
"""Up to this many keys a row, `_DenseAttention` is faster on a processor, and its matrices are small."""

_UNSUPPORTED = ("attn_logit_softcapping",)
"""Keys of configurations whose attention does more than `_attend`."""

_TOLERANCE = {torch.bfloat16: 0.1, torch.float32: 1e-3}
"""Relative difference of last hidden states that rounding explains: 0.022 and 1e-6 in the 30 layers of the embedded
model. It only has to catch another kind of attention: a row that sees another one is caught by a changed bit."""


class _Spread(torch.autograd.Function):
    """Packed [tokens, width] to places [places, width]; backward sums a token's gradients over its rows."""

    @staticmethod
    def forward(ctx: Any, packed: Tensor, branches: Branches, keys: bool) -> Tensor:  # noqa: ANN401 - torch's context
        ctx.branches, ctx.keys = branches, keys
        return packed.index_select(0, branches.keys if keys else branches.queries)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401 - torch's context
        branches: Branches = ctx.branches
        if not ctx.keys:
            return gradient.index_select(0, branches.query_places), None, None
        packed = gradient.index_select(0, branches.key_places)
        if branches.added is not None:
            places, tokens = branches.added
            # In float32, since each is added, and rounded, by itself.
            packed = packed.float().index_add_(0, tokens, gradient.index_select(0, places).float()).to(packed.dtype)
            return packed, None, None
        padded = _split(gradient, branches, keys=True)
        for part in branches.sums:
            packed[part.tokens] += padded[part.bucket][part.rows, part.places].sum(0)
        return packed, None, None


class _Collect(torch.autograd.Function):
    """Query places [places, width] to packed [tokens, width]; padding gets a gradient of 0."""

    @staticmethod
    def forward(ctx: Any, places: Tensor, branches: Branches) -> Tensor:  # noqa: ANN401 - torch's context
        ctx.branches = branches
        return places.index_select(0, branches.query_places)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - torch's context
        branches: Branches = ctx.branches
        return gradient.index_select(0, branches.queries).index_fill_(0, branches.padding, 0), None


def _split(places: Tensor, branches: Branches, keys: bool) -> list[Tensor]:
    """[places, width] as a tensor [rows, queries or keys, width] for each bucket."""
    parts, at = [], 0
    for bucket in branches.buckets:
        each = bucket.keys if keys else bucket.queries
        end = at + len(bucket.members) * each
        parts.append(places[at:end].view(-1, each, places.shape[1]))
        at = end
    return parts


class _DenseAttention(torch.autograd.Function):
    """Masked attention with the matrix of weights materialized; arguments are [rows, heads, places, width].

    The weights are saved for backward in the type of the values: on a processor and at a few hundred keys that is three
    times as fast as torch's own, which never materializes them. Query heads that share keys are one product.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, visible: Tensor, scale: float) -> Tensor:  # noqa: ANN401 - torch's context
        grouped = _group_heads(query.mul(scale), key.shape[1])
        scores = (grouped @ key.transpose(2, 3)).view(*query.shape[:3], -1).masked_fill_(~visible, float("-inf"))
        weights = torch.softmax(scores, -1, dtype=torch.float32).to(value.dtype).view(*grouped.shape[:3], -1)
        ctx.save_for_backward(grouped, key, value, weights)
        ctx.scale, ctx.shape = scale, query.shape
        return _ungroup_heads(weights @ value, query.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:  # noqa: ANN401 - torch's context
        grouped, key, value, weights = ctx.saved_tensors
        gradient = _group_heads(gradient, key.shape[1])
        of_weights = (gradient @ value.transpose(2, 3)).float()
        of_scores = torch._softmax_backward_data(of_weights, weights.float(), -1, torch.float32).to(key.dtype)
        of_query = _ungroup_heads((of_scores @ key).mul_(ctx.scale), ctx.shape)
        return of_query, of_scores.transpose(2, 3) @ grouped, weights.transpose(2, 3) @ gradient, None, None


def _group_heads(states: Tensor, groups: int) -> Tensor:
    """[rows, heads, places, width] as [rows, groups, heads of a group * places, width]."""
    return states.reshape(states.shape[0], groups, -1, states.shape[3])


def _ungroup_heads(states: Tensor, shape: torch.Size) -> Tensor:
    """The inverse of `_group_heads` for states of this shape, whose last dimension may have changed."""
    return states.view(*shape[:3], -1)


class BranchesLost(Exception):  # noqa: N818 - what happens, and caught where rows are tried
    """The model doesn't pass on to its attention what its forward pass was called with."""


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **others: Any,  # noqa: ANN401 - what models pass to their attention; `branches` is ours
) -> tuple[Tensor, None]:
    """Attention output [1, tokens, heads, width] of packed queries, keys and values [1, heads, tokens, width]."""
    if "branches" not in others:
        raise BranchesLost
    branches: Branches = others["branches"]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    spread = [_spread(part, branches, keys) for part, keys in ((query, False), (key, True), (value, True))]
    rows = [
        _attend_bucket(q, k, v, bucket, scale, dropout).transpose(1, 2).flatten(0, 1).flatten(1)
        for q, k, v, bucket in zip(*spread, branches.buckets, strict=True)
    ]
    packed: Tensor = _Collect.apply(torch.cat(rows) if len(rows) > 1 else rows[0], branches)  # type: ignore[no-untyped-call]  # torch
    return packed.view(1, packed.shape[0], -1, value.shape[-1]), None


def _attend_bucket(query: Tensor, key: Tensor, value: Tensor, bucket: Bucket, scale: float, dropout: float) -> Tensor:
    if query.device.type == "cpu" and bucket.keys <= _FEW_KEYS and not dropout:
        mixed: Tensor = _DenseAttention.apply(query, key, value, bucket.visible, scale)  # type: ignore[no-untyped-call]  # torch
        return mixed
    groups = query.shape[1] // key.shape[1]  # copied: under a mask, CUDA's fast kernels don't take heads that share
    key, value = (part.repeat_interleave(groups, 1) for part in (key, value))
    return nn.functional.scaled_dot_product_attention(query, key, value, bucket.visible, dropout, scale=scale)


def _spread(states: Tensor, branches: Branches, keys: bool) -> list[Tensor]:
    """[1, heads, tokens, width] as one [rows, heads, queries or keys, width] for each bucket."""
    packed = states[0].transpose(0, 1).flatten(1)
    places: Tensor = _Spread.apply(packed, branches, keys)  # type: ignore[no-untyped-call]  # torch
    shape = (states.shape[1], states.shape[3])
    return [part.view(*part.shape[:2], *shape).transpose(1, 2) for part in _split(places, branches, keys)]


AttentionInterface.register(ATTENTION, _attend)


def narrowest_window(model: PreTrainedModel) -> int | None:
    """The fewest tokens that a layer of the model's decoder attends to, by its configuration; None without a bound."""
    config = _decoder_config(model)
    return min((width for name in _WIDTHS if (width := getattr(config, name, None))), default=None)


def packing_obstacle(model: PreTrainedModel) -> str:
    """Why no rows can be packed for the model, by its class and configuration; empty if nothing there says so."""
    config = _decoder_config(model)
    kinds = set(getattr(config, "layer_types", None) or ())
    if not model._can_set_attn_implementation():
        return "its attention can't be replaced"
    if caps := [name for name in _UNSUPPORTED if getattr(config, name, None)]:
        return f"its attention has {caps[0]}"
    if foreign := sorted(kinds - _KINDS):
        return f"it has layers of {foreign[0]}"
    if kinds & _NARROW_KINDS and not narrowest_window(model):
        return f"it has layers of {min(kinds & _NARROW_KINDS)} of unknown width"
    return ""


def _decoder_config(model: PreTrainedModel) -> PreTrainedConfig:
    """The configuration of the model's decoder: of a composite model that of its language model."""
    return model.config.get_text_config(decoder=True)


@torch.no_grad()
def branches_hold(model: PreTrainedModel, ids: Ids, longest: int, device: torch.device) -> bool:
    """Whether rows of up to `longest` ids may be packed for the model; if so, its attention is set to take branches."""
    window = narrowest_window(model)
    if packing_obstacle(model) or (window and window < longest):
        return False
    head = (ids * 4)[:4]
    first, second, other = ((*head, step, *head[::-1], step) for step in (1, 2, 3))
    body = model.get_decoder()  # type: ignore[no-untyped-call]  # untyped in transformers
    if body is model:  # of Llama 4: it has no hidden states to compare
        return False
    alone = body(torch.tensor([second], device=device), use_cache=False).last_hidden_state[0]
    before = model.config._attn_implementation
    model.set_attn_implementation(ATTENTION)
    states = []
    try:
        for rows in ([first, second], [(*first[:-1], other[-1]), second]):
            tree = grow(rows, device)
            packed = body(tree.ids, position_ids=tree.positions, use_cache=False, branches=tree).last_hidden_state[0]
            states.append(packed[list(tree.paths[1])])
    except BranchesLost:
        model.set_attn_implementation(before)
        return False
    close = _TOLERANCE.get(alone.dtype, 1e-3)
    if torch.equal(*states) and (states[0] - alone).float().norm() <= close * alone.float().norm():
        return True
    model.set_attn_implementation(before)
    return False
