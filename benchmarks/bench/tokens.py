"""What UPFT saves against rejection sampling: tokens sampled, tokens trained, and sampling time.

Two recipes on the same problems and the same model go through the real stages `sample` and `harvest`: UPFT as the
default recipe has it (one completion a problem, prefixes of 8 tokens, a tenth of the rows whole), and RFT (16 whole
completions a problem, those kept that the checker accepts). Tokens trained are the targets harvested; both recipes
train each of them equally often. Time is that spent inside the engine, which both share, loaded and warmed up.

The saving depends on the length of answers, so there are two settings: the demo's, where an answer is little more than
a number, and one that asks for worked steps. Each row's note has the mean length of the RFT completions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.bench import Row
from benchmarks.bench.clock import Clock, clocked
from selfimprove.answer.checking import Checker
from selfimprove.errors import StageError
from selfimprove.events import silence
from selfimprove.models import default_cache, resolve_model
from selfimprove.problem import ProblemSets, load_problems
from selfimprove.recipe import Recipe, Runtime
from selfimprove.recipe.reading import parse_recipe
from selfimprove.round.harvest import select
from selfimprove.round.job import Job
from selfimprove.round.machinery import Machinery, Samplers
from selfimprove.round.model_cache import ModelCache
from selfimprove.round.sample import sample
from selfimprove.runs.assemble import machinery_of
from selfimprove.store.champion import BASE
from selfimprove.store.journal import Journal

SAMPLES = 16
"""Completions a problem that RFT draws."""
UPFT: dict[str, Any] = {"select": "all", "length": 8, "structure_ratio": 0.1}
RFT: dict[str, Any] = {"select": "verified", "length": "full"}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A prompt for short or long answers, their limit in tokens, the number of problems, and UPFT's target share."""

    name: str
    prompt: str
    longest: int
    problems: int
    reach: float


SHORT = Setting(name="short", prompt="{question} Answer with the number only.", longest=32, problems=128, reach=0.025)
WORKED = Setting(
    name="worked",
    prompt="{question} Work it out step by step and explain each step before you answer.",
    longest=256,
    problems=32,
    reach=0.015,
)


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """What one recipe's round took: tokens sampled, targets harvested, rows, and seconds inside the engine."""

    tokens: int
    rows: int
    targets: int
    seconds: float


def measure_tokens(setting: Setting, runtime: Runtime, repeats: int, model: str = "") -> list[Row]:
    """Rows of a setting: tokens sampled, tokens trained, seconds of sampling, UPFT against RFT with 16 samples."""
    found = measure_rounds(setting, runtime, repeats, model)
    upft, rft = ([pair[side] for pair in found] for side in (0, 1))
    mean = rft[0].tokens / rft[0].rows
    note = f"{setting.problems} problems; RFT completions of {mean:.1f} tokens on average, at most {setting.longest}"
    kept = f"{note}; RFT's targets are those of the completions that the checker accepted"
    against, answers = f"RFT with {SAMPLES} samples", f"{setting.name} answers"
    return [
        Row(
            name=f"sampled-{setting.name}",
            what=f"tokens sampled in a UPFT round, {answers}",
            against=against,
            unit="tokens",
            ours=tuple(one.tokens for one in upft),
            other=tuple(one.tokens for one in rft),
            reach=setting.reach,
            note=note,
        ),
        Row(
            name=f"trained-{setting.name}",
            what=f"target tokens trained, {answers}",
            against=against,
            unit="tokens",
            ours=tuple(one.targets for one in upft),
            other=tuple(one.targets for one in rft),
            reach=0.2,
            note=kept,
        ),
        Row(
            name=f"sampling-time-{setting.name}",
            what=f"sampling wall-clock of a UPFT round, {answers}",
            against=f"{against}, same engine",
            unit="s",
            ours=tuple(one.seconds for one in upft),
            other=tuple(one.seconds for one in rft),
            reach=0.05,
            note=note,
        ),
    ]


def measure_rounds(setting: Setting, runtime: Runtime, repeats: int, model: str = "") -> list[tuple[Sampled, Sampled]]:
    """UPFT's and RFT's round of each repeat, alternating on one open engine, after a small warm-up round."""
    upft, rft = _recipe(setting, UPFT, 1, model), _recipe(setting, RFT, SAMPLES, model)
    problems = load_problems(upft.problems)
    with Checker(workers=runtime.usable_threads()) as checker:
        clock = Clock()
        base = resolve_model(upft.model, default_cache(), runtime.trust_remote_code)
        machinery = clocked(machinery_of(upft, base, runtime, checker), clock)
        samplers = Samplers(machinery.open_sampler)
        try:
            few = replace(problems, train=problems.train[:2])
            _round(rft, few, machinery, samplers, clock)
            return [
                (_round(upft, problems, machinery, samplers, clock), _round(rft, problems, machinery, samplers, clock))
                for _ in range(repeats)
            ]
        finally:
            samplers.close()


def _recipe(setting: Setting, prefixes: dict[str, Any], samples: int, model: str) -> Recipe:
    sampling = {"prompt": setting.prompt, "max_new_tokens": setting.longest, "samples": samples, "temperature": 0.7}
    sizes = {"train_size": setting.problems, "heldout_size": 1, "sealed_size": 1}
    data: dict[str, Any] = {"problems": sizes, "sampling": sampling, "prefixes": prefixes}
    return parse_recipe(data | ({"model": {"name": model}} if model else {}), "the measurement")


def _round(recipe: Recipe, problems: ProblemSets, machinery: Machinery, samplers: Samplers, clock: Clock) -> Sampled:
    with _job(recipe, problems, machinery, samplers) as job:
        before = clock.seconds["sample"]
        sampled = sample(job)
        seconds = clock.seconds["sample"] - before
        try:
            targets = select(job).harvested_tokens or 0
        except StageError:  # the checker accepted none of them
            targets = 0
        return Sampled(tokens=sampled.sampled_tokens or 0, rows=sampled.rows or 0, targets=targets, seconds=seconds)


@contextmanager
def _job(recipe: Recipe, problems: ProblemSets, machinery: Machinery, samplers: Samplers) -> Iterator[Job]:
    """Round 1 on the base model in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "run")
        journal.round(1).path.mkdir(parents=True)
        models = ModelCache(journal, machinery, recipe, silence)
        yield Job(1, BASE, recipe, problems, machinery, journal, samplers, models, silence)
