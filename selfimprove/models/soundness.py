"""Whether the files of a model agree with each other, found out before anything is allocated or trained.

`config.json` says what is built, the weights what is there. transformers builds what the config says and fills what is
missing with random numbers; a config that asks for a billion rows asks for the memory too. So the model is built once
without memory (on torch's `meta` device), under limits, and held against the headers of the safetensors: tensors of the
same name must have the same shape, and the files must hold each weight of the class, under the name that transformers
loads it by. Weights that the model doesn't use are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError

from selfimprove.errors import UsageError
from selfimprove.models.limits import OutOfTime, bounded
from selfimprove.models.renaming import loaded_names
from selfimprove.models.weights import read_json, tensor_heads

SECONDS = 60.0
"""Longest time that building a model without memory may take; models of 80 layers take about a second."""
MEMORY = 2**34
"""Bytes that it may take."""

LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
"""Keys of a configuration that count layers."""

BUILD_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    StrictDataclassError,
    TypeError,
    ValueError,
)
"""What transformers and torch raise for a configuration that makes no model."""


def finite_weight(title: str, name: str, tensor: torch.Tensor) -> torch.Tensor:
    """The tensor as it is; `UsageError` naming it if a floating-point value in it is NaN or infinite."""
    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
        kind = str(tensor.dtype).removeprefix("torch.")
        raise UsageError(
            f"{title}: {name} holds NaN or infinite weights (as {kind})", "Download or build the model again."
        )
    return tensor


def check_sizes(title: str, folder: Path, config: transformers.PretrainedConfig) -> None:
    """The folder's config describes the weights beside it; `UsageError` says where it doesn't."""
    _refuse_absurd(title, folder, read_json(folder / "config.json"))
    heads = {name: head.shape for name, head in tensor_heads(folder).items()}
    model = skeleton(title, config)
    wanted = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    for name in sorted(wanted.keys() & heads.keys()):
        if wanted[name] != heads[name]:
            raise UsageError(
                f"{title}: config.json asks for {name} of shape {list(wanted[name])}, the weights have "
                f"{list(heads[name])}",
                "Fetch config.json and weights of the same model.",
            )
    _refuse_foreign_ends(title, folder, getattr(config.get_text_config(), "vocab_size", None))
    held = {name for name, _ in loaded_names(model, heads).values()}
    if lacking := sorted(wanted.keys() - held):
        raise _lacks(title, lacking, sorted(held - model.state_dict().keys()))


def _lacks(title: str, lacking: Sequence[str], foreign: Sequence[str]) -> UsageError:
    """That the files lack weights; `foreign` are names in them that the class doesn't know."""
    if prefix := next((name.removesuffix(lacking[0]) for name in foreign if name.endswith(lacking[0])), ""):
        return UsageError(
            f"{title}: the names of its weights begin with `{prefix}` (such as {prefix}{lacking[0]})",
            f"Rename them in the safetensors, without `{prefix}`: as it is, transformers fills the model with random "
            "numbers.",
        )
    more = f" and {len(lacking) - 1:,} more" if len(lacking) > 1 else ""
    hint = "Fetch config.json and weights of the same model, all of its files."
    if "lm_head.weight" in lacking:
        hint += " A classifier or an embedding model has no such weights: name a model that writes text."
    return UsageError(f"{title}: its weights lack {lacking[0]}{more}", hint)


def _refuse_absurd(title: str, folder: Path, config: Mapping[str, object]) -> None:
    """Refuse a config with more layers than the files have tensors: building them would take hours."""
    most = len(tensor_heads(folder))
    for part in (config, *(value for value in config.values() if isinstance(value, dict))):
        for key in LAYERS:
            layers = part.get(key)
            if isinstance(layers, int) and layers > most:
                raise UsageError(
                    f"{title}: config.json says {key} = {layers}, the weights are {most} tensors",
                    "Fetch config.json and weights of the same model.",
                )


def _refuse_foreign_ends(title: str, folder: Path, rows: int | None) -> None:
    """Refuse an end-of-sequence id beyond the vocabulary: no completion would ever end before its token limit."""
    for name in ("config.json", "generation_config.json"):
        ends = read_json(folder / name).get("eos_token_id") if (folder / name).is_file() else None
        listed = ends if isinstance(ends, list) else [ends]
        if any(isinstance(end, int) and rows is not None and end >= rows for end in listed):
            raise UsageError(
                f"{title}: {name} ends a sequence on id {ends}, the vocabulary has {rows}",
                f"Correct eos_token_id in {name}.",
            )


def skeleton(
    title: str, config: transformers.PretrainedConfig, trust_remote_code: bool = False
) -> transformers.PreTrainedModel:
    """The causal language model that a configuration describes, without memory for its weights.

    Its `named_parameters` leave out those tied to another one. `UsageError` naming `title` if it can't be built.
    """
    try:
        with bounded(SECONDS, MEMORY), torch.device("meta"):
            model: transformers.PreTrainedModel = transformers.AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]  # theirs
                config, trust_remote_code=trust_remote_code
            )
    except OutOfTime:
        raise UsageError(f"{title}: building what config.json describes takes over {SECONDS:.0f} seconds") from None
    except BUILD_FAULTS as error:
        raise UsageError(f"{title}: no model can be built from config.json: {first_line(error)}") from error
    return model


def skeleton_of(title: str, folder: Path, trust_remote_code: bool = False) -> transformers.PreTrainedModel:
    """The `skeleton` of a model folder; `UsageError` naming `title` if its configuration makes none."""
    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except BUILD_FAULTS as error:
        raise UsageError(f"{title}: no model can be built from config.json: {first_line(error)}") from error
    return skeleton(title, config, trust_remote_code)


def first_line(error: BaseException) -> str:
    """What an error says in its first line, its kind if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
