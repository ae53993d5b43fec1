"""The decoder for any causal language model that transformers knows: its own forward pass over a `DynamicCache`.

Prompts are padded on the left and masked by their lengths, never by the padding id, which in many models is the
end-of-sequence id. Rows that have ended leave the batch (with their part of cache and mask); new ones can't enter
before all have ended, because the rows of a `DynamicCache` are equally long.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import DynamicCache, PreTrainedModel

from selfimprove.models.gpus import has_float64


class GeneralDecoder:
    """A batch of rows on a transformers model; see `decoding.Decoder`."""

    refills = False

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model

    def prefill(self, prompts: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """A new batch of rows with these prompts; logits (prompts, vocabulary) of their first new tokens."""
        device = self._model.device
        width = max(len(prompt) for prompt in prompts)
        ids = torch.tensor([(0,) * (width - len(prompt)) + prompt for prompt in prompts], device=device)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        self._mask = (torch.arange(width, device=device) >= width - lengths[:, None]).long()
        self._cache = DynamicCache(config=self._model.config)
        return self._forward(ids, (self._mask.cumsum(dim=-1) - 1).clamp(min=0))

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append one token (rows,) to each row; logits (rows, vocabulary) of the next."""
        positions = self._mask.sum(dim=-1, keepdim=True)
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=-1)
        return self._forward(tokens[:, None].to(positions.device), positions)

    def keep(self, order: Sequence[int]) -> None:
        """Reorder the batch: row i becomes the former row `order[i]`; rows that `order` lacks are dropped."""
        chosen = torch.tensor(order, dtype=torch.long, device=self._mask.device)
        self._mask = self._mask[chosen]
        self._cache.batch_select_indices(chosen)

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        output = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits if has_float64(logits.device) else logits.cpu()  # tokens are drawn in float64
