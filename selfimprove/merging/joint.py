"""One adapter that equals a chain of adapters: the sum of their deltas.

The sum of the deltas sᵢ · Bᵢ · Aᵢ of a weight is one product of stacked factors: B = [s₁B₁ … sₙBₙ] beside each other, A
= [A₁; …; Aₙ] below each other, with alpha equal to the rank, so that the joint scale is 1. Nothing is approximated:
the rank is the sum of the ranks. Scales go into B in float64 and are rounded once to float32, exactly where a scale is
a power of two (as with the default alpha of twice the rank).

All weights get the same rank, as a plain LoRA has it: an adapter that leaves a weight alone stands there as zeros.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors.torch import save_file
from torch import Tensor

from selfimprove.errors import StageError
from selfimprove.merging.adapters import CONFIG, WEIGHTS, Adapter, check_targets, read_adapter
from selfimprove.models.weights import read_json, tensor_heads


def join(adapters: Sequence[Path], base: Path, out: Path, hub_id: str = "", revision: str = "") -> int:
    """Write the adapter equal to all of these together into the existing folder `out`; returns its rank.

    `hub_id` and `revision` name the base in its config. Raises `StageError` for adapters that can't be merged onto
    `base` either.
    """
    if not adapters:
        raise StageError("no adapters to join")
    chain = [read_adapter(path) for path in adapters]
    check_targets(chain, base)
    ranks = [max((a.shape[0] for _, a in adapter.factors.values()), default=0) for adapter in chain]
    stacked = {weight: stack(chain, ranks, weight) for weight in sorted({w for part in chain for w in part.factors})}
    tensors = {f"base_model.model.{_module(w)}.lora_{h}.weight": t for w, ba in stacked.items() for h, t in ba.items()}
    save_file(tensors, out / WEIGHTS, metadata={"format": "pt"})
    (out / WEIGHTS).chmod(0o644)  # save_file leaves it readable to the owner alone
    own = {"r": sum(ranks), "lora_alpha": sum(ranks), "inference_mode": True, "revision": revision or None}
    LoraConfig(task_type="CAUSAL_LM").save_pretrained(str(out))
    targets = _targets(list(stacked), base)  # peft has them as a set, whose order varies
    config = {**read_json(out / CONFIG), **own, "base_model_name_or_path": hub_id, "target_modules": targets}
    (out / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    return sum(ranks)


def stack(chain: Sequence[Adapter], ranks: Sequence[int], weight: str) -> dict[str, Tensor]:
    """The joint factors of a weight, float32: `B` [out, sum of ranks] with the scales in it, `A` [sum of ranks, in]."""
    known = next(adapter.factors[weight] for adapter in chain if weight in adapter.factors)
    rows, columns = known[0].shape[0], known[1].shape[1]
    bs, as_ = [], []
    for adapter, rank in zip(chain, ranks, strict=True):
        b, a = adapter.factors.get(weight, (torch.zeros(rows, 0), torch.zeros(0, columns)))
        padding = rank - a.shape[0]
        bs.append(torch.nn.functional.pad((adapter.scale * b.double()).float(), (0, padding)))
        as_.append(torch.nn.functional.pad(a.float(), (0, 0, 0, padding)))
    return {"B": torch.cat(bs, dim=1).contiguous(), "A": torch.cat(as_).contiguous()}


def _module(weight: str) -> str:
    return weight.removesuffix(".weight")


def _targets(weights: Sequence[str], base: Path) -> list[str]:
    """The modules by the last part of their names if no other module of the base has it, else by their whole names."""
    modules = {_module(weight) for weight in weights}
    ends = {module.rpartition(".")[2] for module in modules}
    meant = {_module(name) for name in tensor_heads(base) if name.endswith(".weight")}
    meant = {module for module in meant if module.rpartition(".")[2] in ends}
    return sorted(ends if meant == modules else modules)
