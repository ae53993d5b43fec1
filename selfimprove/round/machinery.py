"""The machinery a run is made of, as callables and protocols, so that no stage imports a model library.

`Parts` is chosen once by whoever wires a run: the command line puts the real ones in, tests may put peers of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from selfimprove.answer.checking import Checker
from selfimprove.host.metering import GpuPeak
from selfimprove.recipe import Merging, Rounding, Runtime, Training
from selfimprove.round.prefixes import Example
from selfimprove.sampling import Sampler, Tokenizer
from selfimprove.store.records import Certificate, Scalar

Step = Callable[[int, int, float, float], None]
"""Called after an optimizer step with its number, the number of steps, the loss and the learning rate."""


class Train(Protocol):
    """Fits an adapter on the model in folder `model` into the new folder `out`; returns counts."""

    def __call__(
        self,
        examples: Sequence[Example],
        model: Path,
        work: Path,
        out: Path,
        settings: Training,
        seed: int,
        runtime: Runtime,
        on_step: Step,
    ) -> dict[str, Any]:
        """See `selfimprove.training.train`."""
        ...


class Merge(Protocol):
    """Sums base and adapters into the new folder `out`; returns the certificate."""

    def __call__(
        self,
        base: Path,
        adapters: Sequence[Path],
        parent: Path,
        out: Path,
        settings: Merging,
        rounding: Rounding,
        canaries: Sequence[Sequence[int]],
        runtime: Runtime,
    ) -> Certificate:
        """See `selfimprove.merging.merge`."""
        ...


class Rebuild(Protocol):
    """Makes a merged model's folder again; returns its SHA-256."""

    def __call__(self, base: Path, adapters: Sequence[Path], out: Path, rounding: Rounding, runtime: Runtime) -> str:
        """See `selfimprove.merging.rebuild`."""
        ...


@dataclass(frozen=True)
class Footprint:
    """Bytes of the model's weights in the recipe's type, and of a LoRA of the recipe's rank in float32."""

    model: int
    adapter: int


@dataclass(frozen=True)
class Parts:
    """The machinery of a run, chosen once by whoever wires it.

    `base` is the model that is sampled, judged and trained on; `exact` its weights as fine as the source has them, from
    which merges are summed (`models.resolve_exact`). `fingerprint` is the SHA-256 of a model folder that `merge` and
    `rebuild` tell; `footprint` is what model and adapter take on the disk, `gpu_peak` what models took at most on this
    process's GPUs since it was last asked.
    """

    base: Path
    exact: Path
    tokenizer: Tokenizer
    checker: Checker
    open_sampler: Callable[[Path], Sampler]
    train: Train
    merge: Merge
    rebuild: Rebuild
    fingerprint: Callable[[Path], str]
    footprint: Footprint
    gpu_peak: GpuPeak
    runtime: Runtime
    versions: dict[str, Scalar]


class Samplers:
    """At most one open sampler; asked for the model it holds, it is used as it is."""

    def __init__(self, open_sampler: Callable[[Path], Sampler]) -> None:
        self._open = open_sampler
        self._stack = ExitStack()
        self._model: Path | None = None
        self._sampler: Sampler | None = None

    def at(self, model: Path) -> Sampler:
        """The sampler on this model; one on another model is closed first."""
        if self._sampler is None or self._model != model:
            self.close()
            self._sampler = self._stack.enter_context(self._open(model))
            self._model = model
        return self._sampler

    def close(self) -> None:
        """Free the model and what it holds."""
        self._stack.close()
        self._sampler = self._model = None
