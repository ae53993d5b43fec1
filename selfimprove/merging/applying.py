"""An adapter added to a model that is in memory already, for samples between two steps of a round.

The weights are summed in float32 and rounded once, as a merge does with `merging.rounding = "auto"`: stochastically
where the model is stored in bfloat16, by thresholds of their names alone. So they are the merged model's weights on a
processor without bfloat16 too, where the model in memory has float32 numbers. peft's `merge_and_unload` adds in the
model's own type, which rounds to nearest and so loses most of an update that is smaller than half a step of bfloat16:
the samples would be those of the model before. Nothing is certified here, since no round ends with these weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import nn

from selfimprove.errors import StageError
from selfimprove.merging.adapters import read_adapter
from selfimprove.merging.summing import sum_weight
from selfimprove.recipe import Rounding


def apply_adapter(model: nn.Module, path: Path, stored: Literal["bfloat16", "float32"]) -> None:
    """Add the deltas of the adapter in the folder `path` to the weights of a model that is `stored` in this type.

    They are summed on the processor and keep the type that they have in memory. Equal weights and adapters give equal
    bits. Raises `StageError` for an adapter that can't be merged, or that changes a weight that the model doesn't have
    in its shape.
    """
    adapter = read_adapter(path)
    weights = dict(model.named_parameters())
    for name, (b, a) in adapter.factors.items():
        weight = weights.get(name)
        if weight is None or weight.shape != (b.shape[0], a.shape[1]):
            raise StageError(f"{path}: its factors of {name} don't fit the model")
        with torch.no_grad():
            weight.copy_(sum_weight(name, weight.detach(), [adapter], Rounding(dtype=stored), torch.device("cpu")))
