"""LoRA adapters on disk: which weights of a base they change, and the delta on each.

An adapter is what peft wrote: `adapter_config.json` and `adapter_model.safetensors` with a pair of factors
`base_model.model.<module>.lora_A.weight` [rank, in] and `….lora_B.weight` [out, rank] for each changed module. Its
delta on `<module>.weight` is (alpha / rank) · B · A. The product is taken in float64 and rounded once to float32, so
that it does not depend on the order in which a processor adds up; hence the hash of a merged model doesn't either.

Everything else that peft can train (whole modules, biases, DoRA, patterns of ranks, embeddings, tied heads) has no such
delta and is refused with `StageError`, rather than silently ignored; so is an unknown key of the config.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from selfimprove.errors import StageError
from selfimprove.models.names import stored_names
from selfimprove.models.weights import read_json, tensor_heads

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"

_WITHOUT_EFFECT = frozenset(
    {
        "auto_mapping",
        "base_model_name_or_path",
        "exclude_modules",
        "inference_mode",
        "layers_pattern",
        "layers_to_transform",
        "lora_alpha",
        "lora_dropout",
        "megatron_core",
        "peft_type",
        "peft_version",
        "qalora_group_size",
        "r",
        "revision",
        "runtime_config",
        "target_modules",
        "task_type",
    }
)
"""Keys of an adapter's config that don't change the delta of given factors."""
_PLAIN_INITS = (True, False, None, "gaussian", "orthogonal", "eva")
"""Initializations that leave the base's own weights alone (PiSSA, OLoRA, CorDA and LoftQ change them)."""

_KEY = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")
_TIED = re.compile(r"(.*\.)?(lm_head|embed_out|output_layer|embed_tokens|embed_in|wte|word_embeddings)\.weight")
"""Names of output heads and input embeddings, one tensor where a model ties them."""


@dataclass(frozen=True)
class Adapter:
    """The factors (B [out, rank], A [rank, in]) by name of the weight they change, and their scale."""

    path: Path
    scale: float
    factors: dict[str, tuple[Tensor, Tensor]]

    def factors64(self, weight: str, device: torch.device) -> tuple[float, Tensor, Tensor] | None:
        """Scale, B and A of the delta in float64 on the device; None if this adapter leaves the weight alone."""
        if weight not in self.factors:
            return None
        b, a = self.factors[weight]
        return self.scale, b.to(device).double(), a.to(device).double()


def read_adapter(path: Path) -> Adapter:
    """The adapter in a folder; `StageError` if it is not whole, not finite, or holds more than LoRA factors."""
    config = read_json(path / CONFIG)
    extras = sorted(filter(lambda key: _has_effect(key, config[key]), config))
    if config.get("peft_type") != "LORA" or extras:
        raise StageError(f"{path}: not a plain LoRA ({', '.join(extras) or 'by its type'}), it can't be merged")
    if not (path / WEIGHTS).is_file() and list(path.glob("*.bin")):
        raise StageError(f"{path}: pickled factors, which can run code when read; only {WEIGHTS} is read")
    try:
        tensors = load_file(path / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise StageError(f"{path / WEIGHTS}: not a complete safetensors file: {error}") from None
    return Adapter(path, _scale(path, config), _pair(path, tensors))


def check_targets(adapters: Sequence[Adapter], base: Path, trust_remote_code: bool = False) -> dict[str, str]:
    """The name in the base's files of each weight that the adapters change.

    `StageError` unless each is the base's, of fitting shape, and not tied to another.
    """
    heads = tensor_heads(base)
    names = stored_names(base, {weight for one in adapters for weight in one.factors}, trust_remote_code)
    tied = read_json(base / "config.json").get("tie_word_embeddings", True)  # left out, the model's class decides
    for adapter in adapters:
        for weight, (b, a) in adapter.factors.items():
            if tied and _TIED.fullmatch(weight):
                raise StageError(f"{adapter.path}: changes {weight}, which is tied to another weight")
            if weight not in names:
                raise StageError(f"{adapter.path}: changes {weight}, which {base} does not have")
            if (shape := heads[names[weight]].shape) != (b.shape[0], a.shape[1]):
                raise StageError(f"{adapter.path}: its factors of {weight} don't fit the shape {shape}")
    return names


def _has_effect(key: str, value: object) -> bool:
    """Whether a key of an adapter's config asks for more than a plain LoRA; an unknown key does if it is set."""
    if key == "bias":
        return value != "none"
    if key == "init_lora_weights":
        return value not in _PLAIN_INITS
    return bool(value) and key not in _WITHOUT_EFFECT


def _scale(path: Path, config: Mapping[str, object]) -> float:
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or not isinstance(alpha, int | float) or rank < 1 or not math.isfinite(alpha):
        raise StageError(f"{path / CONFIG}: no rank or no alpha")
    return alpha / rank


def _pair(path: Path, tensors: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    halves: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        match = _KEY.fullmatch(name)
        if match is None:
            raise StageError(f"{path}: {name} is not a LoRA factor, it can't be merged")
        if not torch.isfinite(tensor).all():
            raise StageError(f"{path}: {name} is not finite")
        halves.setdefault(f"{match[1]}.weight", {})[match[2]] = tensor
    for weight, half in halves.items():
        if half.keys() != {"A", "B"} or half["A"].shape[0] != half["B"].shape[1]:
            raise StageError(f"{path}: the factors of {weight} don't belong together")
    return {weight: (half["B"], half["A"]) for weight, half in halves.items()}
