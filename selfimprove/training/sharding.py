"""A frozen model sharded over the processes of a group, loaded by the first of them and dealt out to the others.

The first process loads the model; the others build its class without memory (torch's `meta` device). Then every
decoder layer is cut by torch's `fully_shard`, and the first process broadcasts one tensor after the other, of which
each process keeps its part of a sharded one and all of any other. So beside its shard a process holds one tensor at a
time, and the weights are read once. The first process holds the whole model, each tensor until it was dealt.

What decides how the model is called (`loss.LossMethod`) is found out by the first process, which has weights to try.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from peft import PeftModel
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import PreTrainedModel

from selfimprove.models import load_model
from selfimprove.models.soundness import skeleton_of
from selfimprove.training.attention import ATTENTION
from selfimprove.training.loss import LossMethod

Whole = dict[str, Tensor]
"""Parameters and buffers by name, in the process that loaded them; empty in the others."""


def load_or_outline(folder: Path, dtype: torch.dtype, first: bool, trust_remote_code: bool) -> PreTrainedModel:
    """The folder's model in evaluation mode, without dropout: with its weights in the first process, else no memory."""
    if first:
        model = load_model(folder, dtype, trust_remote_code)
    else:
        model = skeleton_of(str(folder), folder, trust_remote_code)
        model.train(False)
    _without_noise(model)
    return model


def _without_noise(model: PreTrainedModel) -> None:
    """Turn off the noise that the model has for pretraining: its own dropout, and the jitter of its routers.

    `training.dropout` is that of the LoRA, and the only one.
    """
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, float) and ("dropout" in name or "jitter" in name):
                setattr(module, name, 0.0)
        if isinstance(module, nn.Dropout):
            module.p = 0.0


def agreed_method(model: PreTrainedModel, own: LossMethod | None) -> LossMethod:
    """The first process's method in all of them, each model's attention set to it."""
    (method,) = broadcast_object_list([own])
    if method.packs and own is None:
        model.set_attn_implementation(ATTENTION)
    found: LossMethod = method
    return found


def outline_alike(peft: PeftModel, first: bool) -> None:
    """Give the others' tensors the types of the first process's, and the small ones its values.

    Small are vectors and buffers, such as norms, by whose values `products.slim` chooses.
    """
    (described,) = broadcast_object_list([{name: tensor.dtype for name, tensor in _tensors(peft)} if first else None])
    if not first:
        for name, tensor in list(_tensors(peft)):
            device = "cpu" if _is_small(tensor) else "meta"
            _replace(peft, name, torch.empty(tensor.shape, dtype=described[name], device=device))
        peft.get_base_model().tie_weights()


def deal_small(peft: PeftModel, device: torch.device) -> None:
    """Broadcast the first process's vectors and buffers to all."""
    for _, tensor in _tensors(peft):
        if _is_small(tensor):
            with torch.no_grad():
                tensor.copy_(_broadcast(tensor.detach(), device))


def shard(peft: PeftModel, accelerator: Accelerator, device: torch.device) -> None:
    """Shard the frozen weights of each decoder layer over the processes, and bring everything to the device."""
    first = accelerator.is_main_process
    whole: Whole = {name: tensor.detach() for name, tensor in _tensors(peft)} if first else {}
    mesh = init_device_mesh(device.type, (accelerator.num_processes,))
    kinds = set(peft.get_base_model()._no_split_modules or ())
    for module in peft.modules():
        if type(module).__name__ in kinds:
            trained = {parameter for parameter in module.parameters() if parameter.requires_grad}
            # Said outright: each layer is a root here, and by default a root stays whole after its forward pass.
            fully_shard(module, mesh=mesh, ignored_params=trained, reshard_after_forward=True)
    if first:
        peft.to(device)
    else:
        peft.to_empty(device=device)
        peft.get_base_model().tie_weights()
    for name, tensor in _tensors(peft):
        _deal(tensor, whole.pop(name, None), device)


@torch.no_grad()
def _deal(into: Tensor, own: Tensor | None, device: torch.device) -> None:
    """Fill a process's tensor, or its shard of it, with the first process's whole one."""
    whole = _broadcast(torch.empty(into.shape, dtype=into.dtype) if own is None else own, device)
    if isinstance(into, DTensor):
        part = distribute_tensor(whole, into.device_mesh, into.placements, src_data_rank=None)
        into.to_local().copy_(part.to_local())
    else:
        into.copy_(whole)


def _broadcast(tensor: Tensor, device: torch.device) -> Tensor:
    """The first process's tensor, on the device of each process; as bytes, which every backend takes."""
    moved = tensor.to(device).contiguous()
    torch.distributed.broadcast(moved.view(-1).view(torch.uint8), 0)
    return moved


def _tensors(peft: PeftModel) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers by name, tied ones once."""
    yield from peft.named_parameters()
    yield from peft.named_buffers()


def _is_small(tensor: Tensor) -> bool:
    return not isinstance(tensor, nn.Parameter) or tensor.dim() < 2


def _replace(root: nn.Module, name: str, tensor: Tensor) -> None:
    """Put a tensor in the place of the parameter or buffer of this name."""
    path, _, leaf = name.rpartition(".")
    module = root.get_submodule(path)
    if leaf in module._parameters:
        trained = module._parameters[leaf].requires_grad  # type: ignore[union-attr]  # it was listed
        module._parameters[leaf] = nn.Parameter(tensor, requires_grad=trained)
    else:
        module._buffers[leaf] = tensor
