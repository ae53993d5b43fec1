"""Rows running on a `Llama`: prefill and steps over slots of keys and values.

- *A step's attention* is compiled C (`native`) where that is to be had; else two batched products up to the longest
  row, the heads of a group side by side: 1.6 ms a layer at 64 rows of 192 tokens of the embedded model, on one core,
  where `scaled_dot_product_attention` takes 2.8 ms, and with `enable_gqa` 11 ms.
- *A prefill's attention* goes text by text; everything else in it is packed.
- *What prompts share at their beginning* is computed once and copied (`heads`); equal prompts are computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch.nn import functional

from selfimprove.engines.cache import Slots
from selfimprove.engines.heads import Prompt, Text, plan_prefill
from selfimprove.engines.llama import Attend, Llama
from selfimprove.engines.native import Attention

PREFILL_TOKENS = 2048
"""Prompt tokens that go through the model at once, at least one prompt's; bounds the memory of a prefill."""


class LlamaDecoder:
    """Rows on `llama`, `slots` at most, each of at most `capacity` tokens; see `decoding.Decoder`."""

    refills = True

    def __init__(self, llama: Llama, slots: int, capacity: int, attention: Attention | None = None) -> None:
        self._llama = llama
        self._attention = attention
        self._slots = Slots(llama.shape, slots, capacity, llama.device)
        self._cosine, self._sine = llama.angles(capacity)
        self._lengths: list[int] = []

    def prefill(self, prompts: Sequence[Prompt]) -> torch.Tensor:
        """Start rows behind those that run; logits (prompts, vocabulary) of their first tokens."""
        first = len(self._lengths)
        self._lengths += [len(prompt) for prompt in prompts]
        distinct = sorted(set(prompts))
        slots = [first + prompts.index(prompt) for prompt in distinct]
        logits = torch.cat([self._pass(part, distinct, slots) for part in plan_prefill(distinct)][-1:])
        for number, prompt in enumerate(prompts, first):
            source = first + prompts.index(prompt)
            if source != number:
                self._slots.copy(source, number, len(prompt))
        return logits[[distinct.index(prompt) for prompt in prompts]]

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append a token (rows,) to each row; logits (rows, vocabulary) of the next."""
        positions = torch.tensor(self._lengths, device=tokens.device)
        self._lengths = [length + 1 for length in self._lengths]
        attend = self._compiled(positions, self._attention) if self._attention else self._batched(positions)
        return self._llama.logits(self._llama.hidden(tokens, (self._cosine[positions], self._sine[positions]), attend))

    def keep(self, order: Sequence[int]) -> None:
        """The row at place i is from now on the one that was at `order[i]`; the others are gone."""
        for target, source in enumerate(order):
            if source != target:
                self._slots.copy(source, target, self._lengths[source])
        self._lengths = [self._lengths[source] for source in order]

    def _compiled(self, positions: torch.Tensor, attention: Attention) -> Attend:
        def attend(layer: int, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
            return attention(positions, queries, keys, values, self._slots.keys[layer], self._slots.values[layer])

        return attend

    def _batched(self, positions: torch.Tensor) -> Attend:
        tokens, count = int(positions.max()) + 1, len(positions) * self._llama.groups
        beyond = torch.arange(tokens, device=positions.device) > positions[:, None]
        mask = torch.zeros(beyond.shape, device=positions.device).masked_fill_(beyond, -torch.inf)
        mask = mask.repeat_interleave(self._llama.groups, dim=0)[:, None]
        places = (torch.arange(len(positions), device=positions.device), positions)

        def attend(layer: int, queries: torch.Tensor, *pair: torch.Tensor) -> torch.Tensor:
            self._slots.write(layer, places, pair)
            keys = self._slots.keys[layer].flatten(0, 1)[:count, :tokens]
            values = self._slots.values[layer].flatten(0, 1)[:count, :tokens]
            grouped = queries.reshape(count, -1, self._llama.width)
            scores = torch.add(mask, torch.bmm(grouped, keys.transpose(1, 2)), alpha=self._llama.width**-0.5)
            return torch.bmm(scores.softmax(dim=-1).to(values.dtype), values)

        return attend

    def _pass(self, texts: Sequence[Text], prompts: Sequence[Prompt], slots: Sequence[int]) -> torch.Tensor:
        """Run the texts through the model, in parts; logits (texts, vocabulary) of what follows each."""
        ends = [self._extend(part, prompts, slots) for part in _parts(texts)]
        for text in texts:
            for other in text.others:
                self._slots.copy(slots[text.prompt], slots[other], text.end)
        return self._llama.logits(torch.cat(ends))

    def _extend(self, texts: Sequence[Text], prompts: Sequence[Prompt], slots: Sequence[int]) -> torch.Tensor:
        """Last hidden states (texts, hidden) of the texts, packed one after the other."""
        device, sizes = self._llama.device, [text.end - text.start for text in texts]
        tokens = [token for text in texts for token in prompts[text.prompt][text.start : text.end]]
        positions = torch.cat([torch.arange(text.start, text.end, device=device) for text in texts])
        places = torch.tensor([slots[text.prompt] for text in texts]).repeat_interleave(torch.tensor(sizes)).to(device)
        masks = [self._seen(text) for text in texts]

        def attend(layer: int, queries: torch.Tensor, *pair: torch.Tensor) -> torch.Tensor:
            self._slots.write(layer, (places, positions), pair)
            parts = zip(texts, masks, torch.split(queries, sizes), strict=True)
            return torch.cat([self._attend(layer, slots[text.prompt], mask, part) for text, mask, part in parts])

        ids = torch.tensor(tokens, device=device)
        hidden = self._llama.hidden(ids, (self._cosine[positions], self._sine[positions]), attend)
        return hidden[[end - 1 for end in accumulate(sizes)]]

    def _seen(self, text: Text) -> torch.Tensor:
        """What is added to the scores of a text (heads of a group * its tokens, tokens up to its end)."""
        shape = (text.end - text.start, text.end)
        mask = torch.full(shape, -torch.inf, dtype=self._llama.dtype, device=self._llama.device).triu_(text.start + 1)
        return mask.repeat(self._llama.share, 1)

    def _attend(self, layer: int, slot: int, mask: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        end = mask.shape[1]
        keys, values = self._slots.keys[layer, slot, None, :, :end], self._slots.values[layer, slot, None, :, :end]
        grouped = queries.transpose(0, 1).reshape(1, self._llama.groups, -1, self._llama.width)
        found = functional.scaled_dot_product_attention(grouped, keys, values, attn_mask=mask)
        return found.view(self._llama.heads, -1, self._llama.width).transpose(0, 1)


def _parts(texts: Sequence[Text]) -> list[list[Text]]:
    parts: list[list[Text]] = []
    room = 0
    for text in texts:
        room -= text.end - text.start
        if not parts or room < 0:
            parts.append([])
            room = PREFILL_TOKENS - (text.end - text.start)
        parts[-1].append(text)
    return parts
