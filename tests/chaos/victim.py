"""One life of the run, in the process that will be killed: the real parts, with a tracer and a saboteur listening.

This module is what the server of processes loads beforehand, so it imports what a life would import while it works.
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
from selfimprove.problem import load_problems
from selfimprove.recipe import Runtime
from selfimprove.round.machinery import OnStep, Train, TrainCounts, TrainJob
from selfimprove.runs.assemble import parts_of
from selfimprove.runs.loop import run_rounds
from selfimprove.sampling import Completion, Request
from selfimprove.store import durable
from selfimprove.store.journal import Identity, Journal
from selfimprove.training import train
from tests.chaos.orders import Life
from tests.chaos.saboteur import Saboteur
from tests.chaos.setting import ROUNDS, TINY, Setting
from tests.chaos.trace import Tracer

AT_FIRST_USE = (
    "scipy.integrate",
    "scipy.special",
    "scipy.stats",
    "peft.utils.transformers_weight_conversion",
    "transformers.models.llama.modeling_llama",
)
"""Modules that are imported when they are needed first; here they would be so in every life."""

for _name in AT_FIRST_USE:
    importlib.import_module(_name)

RUNTIME = Runtime(engine="transformers", device="cpu", threads=1, checker_workers=1)


def make_model(setting: Setting) -> None:
    """Make the tiny model, or convert the one that is named, into the setting's cache."""
    silence_transformers()
    if setting.model == TINY:
        make_tiny_model(setting.folder / TINY, dtype="bfloat16", sharded=True)
    base = resolve_model(setting.recipe.model, setting.cache)
    resolve_exact(setting.recipe.model, base, setting.cache)


def run_victim(life: Life, tracer: Tracer) -> None:
    """Bring the life's run to its end with the real parts, or die where its kill says."""
    saboteur = Saboteur(life.kill, tracer)
    durable.fault = saboteur.at_point

    def emit(event: Event) -> None:
        saboteur.at_mark(tracer.hear(event))

    recipe, cache = life.setting.recipe, life.setting.cache
    problems = load_problems(recipe.problems)
    base = resolve_model(recipe.model, cache)
    identity = Identity(base.fingerprint, problems.fingerprint())
    with Checker(workers=RUNTIME.checker_workers) as checker:
        real = parts_of(recipe, base, RUNTIME, checker, cache)
        parts = replace(real, open_sampler=lambda model: _TracedSampler(model, tracer), train=_traced(tracer))
        run_rounds(recipe, problems, identity, parts, Journal(life.run), ROUNDS, emit)


class _TracedSampler:
    """The transformers engine; each chunk is told before it is sampled."""

    reproducible = True

    def __init__(self, model: Path, tracer: Tracer) -> None:
        self._name = f"{model.parent.name}/{model.name}"
        self._sampler = TransformersSampler(model, RUNTIME)
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


def _traced(tracer: Tracer) -> Train:
    """The trainer; each step is told when it is done."""

    def traced(job: TrainJob, on_step: OnStep) -> TrainCounts:
        def step(number: int, steps: int, loss: float, learning_rate: float) -> None:
            tracer.write("work", kind="training steps", units=[f"{tracer.place} {number}"])
            on_step(number, steps, loss, learning_rate)

        return train(job, step)

    return traced
