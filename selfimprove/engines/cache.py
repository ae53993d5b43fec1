"""The KV cache of the running rows: a slot for each row of the batch, in one preallocated tensor.

Row i of the batch has slot i, so a layer's keys are a view of the first slots, never gathered. When a row ends, the
last row's keys and values are copied into its slot; nothing else moves, and nothing grows: a new token's are written in
place. Pages that no token reaches are never touched, so they cost address space and no memory.

Keys and values of rows that have ended stay in a slot until they are overwritten; attention reads a slot only up to its
row's length.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True)
class CacheShape:
    """The shape of one token's keys, and of its values: [layers, heads, width]."""

    layers: int
    heads: int
    width: int
    dtype: torch.dtype

    def token_bytes(self) -> int:
        """Bytes that the cache takes for one token, keys and values of all layers."""
        return 2 * self.layers * self.heads * self.width * self.dtype.itemsize


class KVCache:
    """`slots` slots of `capacity` tokens; `keys[layer]` and `values[layer]` are (slots, heads, capacity, width)."""

    def __init__(self, shape: CacheShape, slots: int, capacity: int, device: torch.device) -> None:
        size = (shape.layers, slots, shape.heads, capacity, shape.width)
        # Zeros, because masked positions still enter the product with weight 0, and a NaN would survive that.
        self.keys = torch.zeros(size, dtype=shape.dtype, device=device)
        self.values = torch.zeros(size, dtype=shape.dtype, device=device)
        self.capacity = capacity

    def write(
        self, layer: int, places: tuple[torch.Tensor, torch.Tensor], keys: torch.Tensor, values: torch.Tensor
    ) -> None:
        """Write keys and values (tokens, heads, width) at `places`: the slot and the position of each token."""
        self.keys[layer].transpose(1, 2)[places] = keys
        self.values[layer].transpose(1, 2)[places] = values

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the first `tokens` tokens of slot `source` to slot `target`."""
        for block in (self.keys, self.values):
            block[:, target, :, :tokens] = block[:, source, :, :tokens]
