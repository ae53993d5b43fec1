"""Add the accepted chain and this round's adapter to the base, round once, and certify the result.

Round k's model is base + Σ accepted deltas + this round's delta, never the parent's weights plus a delta: merging
bfloat16 onto bfloat16 every round loses small updates for good, while in the sum from the base they add up. Each weight
is taken to float32, the deltas (`merging/adapters.py`) are added one after the other in the order of the chain, and the
result is rounded once to the recipe's dtype (`merging/rounding.py`: stochastically where the base lies on the grid of
that type), all in one pass (`merging/summing.py`). Order, types and thresholds are fixed, so equal files give equal
hashes; a model folder is a cache, and `rebuild` makes it again. `benchmarks/merge_table.py` measures what each way of
rounding keeps.

The folder is written under a temporary name beside `out`, synced, and renamed. Config, tokenizer, chat template and
generation config are the base's. What the certificate measures, and when it fails, is `merging/certificate.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from selfimprove.engines.release import gpus_of, memory_back
from selfimprove.errors import StageError
from selfimprove.merging.adapters import WEIGHTS, Adapter, check_targets, read_adapter
from selfimprove.merging.canaries import compare
from selfimprove.merging.certificate import Change, Merged, certify, total_change
from selfimprove.merging.device import summing_device
from selfimprove.merging.summing import GPU_ROOM, sum_and_measure, sum_weight
from selfimprove.models import processor
from selfimprove.models.memory import trim_heap
from selfimprove.models.weights import (
    Head,
    carried_files,
    fingerprint_folder,
    read_config,
    read_tensor,
    rewrite,
    settle,
    tensor_heads,
    write_config,
)
from selfimprove.round.machinery import MergeCheck, MergeJob
from selfimprove.store.durable import content_hash
from selfimprove.store.records import Certificate


def merge(job: MergeJob, check: MergeCheck) -> Certificate:
    """Write the merged model to the job's new folder `out`; its certificate, whether it passes or not.

    `job.adapters` are the accepted chain and, last, this round's. Raises `StageError` for an adapter that can't be
    merged; then there is no `out`.
    """
    if not check.canaries:
        raise StageError("no canary prompts to compare adapter and merged model on")
    rounding = job.rounding
    changes: list[Change] = []
    ways: set[str] = set()
    chain = _read_chain(job.adapters, job.base, job.runtime.trust_remote_code)
    heads, device = tensor_heads(check.parent), summing_device(job.runtime, GPU_ROOM)

    def measured(name: str, weight: Tensor) -> Tensor:
        merged, change, way = sum_and_measure(name, weight, chain, rounding, _read(heads, name), device)
        changes.append(change)
        ways.add(way)
        return merged

    _write(job, measured)
    if tensor_heads(job.out).keys() != heads.keys():
        changes.append(Change(identical=False, parent_is_chain=False))
    canaries = check.canaries[: check.settings.canaries]
    with memory_back(gpus_of(job.runtime.device), "the comparison of canaries"):
        likeness = compare(check.parent, job.adapters[-1], job.out, canaries, job.runtime)
    merged = Merged(
        sha256=fingerprint_folder(job.out),
        adapters=tuple(content_hash(path / WEIGHTS) for path in job.adapters),
        dtype=rounding.dtype,
        rounding=" and ".join(sorted(ways - {""})),
        carried_over=_carried_over(job.base, check.parent, job.out),
    )
    return certify(total_change(changes), likeness, merged, check.settings)


def rebuild(job: MergeJob) -> str:
    """Write the folder that `merge` makes of the same job, byte for byte; returns the same `sha256`."""
    chain = _read_chain(job.adapters, job.base, job.runtime.trust_remote_code)
    device = summing_device(job.runtime, GPU_ROOM)
    with memory_back(gpus_of(job.runtime.device), "the merge"):
        _write(job, lambda name, weight: sum_weight(name, weight, chain, job.rounding, device))
    return fingerprint_folder(job.out)


def _read_chain(adapters: Sequence[Path], base: Path, trust_remote_code: bool) -> list[Adapter]:
    """The adapters, their factors under the names that the base's files have for the weights."""
    if not adapters:
        raise StageError(f"no adapter to merge onto {base}")
    chain = [read_adapter(path) for path in adapters]
    names = check_targets(chain, base, trust_remote_code)
    return [replace(one, factors={names[weight]: pair for weight, pair in one.factors.items()}) for one in chain]


def _write(job: MergeJob, change: Callable[[str, Tensor], Tensor]) -> None:
    """Write the base's folder to the job's `out`, each weight passed through `change(name, weight)`."""
    base, out = job.base, job.out
    if out.exists():
        raise FileExistsError(out)
    temporary = out.with_name(f".{out.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        with processor(job.runtime):
            rewrite(base, temporary, change)
        write_config(read_config(base), temporary, job.rounding.dtype)
        for path in carried_files(base, job.runtime.trust_remote_code):
            shutil.copyfile(path, temporary / path.name)
        settle(temporary)
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        trim_heap()


def _read(heads: dict[str, Head], name: str) -> Tensor | None:
    return read_tensor(heads[name].path, name) if name in heads else None


def _carried_over(base: Path, parent: Path, out: Path) -> dict[str, bool]:
    """For each file that base or parent has beside its weights, whether the merged folder has an equal one."""
    names = sorted({path.name for folder in (base, parent) for path in carried_files(folder)})
    equal = {name: _same(base / name, out / name) and _same(parent / name, out / name) for name in names}
    config = read_config(out)
    return {"config.json": read_config(base) == config == read_config(parent), **equal}


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()
