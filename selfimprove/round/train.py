"""Stage `train`: the round's LoRA, fitted to examples.jsonl on the champion.

The trainer's checkpoints stand in the stage's work folder until its done-record does, so a kill costs a few steps.
`fit` does the same for the placebo's twin.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from selfimprove.events import StageStarted, TrainStep
from selfimprove.round.job import Job
from selfimprove.round.machinery import TrainJob
from selfimprove.round.prefixes import Example
from selfimprove.store.durable import make_folder, publish, read_rows
from selfimprove.store.parsing import parsed_rows
from selfimprove.store.records import Counts
from selfimprove.store.rows import ExampleRow


def train(job: Job) -> Counts:
    """Fit the round's adapter on the champion, from where the step before left it."""
    return fit(job, "train", read_examples(job), job.files.adapter, job.adapter_so_far)


def fit(job: Job, stage: str, examples: Sequence[Example], adapter: Path, start: Path | None = None) -> Counts:
    """Fit an adapter on the champion into `adapter`, telling its steps under the stage's name.

    It begins as the adapter `start`, or fresh without one. The training checkpoint stays in the stage's work folder
    until its done-record stands.
    """
    model = job.champion_model()
    job.samplers.close()
    work, out = job.files.work(stage), job.files.scratch(f"{stage}-adapter")
    shutil.rmtree(out, ignore_errors=True)
    make_folder(work)
    started = False

    def on_step(step: int, steps: int, loss: float, learning_rate: float) -> None:
        nonlocal started
        if not started:
            job.emit(StageStarted(number=job.number, stage=stage, total=steps, kept=step - 1, unit="steps"))
            started = True
        job.emit(TrainStep(number=job.number, step=step, steps=steps, loss=loss, learning_rate=learning_rate))

    training = TrainJob(
        examples=examples,
        model=model,
        work=work,
        out=out,
        settings=job.recipe.training,
        seed=job.seed("train"),
        runtime=job.machinery.runtime,
        start=start,
    )
    counts = job.machinery.train(training, on_step)
    publish(out, adapter)
    return Counts(**asdict(counts))


def read_examples(job: Job) -> list[Example]:
    """The round's examples from examples.jsonl."""
    rows = parsed_rows(job.files.examples, read_rows(job.files.examples), ExampleRow)
    return [Example(**row.model_dump()) for row in rows]
