"""How much faster several workers of a Ray cluster sample than one: the same chunks, the same threads per worker.

    python -m benchmarks.bench.ray

A cluster is started on this machine (or the one it belongs to is used). All workers are ready before timing starts. One
pass submits the chunks one at a time, so that a single worker is busy; the other keeps all of them busy. The passes
alternate, and the best of each kind counts, since other programs can only make one slower; the processor time of other
programs during the best passes is reported with the figures. The completions of both kinds are compared.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from selfimprove.engines.ray import Cluster
from selfimprove.models import default_cache, load_tokenizer, resolve_model
from selfimprove.problem import load_problems
from selfimprove.recipe import Recipe, Runtime
from selfimprove.recipe.reading import parse_recipe
from selfimprove.sampling import Completion, Decoding, Request, derive_seed, plan_chunks, render_prompt

ROWS = 16
TOKENS = 48


@dataclass(frozen=True)
class Pass:
    """One pass over the chunks: its seconds, and the mean number of cores that other programs used meanwhile."""

    seconds: float
    others: float


@dataclass(frozen=True, kw_only=True)
class RaySpeed:
    """The best pass of one worker and of all `workers`, over the same chunks."""

    model: str
    workers: int
    threads: int
    chunks: int
    tokens: int
    repeats: int
    one: Pass
    all: Pass
    equal: bool

    @property
    def speedup(self) -> float:
        """How many times faster all workers were than one."""
        return self.one.seconds / self.all.seconds

    def sentence(self) -> str:
        """The figures in a line."""
        one, many = self.tokens / self.one.seconds, self.tokens / self.all.seconds
        same = "equal" if self.equal else "DIFFERENT"
        return (
            f"{self.model}, {self.chunks} chunks, {self.tokens:,} tokens, {self.threads} thread a worker, best of "
            f"{self.repeats}: 1 worker {one:,.0f} tokens/s, {self.workers} workers {many:,.0f} tokens/s, "
            f"{self.speedup:.2f} times as fast; completions {same}; other programs used {self.one.others:.2f} and "
            f"{self.all.others:.2f} cores"
        )


def measure_ray(workers: int = 2, chunks: int = 4, threads: int = 1, repeats: int = 2) -> RaySpeed:
    """Sample `chunks` chunks of the embedded model with one worker and with `workers`, `repeats` times each."""
    problems = {"train_size": chunks * ROWS, "heldout_size": 1, "sealed_size": 1}
    recipe = parse_recipe({"problems": problems}, "the measurement")
    model = resolve_model(recipe.model, default_cache()).path
    planned = _chunks(recipe, model)
    runtime = Runtime(ray="auto", device="cpu", engine="transformers", threads=threads, workers=workers)
    one: list[Pass] = []
    many: list[Pass] = []
    with Cluster(runtime) as cluster, cluster.sampler(model) as sampler:
        sampler.await_workers()
        for _ in range(repeats):
            alone = _timed(lambda: [list(sampler.sample(chunk)) for chunk in planned], one)
            together = _timed(lambda: list(sampler.sample_chunks(planned)), many)
    tokens = sum(len(completion.token_ids) for chunk in alone for completion in chunk)
    best_one, best_many = (min(passes, key=lambda found: found.seconds) for passes in (one, many))
    return RaySpeed(
        model=recipe.model.name,
        workers=workers,
        threads=threads,
        chunks=len(planned),
        tokens=tokens,
        repeats=repeats,
        one=best_one,
        all=best_many,
        equal=alone == together,
    )


def _timed(sample: Callable[[], list[list[Completion]]], passes: list[Pass]) -> list[list[Completion]]:
    busy, own, started = _busy_seconds(), _own_seconds(), time.perf_counter()
    found = sample()
    seconds = time.perf_counter() - started
    others = (_busy_seconds() - busy) - (_own_seconds() - own)
    passes.append(Pass(seconds, max(0.0, others / seconds)))
    return found


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def _own_seconds() -> float:
    """Processor seconds of this process and its descendants, workers included if the cluster was started here."""
    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _chunks(recipe: Recipe, model: Path) -> Sequence[Sequence[Request]]:
    tokenizer = load_tokenizer(model)
    decoding = Decoding(recipe.sampling.temperature)
    requests = [
        Request(
            key=problem.key,
            sample=0,
            prompt_ids=render_prompt(tokenizer, "", recipe.sampling.prompt, problem.question),
            max_new_tokens=TOKENS,
            seed=derive_seed(0, "bench", problem.key),
            decoding=decoding,
        )
        for problem in load_problems(recipe.problems).train
    ]
    return plan_chunks(requests, ROWS, recipe.sampling.chunk_tokens)


if __name__ == "__main__":
    sys.stdout.write(measure_ray().sentence() + "\n")
