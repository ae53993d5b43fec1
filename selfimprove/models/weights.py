"""A model folder as files: which ones it has, its fingerprint, and its weights in another type.

A model folder holds safetensors (one file, or shards named in an index), `config.json`, and the files of tokenizer,
chat template and generation config (`CARRIED`). Weights are read and written tensor by tensor under their own names,
without building the model: names and ties that a model class would change on loading stay as they are. Files other than
safetensors are never read as weights, so nothing here can run a pickle.

The fingerprint is over names and contents, so it does not depend on times, folders or machines. For the same reason
`config.json` is written with sorted keys and without the keys that name a path or a library version.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from selfimprove.errors import UsageError
from selfimprove.round.machinery import Footprint
from selfimprove.store import durable
from selfimprove.store.durable import content_hash

CARRIED = (
    "generation_config.json",
    "chat_template.*",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
)
"""Names of the files beside weights and `config.json` that make a folder a model."""

CODE = "*.py"
"""Copied too where the runtime trusts code that comes with a model."""

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
"""Names of files that may run code when they are read as weights."""

INDEX = "model.safetensors.index.json"
NOT_ADAPTED = ("embed_tokens.weight", "lm_head.weight", "wte.weight", "wpe.weight")
FETCH = "Fetch the model again, or fix the file."
"""What to do about a model's file that is damaged."""
_PASSING_KEYS = ("_name_or_path", "_model_name_or_path", "_commit_hash", "transformers_version", "torch_dtype", "dtype")


def fingerprint_folder(folder: Path) -> str:
    """SHA-256 over names and contents of the folder's files, in order of their names."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        digest.update(f"{path.name}\x00{content_hash(path)}\n".encode())
    return digest.hexdigest()


def weight_files(folder: Path) -> list[Path]:
    """The safetensors of a model folder, sorted: the shards named in its index, or its one file.

    Raises `UsageError` if there are none, or if the index names a file that is missing or outside the folder.
    """
    names = _indexed(folder / INDEX) if (folder / INDEX).is_file() else {"model.safetensors"}
    paths = sorted(folder / name for name in names)
    for path in paths:
        if path.parent != folder or not path.is_file() or path.suffix != ".safetensors":
            raise no_weights(folder, path.name)
    return paths


def _indexed(index: Path) -> set[str]:
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(isinstance(name, str) for name in shards.values()):
        raise UsageError(f"{index}: its `weight_map` doesn't say which file holds which weight", FETCH)
    return set(shards.values())


def no_weights(folder: Path, name: str) -> UsageError:
    """That the folder is no model because it lacks the file `name`, with what it is instead, if that can be told."""
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickles:
        return UsageError(
            f"{folder}: only pickled weights ({pickles[0]}), which can run code when read",
            "Convert them where you trust them: AutoModelForCausalLM.from_pretrained(…).save_pretrained(FOLDER)",
        )
    if (folder / "adapter_config.json").is_file():
        return UsageError(f"{folder}: an adapter, not a model", "Merge it into its base model, and name that folder.")
    if (folder / name).is_symlink():
        return UsageError(f"{folder / name}: a link to a file that is not there", "Fetch the model again.")
    if found := next((path for path in sorted(folder.glob("*/")) if (path / "config.json").is_file()), None):
        return UsageError(f"{folder}: not a model folder, {name} is missing", f"There is a model in {found}.")
    holding = "a model" if name == "config.json" else "safetensors"
    return UsageError(f"{folder}: not a complete model folder, {name} is missing", f"Name a folder with {holding}.")


def read_json(path: Path) -> dict[str, object]:
    """The object in a JSON file, its values unchecked; `UsageError` naming the file if it holds no object."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        cause = "nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(f"{path}: not readable as JSON: {cause}", FETCH) from None
    if not isinstance(data, dict):
        raise UsageError(f"{path}: not a JSON object", FETCH)
    return data


def read_config(folder: Path) -> dict[str, object]:
    """The folder's `config.json` without the keys that name a path, a library version, or the type of the weights."""
    return {key: value for key, value in read_json(folder / "config.json").items() if key not in _PASSING_KEYS}


def write_config(config: Mapping[str, object], folder: Path, dtype: str) -> None:
    """Write the `config.json` of a folder with weights in `dtype`; equal configurations give equal bytes."""
    text = json.dumps({**config, "dtype": dtype}, indent=2, sort_keys=True)
    (folder / "config.json").write_text(text + "\n")


def carried_files(folder: Path, code: bool = False) -> list[Path]:
    """The files that a model made from this folder gets unchanged, sorted by name."""
    patterns = (*CARRIED, CODE) if code else CARRIED
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def rewrite(folder: Path, out: Path, change: Callable[[str, torch.Tensor], torch.Tensor]) -> None:
    """Write the folder's weights to `out`, each tensor passed through `change(name, tensor)`, in the same shards.

    One shard of `out` is held in memory at a time, and one tensor of the folder. Raises `UsageError` for an incomplete
    safetensors file.
    """
    for path in weight_files(folder):
        changed: dict[str, torch.Tensor] = {}
        with _complete(path):
            names = sorted(_heads(path))
        for name in names:
            with _complete(path):
                tensor = read_tensor(path, name)
            changed[name] = change(name, tensor).contiguous()
        save_file(changed, out / path.name, metadata={"format": "pt"})
        (out / path.name).chmod(0o644)  # save_file leaves it readable to the owner alone
    if (folder / INDEX).is_file():
        shutil.copyfile(folder / INDEX, out / INDEX)


def read_tensor(path: Path, name: str) -> torch.Tensor:
    """A tensor of a safetensors file. The pages that were read of the file count as memory while the tensor lives.

    For this reason, the file is opened anew for each tensor.
    """
    with safe_open(path, framework="pt") as file:
        tensor: torch.Tensor = file.get_tensor(name)
    return tensor


@dataclass(frozen=True)
class Head:
    """A tensor's file, its type as safetensors names it (such as `BF16`), and its shape."""

    path: Path
    kind: str
    shape: tuple[int, ...]


def tensor_heads(folder: Path) -> dict[str, Head]:
    """The tensors of the folder's weights by name, from the files' headers alone."""
    found: dict[str, Head] = {}
    for path in weight_files(folder):
        with _complete(path):
            found |= _heads(path)
    return found


def _heads(path: Path) -> dict[str, Head]:
    with safe_open(path, framework="pt") as file:
        parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        return {name: Head(path, part.get_dtype(), tuple(part.get_shape())) for name, part in parts.items()}


@contextmanager
def _complete(path: Path) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{path}: not a complete safetensors file: {error}", "Fetch the file again.") from None


def footprint(folder: Path, dtype: str, rank: int) -> Footprint:
    """Bytes of the folder's model in `dtype`, and of a LoRA of `rank` on its matrices (embeddings left out)."""
    shapes = {name: head.shape for name, head in tensor_heads(folder).items()}
    matrices = [s for name, s in shapes.items() if len(s) == 2 and not name.endswith(NOT_ADAPTED)]
    width = torch.finfo(getattr(torch, dtype)).bits // 8
    return Footprint(width * sum(map(math.prod, shapes.values())), 4 * rank * sum(map(sum, matrices)))


def settle(folder: Path) -> None:
    """Flush the folder's files and entries to disk, so that a rename after this makes a whole folder visible."""
    durable.fault("sync", folder, b"")
    for path in [*folder.iterdir(), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
