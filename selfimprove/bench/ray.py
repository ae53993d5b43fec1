"""How much faster several workers of a Ray cluster sample than one: the same chunks, the same threads per worker.

    python -m selfimprove.bench.ray

A cluster is started on this machine for each of the two (or `--ray auto`'s is used), all workers are ready and have
sampled a chunk before the clock starts, and it stops with the last completion. The completions of both are compared.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selfimprove.engines.ray import Cluster
from selfimprove.models import default_cache, load_tokenizer, resolve_model
from selfimprove.problem import load_problems
from selfimprove.recipe import Recipe, Runtime, parse_recipe
from selfimprove.sampling import Completion, Decoding, Request, derive_seed, plan_chunks, render_prompt

ROWS = 16
TOKENS = 48


@dataclass(frozen=True)
class RaySpeed:
    """Seconds that one worker and `workers` of them took for the same chunks."""

    model: str
    workers: int
    threads: int
    chunks: int
    tokens: int
    seconds_one: float
    seconds_all: float
    equal: bool

    @property
    def speedup(self) -> float:
        """How many times faster all workers were than one."""
        return self.seconds_one / self.seconds_all

    def sentence(self) -> str:
        """The figures in a line."""
        one, many = self.tokens / self.seconds_one, self.tokens / self.seconds_all
        same = "equal" if self.equal else "DIFFERENT"
        return (
            f"{self.model}, {self.chunks} chunks, {self.tokens:,} tokens, {self.threads} thread a worker: "
            f"1 worker {one:,.0f} tokens/s, {self.workers} workers {many:,.0f} tokens/s, "
            f"{self.speedup:.2f} times as fast; completions {same}"
        )


def measure_ray(workers: int = 2, chunks: int = 10, threads: int = 1) -> RaySpeed:
    """Sample `chunks` chunks of the embedded model with one worker and with `workers`."""
    problems = {"train_size": chunks * ROWS, "heldout_size": 1, "sealed_size": 1}
    recipe = parse_recipe({"problems": problems}, "the measurement")
    model = resolve_model(recipe.model, default_cache()).path
    planned = _chunks(recipe, model)
    one, seconds_one = _sample(model, planned, Runtime(ray="auto", device="cpu", threads=threads, workers=1))
    many, seconds_all = _sample(model, planned, Runtime(ray="auto", device="cpu", threads=threads, workers=workers))
    tokens = sum(len(completion.token_ids) for chunk in one for completion in chunk)
    return RaySpeed(
        recipe.model.name, workers, threads, len(planned), tokens, seconds_one, seconds_all, equal=one == many
    )


def _chunks(recipe: Recipe, model: Path) -> Sequence[Sequence[Request]]:
    tokenizer = load_tokenizer(model)
    decoding = Decoding(recipe.sampling.temperature)
    requests = [
        Request(
            problem.key,
            0,
            render_prompt(tokenizer, "", recipe.sampling.prompt, problem.question),
            TOKENS,
            derive_seed(0, "bench", problem.key),
            decoding,
        )
        for problem in load_problems(recipe.problems).train
    ]
    return plan_chunks(requests, ROWS, recipe.sampling.chunk_tokens)


def _sample(model: Path, chunks: Sequence[Sequence[Request]], runtime: Runtime) -> tuple[list[list[Completion]], float]:
    with Cluster(runtime) as cluster, cluster.sampler(model) as sampler:
        sampler.await_workers()
        list(sampler.sample_chunks([chunks[0]] * runtime.workers))
        started = time.perf_counter()
        found = list(sampler.sample_chunks(chunks))
        return found, time.perf_counter() - started


if __name__ == "__main__":
    sys.stdout.write(measure_ray().sentence() + "\n")
