"""The forward pass of Llama-like models over packed tokens.

transformers' own forward pass is general: per layer it dispatches some forty small operations, grows the KV cache by
copying it, builds masks, and multiplies by weights that oneDNN re-orders on every call. This one does what sampling
needs and nothing else. What each choice is worth, on one core at 64 rows of the embedded model in bfloat16:

- *Weights are packed once* in oneDNN's own order, where the processor and the type allow it: 375 GFLOP/s for gate and
  up together, 230 in the plain layout. In float32, on two cores of an AMD processor without bfloat16, packing samples
  1.6 times as fast in chunks of 64 and 1.2 times in chunks of 256. q, k and v are one matrix, gate and up another.
- *Tokens of all rows are packed*, in a prefill as in a decode step: one product over (tokens, width), no padding.
- *The output head* is applied to the last token of a prompt alone.

*Each matrix stands in memory once.* `Llama` takes the linear layers' weights out of the model, layer by layer as it
packs them. One exception: where the head is tied to the embedding, that matrix is kept as rows to look up and, on a
processor that packs, as the packed head: without packing, the head's product would take half as long again.

Attention and the KV cache are in `rows`. `fits` says which models this is for; others are decoded by `general`. On a
GPU the same code runs with plain matrix products; it has not been measured there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from selfimprove.engines.cache import CacheShape
from selfimprove.engines.native import Attention, compiled_attention

KINDS = {"llama", "qwen2", "qwen3", "mistral"}
ROPES = {"default", "linear", "llama3", "yarn"}
"""Rotary embeddings whose angles don't depend on the sequence length."""

