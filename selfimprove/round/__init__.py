"""One round: the stages in a table, run in order where their done-record is missing, then the record of the round.

The table is all there is to know about order and files: a stage is a function of the round's `Job` and the names of the
files that its done-record hashes. What it costs is measured around it (`host/metering.py`). `round.json` is written
last and holds everything a later round, a report or an auditor needs: parent and chain, the stages with their counts
and hashes, both scorecards, every look of the gate, the certificate and the versions of what ran.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from selfimprove.events import Note, RoundFinished, RoundStarted, StageFinished
from selfimprove.host.metering import metered
from selfimprove.recipe import Recipe
from selfimprove.round import harvest, judge, merge, placebo, rollout, sample, train
from selfimprove.round.answers import read_answers
from selfimprove.round.job import Job
from selfimprove.round.prefixes import prefix_statistics
from selfimprove.round.schedule import schedule_record, scheduled
from selfimprove.store.durable import read_json, remove, write_json
from selfimprove.store.journal import FORMAT


@dataclass(frozen=True)
class Stage:
    """A stage's name, what runs it, the files that its done-record hashes, and whether a recipe asks for it."""

    name: str
    run: Callable[[Job], dict[str, Any]]
    files: tuple[str, ...]
    wanted: Callable[[Recipe], bool] = lambda recipe: True


STAGES = (
    Stage("sample", sample.sample, ("samples.jsonl",)),
    Stage("rollout", rollout.rollout, ("rollouts.jsonl",), lambda recipe: recipe.prefixes.selection.continues),
    Stage("harvest", harvest.select, ("examples.jsonl",)),
    Stage("train", train.train, ("adapter",)),
    Stage("merge", merge.merge, ("certificate.json",)),
    Stage("judge", judge.judge, ("verdicts.jsonl",)),
    Stage(
        "placebo", placebo.placebo, ("placebo/adapter", "placebo/verdicts.jsonl"), lambda recipe: recipe.gate.placebo
    ),
)


def run_round(job: Job, earlier: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The round's record, after running the stages that have no done-record; `earlier` are the records before it."""
    planned = job.recipe
    job = replace(job, recipe=scheduled(planned, earlier))
    job.files.path.mkdir(parents=True, exist_ok=True)
    job.emit(RoundStarted(job.number, job.champion.number))
    done = [_run_stage(job, stage) for stage in STAGES if stage.wanted(job.recipe)]
    record = _record(job, done, schedule_record(planned, earlier))
    write_json(job.files.record, record)
    job.emit(round_finished(record))
    return record


def round_finished(record: dict[str, Any], earlier: bool = False) -> RoundFinished:
    """The event that tells a round's record."""
    decision = record["decision"]
    before, after = (record["scorecard"][side]["accuracy"] for side in ("champion", "challenger"))
    return RoundFinished(
        number=record["round"],
        accepted=decision["accepted"],
        champion_accuracy=before,
        challenger_accuracy=after,
        gain=after - before,
        sentence=decision["sentence"],
        earlier=earlier,
    )


def _run_stage(job: Job, stage: Stage) -> dict[str, Any]:
    record = job.files.done(stage.name)
    reused = record is not None
    if record is None:
        with metered(job.files.unfinished_cost(stage.name), job.parts.gpu_peak) as meter:
            counts = stage.run(job)
        record = job.files.mark_done(stage.name, meter.cost, counts, stage.files)
    remove(job.files.work(stage.name))  # not before: a kill on the way to the record would cost the whole training
    job.emit(
        StageFinished(
            number=job.number, stage=stage.name, seconds=record["seconds"], counts=record["counts"], reused=reused
        )
    )
    return record


def _record(job: Job, done: list[dict[str, Any]], schedule: dict[str, Any]) -> dict[str, Any]:
    champion = judge.champion_answers(job.journal, job.number, job.champion.number)
    challenger = read_answers(job.files.verdicts, job.number)
    heldout = [problem.key for problem in judge.held_out_order(job)]
    judged = judge.judgement(job.recipe, job.number, heldout, champion, challenger)
    if judged["alarm"]:
        job.emit(Note(judged["alarm"]))
    length = judge.statistics_length(job.recipe)
    return {
        "format": FORMAT,
        "round": job.number,
        "parent": job.champion.number,
        "chain": list(job.champion.chain),
        "schedule": schedule,
        "stages": done,
        "prefixes": prefix_statistics(sample.read_completions(job.files.samples), length),
        **judged,
        "placebo": placebo.placebo_record(job.files, job.number) if job.recipe.gate.placebo else None,
        "certificate": read_json(job.files.certificate),
        "versions": job.parts.versions,
    }
