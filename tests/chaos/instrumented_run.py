"""The run under test, in the process that will be killed: the real machinery, with tracing and fault injection.

The forkserver loads this module before it forks, so it also imports what an attempt would import only while it works.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from selfimprove.answer.checking import Checker
from selfimprove.engines.transformers import TransformersSampler
from selfimprove.events import Event
from selfimprove.models import resolve_exact, resolve_model
from selfimprove.models.conversion import silence_transformers
from selfimprove.models.tiny import make_tiny_model
from selfimprove.problem import problems_of
from selfimprove.recipe import Runtime
from selfimprove.round.machinery import OnStep, Train, TrainCounts, TrainJob
from selfimprove.runs.assemble import machinery_of
from selfimprove.runs.loop import run_rounds
from selfimprove.sampling import Completion, Request
from selfimprove.store import durable
from selfimprove.store.journal import Identity, Journal
from selfimprove.training import train
from tests.chaos.attempt import Attempt
from tests.chaos.fault_injection import FaultInjector
from tests.chaos.trace import Tracer
from tests.chaos.workload import ROUNDS, TINY, Workload

LAZY_IMPORTS = (
    "scipy.integrate",
    "scipy.special",
    "scipy.stats",
    "peft.utils.transformers_weight_conversion",
    "transformers.models.llama.modeling_llama",
)
"""Modules that the program imports at first use; imported before the fork, they cost each attempt nothing."""

for _name in LAZY_IMPORTS:
    importlib.import_module(_name)

RUNTIME = Runtime(engine="transformers", device="cpu", threads=1, checker_workers=1)


def make_model(workload: Workload) -> None:
    """Make the tiny model, or convert the named one into the workload's cache."""
    silence_transformers()
    if workload.model == TINY:
        make_tiny_model(workload.folder / TINY, dtype="bfloat16", sharded=True)
    base = resolve_model(workload.recipe.model, workload.cache)
    resolve_exact(workload.recipe.model, base, workload.cache)


def run_instrumented(attempt: Attempt, tracer: Tracer) -> None:
    """Take the attempt's run to its end with the real machinery, or be killed where its kill says."""
    injector = FaultInjector(attempt.kill, tracer)
    durable.fault = injector.at_point

    def emit(event: Event) -> None:
        injector.at_mark(tracer.on_event(event))

    recipe, cache = attempt.workload.recipe, attempt.workload.cache
    problems = problems_of(recipe)
    base = resolve_model(recipe.model, cache)
    identity = Identity(base.fingerprint, problems.fingerprint())
    with Checker(workers=RUNTIME.checker_workers) as checker:
        real = machinery_of(recipe, base, RUNTIME, checker, cache)

        def open_sampler(model: Path, adapter: Path | None = None) -> _TracedSampler:
            return _TracedSampler(model, adapter, tracer)

        machinery = replace(real, open_sampler=open_sampler, train=_traced_train(tracer))
        run_rounds(recipe, problems, identity, machinery, Journal(attempt.run), ROUNDS, emit)


class _TracedSampler:
    """The transformers engine; writes each chunk to the trace before it is sampled."""

    reproducible = True

    def __init__(self, model: Path, adapter: Path | None, tracer: Tracer) -> None:
        self._name = f"{model.parent.name}/{model.name}"
        self._sampler = TransformersSampler(model, RUNTIME, adapter=adapter)
        self._tracer = tracer

    def __enter__(self) -> _TracedSampler:
        self._sampler.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sampler.__exit__(kind, error, trace)

    def sample(self, requests: Sequence[Request]) -> Iterator[Completion]:
        place = self._tracer.place
        kind = "sampled rows" if place.endswith("sample") else "judged rows"
        self._tracer.write("work", kind=kind, units=[f"{place} {self._name} {r.key}#{r.sample}" for r in requests])
        return self._sampler.sample(requests)


def _traced_train(tracer: Tracer) -> Train:
    """The trainer; writes each step to the trace when it is done."""

    def traced_train(job: TrainJob, on_step: OnStep) -> TrainCounts:
        def step(number: int, steps: int, loss: float, learning_rate: float) -> None:
            tracer.write("work", kind="training steps", units=[f"{tracer.place} {number}"])
            on_step(number, steps, loss, learning_rate)

        return train(job, step)

    return traced_train
