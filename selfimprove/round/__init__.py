"""One round: the stages in a table, run in order where their done-record is missing, then the record of the round.

The table is all there is to know about order and files: a stage is a function of the round's `Job` and the names of the
files that its done-record hashes. With `schedule.steps` above 1, the stages up to training run once for each step, each
with done-records and files of its own (`store/round_folder.py`), and the later ones once, after the last step. What a
stage costs is measured around it (`host/metering.py`). `round.json` is written last and holds everything a later round,
a report or an auditor needs: parent and chain, the stages with their counts and hashes, both scorecards, every look of
the gate, the certificate, the decoding and the versions of what ran.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from selfimprove.events import Note, RoundFinished, RoundStarted, StageFinished, StepStarted
from selfimprove.host.metering import metered
from selfimprove.recipe import Recipe
from selfimprove.round import harvest, judge, merge, placebo, rollout, sample, train
from selfimprove.round.answers import RunAnswers, judging_decoding
from selfimprove.round.guarding import GuardAnswers
from selfimprove.round.job import Job
from selfimprove.round.prefixes import prefix_statistics
from selfimprove.round.schedule import schedule_record, scheduled
from selfimprove.sampling import read_own_decoding, resolve
from selfimprove.store.durable import remove
from selfimprove.store.records import Counts, DecodingRecord, DrawRecord, RoundRecord, ScheduleRecord, StageRecord
from selfimprove.store.round_folder import RoundFolder


@dataclass(frozen=True)
class Stage:
    """A stage's name, what runs it, the files that its done-record hashes, and whether a recipe asks for it."""

    name: str
    run: Callable[[Job], Counts]
    files: Callable[[RoundFolder], Sequence[Path]]
    wanted: Callable[[Recipe], bool] = lambda recipe: True


STEP_STAGES = (
    Stage("sample", sample.sample, lambda folder: [folder.samples]),
    Stage("rollout", rollout.rollout, lambda folder: [folder.rollouts], rollout.wanted),
    Stage("harvest", harvest.select, lambda folder: [folder.examples]),
    Stage("train", train.train, lambda folder: [folder.adapter]),
)
"""The stages that every step of a round runs (`schedule.steps`)."""

STAGES = (
    *STEP_STAGES,
    Stage("merge", merge.merge, lambda folder: [folder.certificate]),
    Stage("judge", judge.judge, RoundFolder.verdict_files),
    Stage("placebo", placebo.placebo, lambda folder: [folder.placebo_adapter, folder.placebo_verdicts], placebo.wanted),
)


def run_round(job: Job, earlier: Sequence[RoundRecord]) -> RoundRecord:
    """The round's record, after running the stages that have no done-record; `earlier` are the records before it."""
    planned = job.recipe
    job = replace(job, recipe=scheduled(planned, earlier))
    job.files.make()
    job.emit(RoundStarted(job.number, job.champion.number))
    done = [record for step in range(1, job.recipe.schedule.steps) for record in _run_step(job, step)]
    _tell_step(job, job.recipe.schedule.steps)
    done += [_run_stage(job, stage) for stage in STAGES if stage.wanted(job.recipe)]
    record = _record(job, done, schedule_record(planned, earlier))
    job.files.write(record)
    job.emit(round_finished(record))
    return record


def _run_step(job: Job, step: int) -> list[StageRecord]:
    """Sample, harvest and train one of the steps before the last."""
    _tell_step(job, step)
    job = replace(job, step=step)
    job.files.make()
    return [_run_stage(job, stage) for stage in STEP_STAGES if stage.wanted(job.recipe)]


def _tell_step(job: Job, step: int) -> None:
    steps = job.recipe.schedule.steps
    if steps > 1:
        job.emit(StepStarted(number=job.number, step=step, steps=steps))


def round_finished(record: RoundRecord, earlier: bool = False) -> RoundFinished:
    """The event that tells a round's record."""
    return RoundFinished(
        number=record.round,
        accepted=record.accepted,
        champion_accuracy=record.scorecard.champion.accuracy,
        challenger_accuracy=record.scorecard.challenger.accuracy,
        gain=record.gain,
        sentence=record.decision.sentence,
        earlier=earlier,
        parts=split.plain() if (split := record.scorecard.split) else None,
        reason=record.decision.reason,
    )


def _run_stage(job: Job, stage: Stage) -> StageRecord:
    record = job.files.done(stage.name)
    reused = record is not None
    if record is None:
        with metered(job.files.unfinished_cost(stage.name), job.machinery.gpus) as meter:
            counts = stage.run(job)
        record = job.files.mark_done(stage.name, meter.cost, counts, stage.files(job.files))
    remove(job.files.work(stage.name))  # not before: a kill on the way to the record would cost the whole training
    job.emit(
        StageFinished(
            number=job.number, stage=stage.name, seconds=record.seconds, counts=record.counts.plain(), reused=reused
        )
    )
    return record


def _record(job: Job, done: Sequence[StageRecord], schedule: ScheduleRecord) -> RoundRecord:
    answers = RunAnswers(job.journal)
    champion, challenger = answers.champion(job.number, job.champion.number), answers.of(job.number, job.number)
    heldout = [problem.key for problem in judge.held_out_order(job)]
    guards = GuardAnswers(job.recipe, job.journal).of(job.number, job.champion.number)
    judged = judge.judgement(job.recipe, job.number, judge.terms_of_job(job), heldout, champion, challenger, guards)
    if judged.alarm:
        job.emit(Note(judged.alarm))
    length = judge.statistics_length(job.recipe)
    steps = [job.files.at_step(step) for step in (*range(1, job.recipe.schedule.steps), 0)]
    samples = [found for files in steps for found in sample.read_completions(files.samples)]
    return RoundRecord(
        format=job.journal.bound().format,
        round=job.number,
        parent=job.champion.number,
        chain=job.champion.chain,
        schedule=schedule,
        stages=tuple(done),
        prefixes=prefix_statistics(samples, length),
        scorecard=judged.scorecard,
        decision=judged.decision,
        **({"guards": judged.guards} if judged.guards else {}),
        alarm=judged.alarm,
        placebo=placebo.placebo_record(job.files, job.number) if job.recipe.gate.placebo else None,
        certificate=job.files.certified(),
        decoding=_decoding(job),
        versions=job.machinery.versions,
    )


def _decoding(job: Job) -> DecodingRecord:
    own = read_own_decoding(job.machinery.base)
    asked = (sample.training_decoding(job.recipe), judging_decoding(job.recipe))
    sampling, judging = (DrawRecord(**asdict(resolve(decoding, own))) for decoding in asked)
    return DecodingRecord(sampling=sampling, judging=judging, ignored=own.ignored)
