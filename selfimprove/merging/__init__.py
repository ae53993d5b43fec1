"""Add the accepted chain and this round's adapter to the base, round once, and certify what came of it.

Round k's model is base + Σ accepted deltas + this round's delta, never the parent's weights plus a delta: merging
bfloat16 onto bfloat16 every round loses small updates for good, while in the sum from the base they add up
(`benchmarks/merge_chain.py` measures both). Each weight is taken to float32, the deltas (`merging/adapters.py`) are
added one after the other in the order of the chain, and the result is rounded once to the recipe's dtype. The order and
the types are fixed, so equal files give equal hashes; a model folder is a cache, and `rebuild` makes it again.

The folder is written under a temporary name beside `out`, synced, and renamed. Config, tokenizer, chat template and
generation config are the base's. What the certificate measures, and when it fails, is `merging/certificate.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from torch import Tensor

from selfimprove.durable import content_hash
from selfimprove.errors import StageError
from selfimprove.merging.adapters import WEIGHTS, Adapter, check_targets, read_adapter
from selfimprove.merging.canaries import compare
from selfimprove.merging.certificate import Change, certify, measure, total_change
from selfimprove.models import processor
from selfimprove.models.weights import (
    Head,
    carried_files,
    fingerprint_folder,
    read_config,
    rewrite,
    settle,
    tensor_heads,
    write_config,
)
from selfimprove.recipe import Merging, Runtime

Dtype = Literal["bfloat16", "float32"]


def merge(
    base: Path,
    adapters: Sequence[Path],
    parent: Path,
    out: Path,
    settings: Merging,
    dtype: Dtype,
    canaries: Sequence[Sequence[int]],
    runtime: Runtime,
) -> dict[str, Any]:
    """The merged model in the new folder `out`, and its certificate, whether it passes or not.

    `adapters` are the accepted chain and, last, this round's; `parent` is the model this round's was trained on;
    `canaries` are prompts as token ids. Raises `StageError` for an adapter that can't be merged, without `out`.
    """
    if not canaries:
        raise StageError("no canary prompts to compare adapter and merged model on")
    changes: list[Change] = []
    chain = _read_chain(adapters, base)
    heads = tensor_heads(parent)

    def measured(name: str, weight: Tensor) -> Tensor:
        before, delta = _exact(name, weight, chain[:-1]), chain[-1].delta(name)
        merged = (before if delta is None else before + delta).to(_stored(weight, dtype))
        changes.append(measure(before, delta, merged, _read(heads, name)))
        return merged

    _write(base, out, dtype, measured, runtime)
    if tensor_heads(out).keys() != heads.keys():
        changes.append(Change(identical=False, parent_is_chain=False))
    likeness = compare(parent, adapters[-1], out, canaries[: settings.canaries], runtime)
    return certify(total_change(changes), likeness, _carried_over(base, parent, out), settings) | {
        "sha256": fingerprint_folder(out),
        "adapters": [content_hash(path / WEIGHTS) for path in adapters],
        "dtype": dtype,
    }


def rebuild(base: Path, adapters: Sequence[Path], out: Path, dtype: Dtype, runtime: Runtime) -> str:
    """The folder that `merge` makes of the same base and adapters, byte for byte; returns the same `sha256`."""
    chain = _read_chain(adapters, base)
    _write(base, out, dtype, lambda name, weight: _exact(name, weight, chain).to(_stored(weight, dtype)), runtime)
    return fingerprint_folder(out)


def _read_chain(adapters: Sequence[Path], base: Path) -> list[Adapter]:
    if not adapters:
        raise StageError(f"no adapter to merge onto {base}")
    chain = [read_adapter(path) for path in adapters]
    check_targets(chain, base)
    return chain


def _exact(name: str, weight: Tensor, chain: Sequence[Adapter]) -> Tensor:
    """The weight with all deltas of the chain, in float32; a tensor that isn't floating-point as it is."""
    if not weight.is_floating_point():
        return weight
    exact = weight.float()
    for adapter in chain:
        delta = adapter.delta(name)
        exact = exact if delta is None else exact + delta
    return exact


def _stored(weight: Tensor, dtype: Dtype) -> torch.dtype:
    target: torch.dtype = getattr(torch, dtype)
    return target if weight.is_floating_point() else weight.dtype


def _write(base: Path, out: Path, dtype: Dtype, change: Callable[[str, Tensor], Tensor], runtime: Runtime) -> None:
    if out.exists():
        raise FileExistsError(out)
    temporary = out.with_name(f".{out.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        with processor(runtime):
            rewrite(base, temporary, change)
        write_config(read_config(base), temporary, dtype)
        for path in carried_files(base, runtime.trust_remote_code):
            shutil.copyfile(path, temporary / path.name)
        settle(temporary)
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read(heads: dict[str, Head], name: str) -> Tensor | None:
    if name not in heads:
        return None
    with safe_open(heads[name].path, framework="pt") as file:
        tensor: Tensor = file.get_tensor(name)
    return tensor


def _carried_over(base: Path, parent: Path, out: Path) -> dict[str, bool]:
    """For each file that base or parent has beside its weights, whether the merged folder has an equal one."""
    names = sorted({path.name for folder in (base, parent) for path in carried_files(folder)})
    equal = {name: _same(base / name, out / name) and _same(parent / name, out / name) for name in names}
    config = read_config(out)
    return {"config.json": read_config(base) == config == read_config(parent), **equal}


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()
