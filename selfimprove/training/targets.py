"""Which matrices of a model a LoRA adapts, and whether a round's adapter could be merged, known before anything runs.

*Adapted* is every `torch.nn.Linear` of the decoder: of a model that also sees or hears, the language model alone. The
output head is not. In a mixture of experts whose experts are stacked into one weight, attention alone is adapted: the
merge adds to the weights that files hold, and files hold those experts one by one.

`find_targets` builds the model's class from its configuration without memory for weights, applies that choice, and
looks each adapted weight up in the files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import transformers
from peft import LoraConfig
from peft.tuners.tuners_utils import _check_lora_target_modules_mamba
from torch import nn
from torch.nn.modules.conv import _ConvNd

from selfimprove.errors import UsageError
from selfimprove.models import EMBEDDED
from selfimprove.models.names import stored_names
from selfimprove.models.soundness import skeleton_of
from selfimprove.models.weights import tensor_heads
from selfimprove.training.attention import narrowest_window, packing_obstacle

_ATTENTION = ("attn", "attention")
"""One of these is in the name of every attention module."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What training adapts in a model of this architecture.

    `experts` says that stacked experts are left as they are. `never_packed` is why rows are padded whatever their
    length, empty if nothing in class and configuration says so; `window` is the narrowest width of its attention, and
    longer rows are padded.
    """

    architecture: str
    modules: tuple[str, ...]
    experts: bool
    never_packed: str
    window: int | None


def adapted_modules(model: transformers.PreTrainedModel) -> list[str]:
    """The names of the modules that a LoRA on this model adapts, in their order."""
    decoder: nn.Module = model.get_decoder()  # type: ignore[no-untyped-call]  # untyped in transformers
    inside, head = set(decoder.modules()), model.get_output_embeddings()  # type: ignore[no-untyped-call]  # untyped
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module in inside and module is not head and not _unfit(model, name)
    ]
    if not _stacks_experts(decoder):
        return linear
    return [name for name in linear if any(word in name.lower() for word in _ATTENTION)]


def _unfit(model: transformers.PreTrainedModel, name: str) -> bool:
    """Whether peft refuses a LoRA on the module: some projections of Mamba are read past their `forward`."""
    try:
        _check_lora_target_modules_mamba(LoraConfig(), model, name.rpartition(".")[2])
    except ValueError:
        return True
    return False


def _stacks_experts(decoder: nn.Module) -> bool:
    """Whether a module other than a convolution has a weight of three dimensions."""
    return any(
        parameter.dim() == 3
        for module in decoder.modules()
        if not isinstance(module, _ConvNd)
        for parameter in module.parameters(recurse=False)
    )


def _shared(model: transformers.PreTrainedModel, weights: set[str]) -> str:
    """The first of these weights that the model has under a second name; empty without one."""
    names: dict[int, str] = {}
    for name, weight in model.named_parameters(remove_duplicate=False):
        first = names.setdefault(id(weight), name)
        if first != name and first in weights:
            return first
    return ""


def find_targets(title: str, folder: Path, trust_remote_code: bool = False) -> Targets:
    """What training adapts in the folder's model.

    `UsageError` naming `title` if nothing would be adapted, or if an adapted weight has no place in the files that a
    merge could add to: what would otherwise show after a round was sampled and trained.
    """
    model = skeleton_of(title, folder, trust_remote_code)
    architecture, modules = type(model).__name__, adapted_modules(model)
    if not modules:
        raise UsageError(
            f"{title}: {architecture} has no torch.nn.Linear in its decoder that a LoRA could adapt and a merge add to",
            f"Name a model of another architecture, such as --model {EMBEDDED}",
        )
    weights = {f"{name}.weight" for name in modules}
    if shared := _shared(model, weights):
        raise UsageError(
            f"{title}: {architecture} uses {shared} in several layers, and a LoRA can't be merged into a shared weight",
            f"Name a model of another architecture, such as --model {EMBEDDED}",
        )
    shapes = {name: tuple(weight.shape) for name, weight in model.named_parameters() if name in weights}
    heads, names = tensor_heads(folder), stored_names(folder, shapes, trust_remote_code)
    if lost := [w for w, shape in shapes.items() if w not in names or heads[names[w]].shape != shape]:
        more = f" and {len(lost) - 2:,} more" if len(lost) > 2 else ""
        raise UsageError(
            f"{title}: {architecture} can't be merged: its files hold no weights that are {', '.join(lost[:2])}{more}",
            "Fetch config.json and weights of the same model; if they are, save it as its class names weights: "
            "AutoModelForCausalLM.from_pretrained(…).save_pretrained(FOLDER, save_original_format=False)",
        )
    return Targets(
        architecture=architecture,
        modules=tuple(modules),
        experts=_stacks_experts(model.get_decoder()),  # type: ignore[no-untyped-call]  # untyped in transformers
        never_packed=packing_obstacle(model),
        window=narrowest_window(model),
    )
