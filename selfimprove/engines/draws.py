"""The next token of each row from its logits: greedy, or by min-p, top-k, top-p and one uniform number a row.

Every row has uniform numbers of its own (`uniforms`), so its draws don't depend on its neighbours. The vocabulary is
searched in blocks of `BLOCK` ids. The likeliest token is in the block with the largest maximum, the k likeliest are in
the k blocks with the largest maxima, and a draw chooses first a block, by the blocks' masses, and then a token of it.
Measured for 64 rows and 49,152 ids on one core: argmax 11.4 ms, by blocks 0.9; topk(50) 5.8 ms, by blocks 1.4; the
cumulative probabilities of the whole vocabulary 10 ms, by blocks 2.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from selfimprove.sampling import DrawRule, Request

BLOCK = 64
ROWS = 8
"""Rows drawn at a time: their probabilities stay in a core's own cache, and the allocator reuses their memory."""

NUCLEUS = 256
"""How many of the likeliest tokens are searched for the top-p mass before the whole vocabulary is sorted."""


class Repetition:
    """Which ids each row of a batch has in its prompt or completion, and the penalty on their logits.

    With a penalty of 1 nothing is kept and nothing computed.
    """

    def __init__(self, penalty: float) -> None:
        self._penalty = penalty
        self._seen: torch.Tensor | None = None

    def enter(self, prompts: Sequence[Sequence[int]], logits: torch.Tensor) -> None:
        """Append rows with these prompts to the batch; `logits` are those after the prompts."""
        if self._penalty == 1:
            return
        entering = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
        for row, prompt in zip(entering, prompts, strict=True):
            row[torch.tensor(prompt, device=logits.device)] = True
        self._seen = entering if self._seen is None else torch.cat([self._seen, entering])

    def penalized(self, logits: torch.Tensor) -> torch.Tensor:
        """The logits (rows, vocabulary) with those of ids seen divided by the penalty, or multiplied if negative."""
        if self._seen is None:
            return logits
        logits = logits.float()
        lowered = torch.where(logits < 0, logits * self._penalty, logits / self._penalty)
        return torch.where(self._seen, lowered, logits)

    def append(self, tokens: torch.Tensor) -> None:
        """Each row's next token (rows,)."""
        if self._seen is not None:
            self._seen.scatter_(1, tokens[:, None], True)

    def keep(self, order: Sequence[int]) -> None:
        """Reorder the rows as `decoding.Decoder.keep` does."""
        if self._seen is not None:
            self._seen = self._seen[list(order)]


def uniforms(request: Request) -> torch.Tensor:
    """Uniform numbers in [0, 1), float64, one for each token of the request; they depend on its seed alone."""
    generator = torch.Generator().manual_seed(request.seed)
    return torch.rand(request.max_new_tokens, generator=generator, dtype=torch.float64)


def draw(logits: torch.Tensor, rule: DrawRule, uniform: torch.Tensor) -> torch.Tensor:
    """The next token of each row (rows,) from `logits` (rows, vocabulary) and `uniform` numbers (rows,) in [0, 1).

    Temperature 0 takes the most likely token, the first of equals. Else: temperature, then min-p, then top-k, then
    top-p on what is left (the smallest set of most likely tokens whose mass reaches p), then the inverse of the
    cumulative distribution. That is vLLM's order. The repetition penalty has been applied before (`Repetition`).
    """
    if rule.temperature == 0:
        blocks = _in_blocks(logits)
        block = blocks.amax(dim=-1).argmax(dim=-1)
        return block * BLOCK + _block(blocks, block).argmax(dim=-1)
    parts = zip(torch.split(logits, ROWS), torch.split(uniform.double(), ROWS), strict=True)
    return torch.cat([_draw_rows(part, rule, numbers) for part, numbers in parts])


