"""Add the accepted chain and this round's adapter to the base, round once, and certify what came of it.

Round k's model is base + Σ accepted deltas + this round's delta, never the parent's weights plus a delta: merging
bfloat16 onto bfloat16 every round loses small updates for good, while in the sum from the base they add up. Each weight
is taken to float32, the deltas (`merging/adapters.py`) are added one after the other in the order of the chain, and the
result is rounded once to the recipe's dtype. The order and the types are fixed, so equal files give equal hashes; a
model folder is a cache, and `rebuild` makes it again.

The folder is written under a temporary name beside `out`, synced, and renamed. Config, tokenizer, chat template and
generation config are the base's.

*The certificate.* For each weight let p = base + Σ accepted deltas in float32, d this round's delta (the *intended*
change), m the merged weight as stored, q the parent's as stored (what was judged), and a = m − q the *actual* change.
Over all weights that this round's adapter touches:

    survival            ⟨a, d⟩ / ⟨d, d⟩     the share of the intended change that arrived, along its own direction
    relative_error      ‖a − d‖ / ‖d‖       rounding noise beside it; 0 is exact
    unchanged_weights   share with m = q
    delta_norm          ‖d‖ / ‖p‖

and over all weights `identical_to_parent` (m = q everywhere) and `parent_is_chain` (q is p rounded, everywhere).
Survival alone can hide noise: where p is off the grid of the type, a delta far below its spacing still moves a few
weights by a whole spacing, right on average, with a large relative error. `kl` and `agreement` (`merging/canaries.py`)
say what the noise does to the answers. `passed` is false, with at least one line in `failures`, when a bound of the
recipe is missed, nothing changed, a weight is not finite, the parent isn't the chain, or a file was not carried over.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from torch import Tensor

from selfimprove.errors import StageError
from selfimprove.merging.adapters import WEIGHTS, Adapter, check_targets, read_adapter
from selfimprove.merging.canaries import Likeness, compare
from selfimprove.models import processor
from selfimprove.models.weights import (
    Head,
    carried_files,
    fingerprint_folder,
    hash_file,
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
    """The merged model in the new folder `out`, and its certificate (see above), whether it passes or not.

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
        changes.append(_measure(before, delta, merged, _read(heads, name)))
        return merged

    _write(base, out, dtype, measured, runtime)
    likeness = compare(parent, adapters[-1], out, canaries[: settings.canaries], runtime)
    return _certificate(_sum(changes), likeness, _carried_over(base, parent, out), settings) | {
        "sha256": fingerprint_folder(out),
        "adapters": [hash_file(path / WEIGHTS) for path in adapters],
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


@dataclass(frozen=True)
class Change:
    """Sums over some weights, as named in the module docstring; the first seven over those that d touches."""

    along: float = 0.0  # ⟨a, d⟩
    intended: float = 0.0  # ⟨d, d⟩
    error: float = 0.0  # ‖a − d‖²
    before: float = 0.0  # ‖p‖²
    touched: int = 0
    unchanged: int = 0
    finite: bool = True
    identical: bool = True
    parent_is_chain: bool = True


def _measure(before: Tensor, delta: Tensor | None, merged: Tensor, parent: Tensor | None) -> Change:
    if parent is None or parent.shape != merged.shape or parent.dtype != merged.dtype:
        return Change(identical=False, parent_is_chain=False)
    identical, is_chain = torch.equal(merged, parent), torch.equal(before.to(merged.dtype), parent)
    finite = bool(torch.isfinite(merged).all())
    if delta is None:
        return Change(finite=finite, identical=identical, parent_is_chain=is_chain)
    actual = merged.float() - parent.float()
    return Change(
        along=_dot(actual, delta),
        intended=_dot(delta, delta),
        error=_dot(actual - delta, actual - delta),
        before=_dot(before, before),
        touched=merged.numel(),
        unchanged=int((merged == parent).sum()),
        finite=finite,
        identical=identical,
        parent_is_chain=is_chain,
    )


def _dot(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum(dtype=torch.float64))


def _sum(changes: Sequence[Change]) -> Change:
    return Change(
        along=math.fsum(c.along for c in changes),
        intended=math.fsum(c.intended for c in changes),
        error=math.fsum(c.error for c in changes),
        before=math.fsum(c.before for c in changes),
        touched=sum(c.touched for c in changes),
        unchanged=sum(c.unchanged for c in changes),
        finite=all(c.finite for c in changes),
        identical=all(c.identical for c in changes),
        parent_is_chain=all(c.parent_is_chain for c in changes),
    )


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


def _certificate(total: Change, likeness: Likeness, carried: dict[str, bool], settings: Merging) -> dict[str, Any]:
    certificate: dict[str, Any] = {
        "identical_to_parent": total.identical,
        "parent_is_chain": total.parent_is_chain,
        "finite": total.finite,
        "survival": total.along / total.intended if total.intended else 0.0,
        "relative_error": math.sqrt(total.error / total.intended) if total.intended else 0.0,
        "unchanged_weights": total.unchanged / total.touched if total.touched else 1.0,
        "delta_norm": math.sqrt(total.intended / total.before) if total.before else 0.0,
        "touched_weights": total.touched,
        "kl": likeness.kl if math.isfinite(likeness.kl) else None,
        "agreement": likeness.agreement,
        "canary_tokens": likeness.tokens,
        "carried_over": carried,
    }
    failures = _failures(certificate, settings)
    return {**certificate, "passed": not failures, "failures": failures}


def _failures(certificate: dict[str, Any], settings: Merging) -> list[str]:
    survival, agreement = certificate["survival"], certificate["agreement"]
    lost = [name for name, equal in certificate["carried_over"].items() if not equal]
    faults = {
        "the merged model is identical to its parent": certificate["identical_to_parent"],
        "the parent is not the base with the accepted chain": not certificate["parent_is_chain"],
        "a merged weight is not finite": not certificate["finite"],
        f"rounding kept {survival:.3f} of the delta, below {settings.min_survival}": survival < settings.min_survival,
        f"agreement on canaries is {agreement:.3f}, below {settings.min_agreement}": agreement < settings.min_agreement,
        "the divergence on canaries is not finite": certificate["kl"] is None,
        f"not carried over from base and parent: {', '.join(lost)}": bool(lost),
    }
    return [fault for fault, holds in faults.items() if holds]
