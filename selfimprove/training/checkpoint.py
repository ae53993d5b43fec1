"""What a training reads and writes on disk: the adapter that it goes on from, its checkpoint, its adapter in the end.

The checkpoint holds the LoRA, the state of AdamW and the losses so far. It is written to a temporary name, synced and
renamed, so a kill leaves the old one or the new one. Its header names the fingerprint of examples, settings and seed: a
foreign or broken file is no checkpoint.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from selfimprove.errors import StageError
from selfimprove.merging.adapters import WEIGHTS
from selfimprove.models.weights import read_json, settle


@dataclass(frozen=True)
class State:
    """The mutable part of a training: LoRA weights by name, their optimizer, and the training's fingerprint."""

    fingerprint: str
    parameters: Mapping[str, nn.Parameter]
    optimizer: torch.optim.AdamW


def save_checkpoint(state: State, losses: list[float], path: Path) -> None:
    """Write the state after `len(losses)` steps to the file `path`, whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in state.parameters.items():
        held = {"weight": parameter.detach(), **state.optimizer.state[parameter]}
        tensors |= {f"{key}|{name}": value.detach().cpu().contiguous() for key, value in held.items()}
    metadata = {"fingerprint": state.fingerprint, "losses": json.dumps(losses)}
    temporary = path.with_suffix(".partial")
    save_file(tensors, temporary, metadata=metadata)
    settle(path.parent)
    temporary.replace(path)


def restore_checkpoint(state: State, path: Path) -> list[float]:
    """Load the checkpoint into `state`; its losses, none if it isn't whole or belongs to another training."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("fingerprint") != state.fingerprint:
                return []
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError):
        return []
    for name, parameter in state.parameters.items():
        with torch.no_grad():
            parameter.copy_(tensors[f"weight|{name}"])
        if f"step|{name}" not in tensors:
            continue  # no gradient yet, as of an expert that no token was sent to
        state.optimizer.state[parameter] = {
            "step": tensors[f"step|{name}"],
            "exp_avg": tensors[f"exp_avg|{name}"].to(parameter.device),
            "exp_avg_sq": tensors[f"exp_avg_sq|{name}"].to(parameter.device),
        }
    return [float(loss) for loss in json.loads(metadata["losses"])]


def load_adapter(peft: PeftModel, path: Path) -> None:
    """Give the fresh LoRA the factors of the adapter in the folder `path`; `StageError` if they don't fit it."""
    adapter = load_file(path / WEIGHTS)
    held = get_peft_model_state_dict(peft)
    if {name: tensor.shape for name, tensor in adapter.items()} != {name: t.shape for name, t in held.items()}:
        raise StageError(f"{path}: its factors don't fit the LoRA that this recipe trains")
    set_peft_model_state_dict(peft, adapter)


def save_adapter(peft: PeftModel, temporary: Path, out: Path) -> None:
    """Write the adapter to `out` as peft reads it; without its base's path, so that equal weights give equal bytes."""
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    tensors = {name: tensor.cpu().contiguous() for name, tensor in get_peft_model_state_dict(peft).items()}
    save_file(tensors, temporary / WEIGHTS, metadata={"format": "pt"})
    peft.peft_config["default"].save_pretrained(str(temporary))
    modules = peft.peft_config["default"].target_modules  # a set, whose order varies
    own = {"base_model_name_or_path": "", "inference_mode": True, "target_modules": sorted(modules)}
    config = read_json(temporary / "adapter_config.json") | own
    (temporary / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    settle(temporary)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary.rename(out)