def _draw_rows(logits: torch.Tensor, rule: DrawRule, uniform: torch.Tensor) -> torch.Tensor:
    blocks = _in_blocks(logits)
    if rule.top_k:
        kept, ids = _top(blocks, rule.top_k)
        kept = drop_unlikely(kept.float() / rule.temperature, rule.min_p)
        return _draw_top_p(kept, ids, torch.logsumexp(kept, -1), rule.top_p, uniform)
    scaled = blocks.float().div_(rule.temperature)
    if rule.min_p:
        scaled = drop_unlikely(scaled.flatten(1), rule.min_p).view_as(scaled)
    if rule.top_p >= 1:
        return _draw_unbounded(scaled, uniform)
    return _draw_nucleus(scaled, rule.top_p, uniform)


def drop_unlikely(scaled: torch.Tensor, min_p: float) -> torch.Tensor:
    """The logits (rows, ids) with -inf for ids whose probability is below `min_p` times that of the likeliest."""
    if not min_p:
        return scaled
    return scaled.masked_fill(scaled < scaled.amax(dim=-1, keepdim=True) + math.log(min_p), -torch.inf)


def _draw_top_p(
    kept: torch.Tensor, ids: torch.Tensor, normalizer: torch.Tensor, top_p: float, uniform: torch.Tensor
) -> torch.Tensor:
    """Draw within the top-p mass of `ids`, whose logits `kept` descend; exp(logit - normalizer) is a probability."""
    probabilities = (kept - normalizer[:, None]).exp().double()
    mass_before = probabilities.cumsum(dim=-1) - probabilities
    column = _invert(probabilities.masked_fill(mass_before >= top_p, 0.0), uniform)
    return ids.gather(1, column[:, None])[:, 0]


def _draw_nucleus(scaled: torch.Tensor, top_p: float, uniform: torch.Tensor) -> torch.Tensor:
    """Draw within the top-p mass of the whole vocabulary."""
    normalizer = torch.logsumexp(scaled.flatten(1), dim=-1)
    kept, ids = _top(scaled, NUCLEUS)
    drawn = _draw_top_p(kept, ids, normalizer, top_p, uniform)
    wide = (kept - normalizer[:, None]).exp().double().sum(dim=-1) < top_p
    if bool(wide.any()):
        kept, ids = scaled[wide].flatten(1).sort(dim=-1, descending=True)
        drawn[wide] = _draw_top_p(kept, ids, normalizer[wide], top_p, uniform[wide])
    return drawn


def _in_blocks(logits: torch.Tensor) -> torch.Tensor:
    """The logits as (rows, blocks, BLOCK), the last block padded with -inf."""
    short = -logits.shape[-1] % BLOCK
    filled = torch.nn.functional.pad(logits, (0, short), value=-torch.inf) if short else logits
    return filled.view(logits.shape[0], -1, BLOCK)


def _top(blocks: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The `count` largest logits of each row, in falling order, and their ids."""
    found = blocks.amax(dim=-1).topk(min(count, blocks.shape[1]), dim=-1).indices.sort(dim=-1).values
    candidates = blocks.gather(1, found[..., None].expand(-1, -1, BLOCK)).flatten(1)
    kept, places = candidates.topk(min(count, candidates.shape[1]), dim=-1)
    return kept, found.gather(1, places // BLOCK) * BLOCK + places % BLOCK


def _draw_unbounded(scaled: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    weights = (scaled - scaled.amax(dim=(1, 2), keepdim=True)).exp_()
    sums = weights.sum(dim=-1).double()
    block = _invert(sums, uniform)
    end = sums.cumsum(dim=-1).gather(1, block[:, None])[:, 0]
    within = _block(weights, block).double()
    share = (uniform * sums.sum(dim=-1) - end) / sums.gather(1, block[:, None])[:, 0] + 1
    return block * BLOCK + _invert(within, share)


def _block(blocks: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    return blocks.gather(1, chosen[:, None, None].expand(-1, 1, BLOCK))[:, 0]


def _invert(weights: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """The inverse cumulative distribution of unnormalized `weights` (rows, columns) at `uniform`: a column (rows,).

    A column of weight 0 is never taken; where rounding puts `uniform` at or beyond the end, the last other one is.
    """
    cumulative = weights.cumsum(dim=-1)
    total = cumulative[:, -1:].contiguous()
    last = torch.searchsorted(cumulative, total)
    place = torch.searchsorted(cumulative, uniform[:, None] * total, right=True)
    return torch.minimum(place, last)[:, 0]
