"""The decoder over a `Llama`: prefill and decode steps of a batch of rows, with their KV cache.

- *Attention of a decode step* is compiled C (`native`) where that is to be had; else two batched products up to the
  longest row, the query heads of a group side by side: 1.6 ms a layer at 64 rows of 192 tokens of the embedded model,
  on one core, where `scaled_dot_product_attention` takes 2.8 ms, and with `enable_gqa` 11 ms.
- *Attention of a prefill* is computed span by span; everything else in it runs on packed tokens.
- *Common prefixes of prompts* are computed once and copied (`prefill`); equal prompts are computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch.nn import functional

from selfimprove.engines.cache import KVCache
from selfimprove.engines.llama import Attend, Llama
from selfimprove.engines.native import Attention
from selfimprove.engines.prefill import Prompt, Span, plan_prefill

PREFILL_TOKENS = 2048
"""Most prompt tokens in one forward pass, unless a single span has more; bounds the memory of a prefill."""


class LlamaDecoder:
    """A batch of at most `slots` rows of at most `capacity` tokens on `llama`; see `decoding.Decoder`."""

    refills = True

    def __init__(self, llama: Llama, slots: int, capacity: int, attention: Attention | None = None) -> None:
        self._llama = llama
        self._attention = attention
        self._cache = KVCache(llama.cache_shape, slots, capacity, llama.device)
        self._cosine, self._sine = llama.angles(capacity)
        self._lengths: list[int] = []

    def prefill(self, prompts: Sequence[Prompt]) -> torch.Tensor:
        """Append rows with these prompts to the batch; logits (prompts, vocabulary) of their first new tokens."""
        first = len(self._lengths)
        self._lengths += [len(prompt) for prompt in prompts]
        distinct = sorted(set(prompts))
        slots = [first + prompts.index(prompt) for prompt in distinct]
        ends = [self._run_pass(spans, distinct, slots) for spans in plan_prefill(distinct)][-1]
        logits = self._llama.logits(ends)
        for number, prompt in enumerate(prompts, first):
            source = first + prompts.index(prompt)
            if source != number:
                self._cache.copy(source, number, len(prompt))
        return logits[[distinct.index(prompt) for prompt in prompts]]

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append one token (rows,) to each row; logits (rows, vocabulary) of the next."""
        positions = torch.tensor(self._lengths, device=tokens.device)
        self._lengths = [length + 1 for length in self._lengths]
        attend = self._compiled(positions, self._attention) if self._attention else self._batched(positions)
        return self._llama.logits(self._llama.hidden(tokens, (self._cosine[positions], self._sine[positions]), attend))

    def keep(self, order: Sequence[int]) -> None:
        """Reorder the batch: row i becomes the former row `order[i]`; rows that `order` lacks are dropped."""
        for target, source in enumerate(order):
            if source != target:
                self._cache.copy(source, target, self._lengths[source])
        self._lengths = [self._lengths[source] for source in order]

    def _compiled(self, positions: torch.Tensor, attention: Attention) -> Attend:
        def attend(layer: int, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
            return attention(positions, queries, keys, values, self._cache.keys[layer], self._cache.values[layer])

        return attend

    def _batched(self, positions: torch.Tensor) -> Attend:
        tokens, count = int(positions.max()) + 1, len(positions) * self._llama.groups
        beyond = torch.arange(tokens, device=positions.device) > positions[:, None]
        mask = torch.zeros(beyond.shape, device=positions.device).masked_fill_(beyond, -torch.inf)
        mask = mask.repeat_interleave(self._llama.groups, dim=0)[:, None]
        places = (torch.arange(len(positions), device=positions.device), positions)

        def attend(layer: int, queries: torch.Tensor, *new: torch.Tensor) -> torch.Tensor:
            self._cache.write(layer, places, *new)
            keys = self._cache.keys[layer].flatten(0, 1)[:count, :tokens]
            values = self._cache.values[layer].flatten(0, 1)[:count, :tokens]
            grouped = queries.reshape(count, -1, self._llama.width)
            scores = torch.add(mask, torch.bmm(grouped, keys.transpose(1, 2)), alpha=self._llama.width**-0.5)
            return torch.bmm(scores.softmax(dim=-1).to(values.dtype), values)

        return attend

    def _run_pass(self, spans: Sequence[Span], prompts: Sequence[Prompt], slots: Sequence[int]) -> torch.Tensor:
        """Fill the cache with these spans; the hidden state of each span's last token (spans, hidden)."""
        ends = [self._forward(part, prompts, slots) for part in _parts(spans)]
        for span in spans:
            for other in span.others:
                self._cache.copy(slots[span.prompt], slots[other], span.end)
        return torch.cat(ends)

    def _forward(self, spans: Sequence[Span], prompts: Sequence[Prompt], slots: Sequence[int]) -> torch.Tensor:
        """The hidden state of each span's last token (spans, hidden), from one forward pass over the packed spans."""
        device, sizes = self._llama.device, [span.end - span.start for span in spans]
        tokens = [token for span in spans for token in prompts[span.prompt][span.start : span.end]]
        positions = torch.cat([torch.arange(span.start, span.end, device=device) for span in spans])
        places = torch.tensor([slots[span.prompt] for span in spans]).repeat_interleave(torch.tensor(sizes)).to(device)
        masks = [self._causal_mask(span) for span in spans]

        def attend(layer: int, queries: torch.Tensor, *new: torch.Tensor) -> torch.Tensor:
            self._cache.write(layer, (places, positions), *new)
            parts = zip(spans, masks, torch.split(queries, sizes), strict=True)
            return torch.cat([self._attend(layer, slots[span.prompt], mask, part) for span, mask, part in parts])

        ids = torch.tensor(tokens, device=device)
        hidden = self._llama.hidden(ids, (self._cosine[positions], self._sine[positions]), attend)
        return hidden[[end - 1 for end in accumulate(sizes)]]

    def _causal_mask(self, span: Span) -> torch.Tensor:
        """What is added to a span's attention scores (query heads of a group * its tokens, tokens up to its end)."""
        shape = (span.end - span.start, span.end)
        mask = torch.full(shape, -torch.inf, dtype=self._llama.dtype, device=self._llama.device).triu_(span.start + 1)
        return mask.repeat(self._llama.share, 1)

    def _attend(self, layer: int, slot: int, mask: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        end = mask.shape[1]
        keys, values = self._cache.keys[layer, slot, None, :, :end], self._cache.values[layer, slot, None, :, :end]
        grouped = queries.transpose(0, 1).reshape(1, self._llama.groups, -1, self._llama.width)
        found = functional.scaled_dot_product_attention(grouped, keys, values, attn_mask=mask)
        return found.view(self._llama.heads, -1, self._llama.width).transpose(0, 1)


def _parts(spans: Sequence[Span]) -> list[list[Span]]:
    """The spans in runs of at most `PREFILL_TOKENS` tokens."""
    parts: list[list[Span]] = []
    room = 0
    for span in spans:
        room -= span.end - span.start
        if not parts or room < 0:
            parts.append([])
            room = PREFILL_TOKENS - (span.end - span.start)
        parts[-1].append(span)
    return parts
