"""What weights, activations and KV cache take while a model works, by its files' headers and configuration alone.

A matrix product holds its input for the backward pass, and its output becomes the input of something else that does.
So the activations of a token are put at the sum of both sides of every matrix, and `ACTIVATIONS` of it, which is what
the trainer was measured to hold in models of Llama's and Qwen's kind, within a quarter. Of a mixture of experts those
count that a token is routed to.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from selfimprove.models.weights import NOT_ADAPTED, read_config, tensor_heads

ACTIVATIONS = 1.05
RECOMPUTED = 1.15
"""Of a layer whose activations are computed again in the backward pass: they, and gradients that are passed on."""
_LAYER = re.compile(r"\.(\d+)\.")
_ELSEWHERE = ("visual", "vision", "audio")
"""In the names of weights outside the language model."""


@dataclass(frozen=True, kw_only=True)
class WorkingSet:
    """Numbers that a model holds: its weights, and for each token what training and the KV cache hold of it.

    `adapted` is the sum of both sides of the matrices that a LoRA adapts: its weights, by the rank. `held` are a
    token's activations in all layers, and `attended` further ones for each token of its row; with gradient
    checkpointing `inputs` of each layer are held, and one layer's activations. `in_layers` of the weights are in the
    decoder's layers, which sharding divides.
    """

    weights: int
    in_layers: int
    vocabulary: int
    layers: int
    adapted: int
    held: int
    attended: int
    inputs: int
    cached: int

    def weights_of(self, processes: int) -> int:
        """Weights that each process of a group holds that shards the decoder layers."""
        return self.weights - self.in_layers + math.ceil(self.in_layers / processes)

    def activations(self, row: int, *, checkpointing: bool) -> float:
        """Numbers that training holds for a token of a row of so many."""
        whole = self.held + self.attended * row
        return self.inputs + RECOMPUTED * whole / self.layers if checkpointing else whole


def working_set(folder: Path) -> WorkingSet:
    """That of the folder's model; a figure that its configuration doesn't tell is put at its largest."""
    shapes = {name: head.shape for name, head in tensor_heads(folder).items()}
    config = read_config(folder)
    text = config.get("text_config")
    own = text if isinstance(text, dict) else config
    decoder = {name: s for name, s in shapes.items() if not any(word in name for word in _ELSEWHERE)}
    matrices = {name: s for name, s in decoder.items() if len(s) == 2 and not name.endswith(NOT_ADAPTED)}
    layers = 1 + max((int(found[1]) for name in matrices if (found := _LAYER.search(name))), default=0)
    sides = {name: sum(shape) for name, shape in matrices.items()}
    heads = _number(own, "num_attention_heads", 1)
    embedding = next((s for name, s in shapes.items() if name.endswith(NOT_ADAPTED)), (0, 0))
    hidden = _number(own, "hidden_size", embedding[-1])
    width = _number(own, "head_dim", hidden // heads)
    return WorkingSet(
        weights=sum(map(math.prod, shapes.values())),
        in_layers=sum(math.prod(shape) for name, shape in decoder.items() if _LAYER.search(name)),
        vocabulary=embedding[0],
        layers=layers,
        adapted=sum(sides.values()),
        held=round(ACTIVATIONS * sum(size * _routed(name, own) for name, size in sides.items())),
        attended=layers * heads,
        inputs=layers * hidden,
        cached=2 * layers * _number(own, "num_key_value_heads", heads) * width,
    )


def _routed(name: str, config: Mapping[str, object]) -> float:
    """The share of the tokens that reach this matrix: those of an expert, where it is one."""
    if ".experts." not in name:
        return 1.0
    experts = _number(config, "num_local_experts", _number(config, "num_experts", 1))
    return min(1.0, _number(config, "num_experts_per_tok", experts) / experts)


def _number(config: Mapping[str, object], key: str, otherwise: int) -> int:
    value = config.get(key)
    return value if isinstance(value, int) and value > 0 else otherwise
