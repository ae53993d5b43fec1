"""What each stage of a round does: from champion and problems to judged answers, through files.

A stage reads what the one before it wrote, works in units that are durable one by one (chunks of samples, training
checkpoints, judged batches), and returns the counts of its done-record. Called again after a kill, it keeps what is
durable and goes on; it never needs to know whether it is resumed. Models come in
as the callables of `Parts`.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selfimprove.durable import append_rows, keep_rows, publish, read_rows, write_atomically, write_json
from selfimprove.errors import StageError
from selfimprove.events import Emit, StageProgress, StageStarted, TrainStep
from selfimprove.journal import Champion, Journal, RoundFolder
from selfimprove.model_cache import ModelCache
from selfimprove.parts import Parts, Samplers
from selfimprove.prefixes import Example, Kind, assign_kinds, token_limit
from selfimprove.problem import Problem, ProblemSets
from selfimprove.recipe import Recipe
from selfimprove.sampling import (
    Completion,
    Decoding,
    Request,
    Row,
    derive_seed,
    owed_chunks,
    plan_chunks,
    render_prompt,
    sample_chunks,
)
from selfimprove.shapes import ExampleRow, RowShape, SampleRow, checked_rows


@dataclass(frozen=True)
class Job:
    """One round to run: its number, what it starts from, and where it writes."""

    number: int
    champion: Champion
    recipe: Recipe
    problems: ProblemSets
    parts: Parts
    journal: Journal
    samplers: Samplers
    models: ModelCache
    emit: Emit

    @property
    def files(self) -> RoundFolder:
        """The round's folder."""
        return self.journal.round(self.number)

    def seed(self, *parts: int | str) -> int:
        """A seed of this round for the given purpose."""
        return derive_seed(self.recipe.seed, self.number, *parts)

    def champion_model(self) -> Path:
        """The champion's model folder, built again if its cache is missing or damaged."""
        return self.models.folder(self.champion)

    def challenger_model(self) -> Path:
        """The model folder that this round's merge made, likewise."""
        return self.models.folder(Champion(self.number, (*self.champion.chain, self.number)))


def problems_of_round(job: Job) -> list[Problem]:
    """The training problems of this round: all, or the next part of a seeded order, over again when it is through."""
    ordered = sorted(job.problems.train, key=lambda problem: problem.key)
    random.Random(derive_seed(job.recipe.seed, "train order")).shuffle(ordered)
    wanted = min(job.recipe.sampling.problems_per_round or len(ordered), len(ordered))
    first = (job.number - 1) * wanted
    return [ordered[(first + place) % len(ordered)] for place in range(wanted)]


def sample(job: Job) -> dict[str, Any]:
    """Sample the round's completions into samples.jsonl, chunk by chunk."""
    kinds = kinds_of_round(job)
    requests = _requests(job, kinds)
    return draw(job, "sample", job.files.samples, requests, lambda row: {"kind": kinds[row]})


def draw(
    job: Job, stage: str, path: Path, requests: Sequence[Request], fields: Callable[[Row], dict[str, Any]]
) -> dict[str, Any]:
    """Sample the requests from the champion into a file of completions, chunk by chunk; returns the stage's counts.

    `fields` is what a row of the file holds beside its completion. Whole chunks that are there are kept.
    """
    settings = job.recipe.sampling
    chunks = plan_chunks(requests, settings.chunk_rows, settings.chunk_tokens)
    rows = _rows(path, SampleRow)
    owed, kept = owed_chunks(chunks, map(_completion, rows))
    whole = {completion.row for completion in kept}
    keep_rows(path, [row for row in rows if (row["key"], row["sample"]) in whole])
    job.emit(StageStarted(job.number, stage, len(requests), len(kept), "rows"))
    done, tokens = list(kept), 0
    for fresh in sample_chunks(job.samplers.at(job.champion_model()), owed) if owed else ():
        append_rows(path, [{**fields(c.row), **asdict(c)} for c in fresh])
        done += fresh
        tokens += sum(len(c.token_ids) for c in fresh)
        job.emit(StageProgress(job.number, stage, len(done), len(requests), tokens))
    if not path.exists():  # nothing was asked for: the stage's file is there, and empty
        write_atomically(path, b"")
    return {
        "rows": len(done),
        "sampled_tokens": sum(len(c.token_ids) for c in done),
        "prompt_tokens": sum(len(r.prompt_ids) for chunk in chunks for r in chunk),
        "truncated": sum(c.stop == "length" for c in done),
    }


def read_completions(path: Path) -> list[Completion]:
    """The completions of a file that `draw` made."""
    return [_completion(row) for row in _rows(path, SampleRow)]