Attend = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Attention: (layer number, queries, keys, values), each (tokens, heads, width), to an output shaped as the queries."""


def fits(model: PreTrainedModel) -> bool:
    """Whether this module computes the model exactly as its own code does."""
    config = model.config
    rope = getattr(config, "rope_parameters", None) or {}
    rotary = rope.get("rope_type", "default") in ROPES and rope.get("partial_rotary_factor", 1.0) == 1.0
    windowed = getattr(config, "use_sliding_window", config.model_type == "mistral")
    sliding = windowed and getattr(config, "sliding_window", None) is not None
    return config.model_type in KINDS and rotary and config.hidden_act == "silu" and not sliding


class PackedLinear:
    """Linear layers that read the same input, as one: their weights stacked, and packed for oneDNN where it gains.

    The weights are taken out of the layers, which can't compute afterwards.
    """

    def __init__(self, *parts: torch.nn.Linear) -> None:
        weights = [part.weight.detach() for part in parts]
        self._weight = weights[0] if len(weights) == 1 else torch.cat(weights)
        biases = [part.bias.detach() for part in parts if part.bias is not None]
        self._bias = torch.cat(biases) if biases else None
        del weights
        for part in parts:
            part.register_parameter("weight", None)
        self._packed = packs(self._weight)
        if self._packed:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(self._weight, None)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """`x @ weight.T + bias` for x (tokens, in): (tokens, out)."""
        if self._packed:
            found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")
            return found
        return functional.linear(x, self._weight, self._bias)


def packs(weight: torch.Tensor) -> bool:
    """Whether oneDNN can multiply by this weight on this processor, and so gains from its own order."""
    bfloat16 = weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    multiplies = torch._C._has_mkldnn and (bfloat16 or weight.dtype == torch.float32)
    return bool(multiplies and weight.device.type == "cpu")


@dataclass(frozen=True)
class _Norm:
    weight: torch.Tensor
    epsilon: float

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(x, self.weight.shape, self.weight, self.epsilon)


@dataclass(frozen=True, kw_only=True)
class _Layer:
    before_attention: _Norm
    qkv: PackedLinear
    query_norm: _Norm | None
    key_norm: _Norm | None
    out: PackedLinear
    before_mlp: _Norm
    gate_up: PackedLinear
    down: PackedLinear


class Llama:
    """A model's weights arranged for this forward pass; immutable, and shared by all lanes' decoders.

    They are taken out of `model`, which keeps its configuration and can't compute afterwards.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        body: Any = model.model
        config: Any = model.config
        self.device, self.dtype = model.device, model.dtype
        self.weight_bytes = sum(weight.numel() * weight.element_size() for weight in model.parameters())
        self._embedding = body.embed_tokens.weight.detach()
        self._layers = [_layer(layer) for layer in body.layers]
        self._norm = _norm(body.norm)
        self._head = PackedLinear(model.lm_head)
        self._rotary = body.rotary_emb
        self.heads, self.groups = config.num_attention_heads, config.num_key_value_heads
        self.width = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.share = self.heads // self.groups
        self.cache_shape = CacheShape(layers=len(self._layers), heads=self.groups, width=self.width, dtype=self.dtype)

    def attention(self) -> Attention | None:
        """This model's attention of a decode step, compiled; None where it can't be compiled."""
        return compiled_attention(self.width, self.share, self.dtype) if self.device.type == "cpu" else None

    def angles(self, capacity: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines (positions, 1, width) of the rotary embedding, the sine's first half negated."""
        positions = torch.arange(capacity, device=self.device)[None]
        cosine, sine = self._rotary(self._embedding[:1], positions)
        half = self.width // 2
        return cosine[0, :, None], torch.cat([-sine[0, :, None, :half], sine[0, :, None, half:]], dim=-1)

    def hidden(self, ids: torch.Tensor, angles: tuple[torch.Tensor, torch.Tensor], attend: Attend) -> torch.Tensor:
        """Hidden states (tokens, hidden) after the last layer of the tokens `ids` (tokens,) at these rotary angles."""
        x: torch.Tensor = self._embedding[ids]
        for number, layer in enumerate(self._layers):
            attended = attend(number, *self._qkv(layer, layer.before_attention(x), angles))
            x = x + layer.out(attended.reshape(len(ids), -1))
            gate, up = layer.gate_up(layer.before_mlp(x)).chunk(2, dim=-1)
            x = x + layer.down(functional.silu(gate).mul_(up))
        return x

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits (tokens, vocabulary) from hidden states after the last layer."""
        return self._head(self._norm(hidden))

    def _qkv(
        self, layer: _Layer, x: torch.Tensor, angles: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rotated queries and keys, and values, (tokens, heads, width) each."""
        parts = layer.qkv(x).view(len(x), -1, self.width)
        queries_keys, values = parts[:, : -self.groups], parts[:, -self.groups :]
        if layer.query_norm and layer.key_norm:
            queries, keys = queries_keys[:, : self.heads], queries_keys[:, self.heads :]
            queries_keys = torch.cat([layer.query_norm(queries), layer.key_norm(keys)], dim=1)
        rotated = _rotate(queries_keys, *angles)
        return rotated[:, : self.heads], rotated[:, self.heads :], values


def _rotate(x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    half = x.shape[-1] // 2
    return (x * cosine).add_(torch.cat([x[..., half:], x[..., :half]], dim=-1).mul_(sine))


def _norm(module: Any) -> _Norm:  # noqa: ANN401 - each architecture has a class of its own
    return _Norm(module.weight.detach(), module.variance_epsilon)


def _layer(module: Any) -> _Layer:  # noqa: ANN401 - as above
    attention, mlp = module.self_attn, module.mlp
    query_norm, key_norm = getattr(attention, "q_norm", None), getattr(attention, "k_norm", None)
    return _Layer(
        before_attention=_norm(module.input_layernorm),
        qkv=PackedLinear(attention.q_proj, attention.k_proj, attention.v_proj),
        query_norm=None if query_norm is None else _norm(query_norm),
        key_norm=None if key_norm is None else _norm(key_norm),
        out=PackedLinear(attention.o_proj),
        before_mlp=_norm(module.post_attention_layernorm),
        gate_up=PackedLinear(mlp.gate_proj, mlp.up_proj),
        down=PackedLinear(mlp.down_proj),
    )
