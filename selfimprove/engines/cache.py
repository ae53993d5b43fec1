"""Keys and values of the rows that run, in slots of one preallocated block.

A row has the slot of its place in the batch, so the rows that run are the first slots and a layer's keys are a view,
never gathered. When a row ends, the last row's keys and values are copied into its slot; nothing else moves, and
nothing grows: a new token's are written in place. Pages of the block that no token reaches are never touched, so they
cost address space and no memory.

Stale values of rows that are gone stay in a slot until they are written over; each row's length hides them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Shape:
    """What one token's keys (or values) are made of."""

    layers: int
    heads: int
    width: int
    dtype: torch.dtype

    def token_bytes(self) -> int:
        """Bytes of a token's keys and values over all layers."""
        return 2 * self.layers * self.heads * self.width * self.dtype.itemsize


class Slots:
    """Room for `slots` rows of at most `capacity` tokens; `keys[layer]` is (slots, heads, capacity, width)."""

    def __init__(self, shape: Shape, slots: int, capacity: int, device: torch.device) -> None:
        size = (shape.layers, slots, shape.heads, capacity, shape.width)
        # Zeros, because what is masked out is still multiplied by zero, and must not be a NaN.
        self.keys = torch.zeros(size, dtype=shape.dtype, device=device)
        self.values = torch.zeros(size, dtype=shape.dtype, device=device)
        self.capacity = capacity

    def write(self, layer: int, places: tuple[torch.Tensor, torch.Tensor], pair: tuple[torch.Tensor, ...]) -> None:
        """Put keys and values (tokens, heads, width) at `places`: slot and position of each token."""
        self.keys[layer].transpose(1, 2)[places] = pair[0]
        self.values[layer].transpose(1, 2)[places] = pair[1]

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the first `tokens` tokens of slot `source` to slot `target`."""
        for block in (self.keys, self.values):
            block[:, target, :, :tokens] = block[:, source, :, :tokens]