def train(job: Job) -> dict[str, Any]:
    """Fit the round's adapter on the champion."""
    return fit(job, "train", read_examples(job), job.files.adapter)


def fit(job: Job, stage: str, examples: Sequence[Example], adapter: Path) -> dict[str, Any]:
    """Fit an adapter on the champion into `adapter`, telling its steps under the stage's name.

    The training checkpoint stays in the stage's work folder until its done-record stands.
    """
    model = job.champion_model()
    job.samplers.close()
    work, out = job.files.work(stage), job.files.scratch(f"{stage}-adapter")
    shutil.rmtree(out, ignore_errors=True)
    work.mkdir(exist_ok=True)
    started = False

    def on_step(step: int, steps: int, loss: float, learning_rate: float) -> None:
        nonlocal started
        if not started:
            job.emit(StageStarted(job.number, stage, steps, step - 1, "steps"))
            started = True
        job.emit(TrainStep(job.number, step, steps, loss, learning_rate))

    seed = job.seed("train")
    counts = job.parts.train(examples, model, work, out, job.recipe.training, seed, job.parts.runtime, on_step)
    publish(out, adapter)
    return counts


def read_examples(job: Job) -> list[Example]:
    """The round's examples from examples.jsonl."""
    return [_example(row) for row in _rows(job.files.examples, ExampleRow)]


def merge(job: Job) -> dict[str, Any]:
    """Merge base, accepted chain and this adapter into model/, certified in certificate.json."""
    job.emit(StageStarted(job.number, "merge", 1, 0, "model"))
    parent = job.champion_model()
    job.samplers.close()
    out = job.files.scratch("model")
    shutil.rmtree(out, ignore_errors=True)
    adapters = [job.journal.round(number).adapter for number in (*job.champion.chain, job.number)]
    settings, rounding, canaries = job.recipe.merging, job.recipe.rounding(), _canaries(job)
    runtime = job.parts.runtime
    certificate = job.parts.merge(job.parts.exact, adapters, parent, out, settings, rounding, canaries, runtime)
    write_json(job.files.certificate, certificate)
    if not certificate["passed"]:
        raise StageError(
            f"round {job.number}: the merge failed its certificate: {'; '.join(certificate['failures'])}",
            f"{job.files.certificate} has the figures. If rounding lost the update, start a new run with "
            f"--set model.dtype=float32, or with a higher rate than {job.recipe.training.learning_rate:g} "
            "(--set training.learning_rate=…).",
        )
    publish(out, job.files.model)
    job.models.made(job.files.model)
    told = ("survival", "functional_share", "agreement")
    return {"adapters": len(adapters), **{figure: certificate[figure] for figure in told}}


def kinds_of_round(job: Job) -> dict[Row, Kind]:
    """The rows that the round samples, each with its kind."""
    samples = range(job.recipe.sampling.samples)
    rows = [(problem.key, number) for problem in problems_of_round(job) for number in samples]
    return assign_kinds(rows, job.recipe.prefixes, job.seed("kinds"))


def training_decoding(recipe: Recipe) -> Decoding:
    """How training samples are drawn."""
    settings = recipe.sampling
    return Decoding(settings.temperature, settings.top_p, settings.top_k)


def _requests(job: Job, kinds: dict[Row, Kind]) -> list[Request]:
    decoding, longest = training_decoding(job.recipe), job.recipe.sampling.max_new_tokens
    plain = {problem.key: plain_prompt(job, problem) for problem in problems_of_round(job)}
    limits = {kind: token_limit(kind, job.recipe.prefixes, longest) for kind in set(kinds.values())}
    return [
        Request(key, number, plain[key], limits[kind], job.seed("sample", key, number), decoding)
        for (key, number), kind in kinds.items()
    ]


def plain_prompt(job: Job, problem: Problem) -> tuple[int, ...]:
    """The ids of the problem's plain question."""
    settings = job.recipe.sampling
    return render_prompt(job.parts.tokenizer, settings.system, settings.prompt, problem.question)


def _canaries(job: Job) -> list[tuple[int, ...]]:
    chosen = sorted(job.problems.heldout, key=lambda problem: problem.key)[: job.recipe.merging.canaries]
    return [plain_prompt(job, problem) for problem in chosen]


def _rows(path: Path, shape: type[RowShape]) -> list[dict[str, Any]]:
    return checked_rows(path, read_rows(path), shape)


def _completion(row: dict[str, Any]) -> Completion:
    return Completion(row["key"], row["sample"], tuple(row["token_ids"]), row["stop"], row["seed"])


def _example(row: dict[str, Any]) -> Example:
    return Example(**{**row, "prompt_ids": tuple(row["prompt_ids"]), "target_ids": tuple(row["target_ids"])})
