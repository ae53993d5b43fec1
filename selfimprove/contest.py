"""Champion against challenger: the judging stage of a round.

The champion's answers to the held-out problems are looked up in the records of earlier rounds; what is missing is
judged first. Then the challenger is judged batch by batch, and the gate looks after each batch. Judging ends when the
gate has decided, so a clear case costs a fraction of the held-out set.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from selfimprove.events import Flip, Looked, StageProgress, StageStarted
from selfimprove.gate import Decision, alpha_of_round, decide, look_at
from selfimprove.judging import AnswersByKey, Judge, batched, judging_order, pairs_of, read_answers
from selfimprove.problem import Problem, fresh_heldout
from selfimprove.stages import Job


def judge(job: Job) -> dict[str, Any]:
    """Judge the challenger against the champion on held-out problems until the gate decides, into verdicts.jsonl."""
    order = held_out_order(job)
    bench = Judge(job.recipe, job.parts.tokenizer, job.parts.checker, job.files.verdicts)
    known = earlier_answers(job)
    missing = [problem for problem in order if problem.key not in known]
    total = len(missing) + len(order)
    kept = bench.kept(job.champion.number, missing) + bench.kept(job.number, order)
    job.emit(StageStarted(job.number, "judge", total, kept, "problems"))
    champion: dict[str, Any] = dict(known)
    done = 0
    size = job.recipe.gate.batch
    for fresh in bench.answers(
        lambda: job.samplers.at(job.champion_model()), job.champion.number, list(batched(missing, size))
    ):
        champion |= fresh
        done += len(fresh)
        job.emit(StageProgress(job.number, "judge", done, total, tokens_of(champion)))
    challenger: dict[str, Any] = {}
    batches = list(batched(order, size))
    with closing(bench.answers(lambda: job.samplers.at(job.files.model), job.number, batches)) as looks:
        for batch, fresh in zip(batches, looks, strict=True):
            challenger |= fresh
            done += len(batch)
            job.emit(StageProgress(job.number, "judge", done, total, tokens_of(challenger)))
            _emit_flips(job, batch, champion, fresh)
            if _look(job, order, champion, challenger) is not None:
                break
    return {
        "problems": len(challenger),
        "champion_problems": len(missing),
        "tokens": tokens_of(challenger) + tokens_of({p.key: champion[p.key] for p in missing}),
    }


def held_out_order(job: Job) -> list[Problem]:
    """The held-out problems in the order of this round's looks; new ones each round if the gate wants them fresh."""
    heldout = job.problems.heldout
    if job.recipe.gate.fresh:
        heldout = fresh_heldout(job.recipe.problems, job.problems, job.number)
    return judging_order(heldout, job.seed("judge order"))


def earlier_answers(job: Job) -> AnswersByKey:
    """The champion's answers from earlier rounds, by problem key."""
    paths = [job.journal.round(number).verdicts for number in range(1, job.number)]
    return read_answers(paths, job.champion.number)


def round_alpha(job: Job) -> float:
    """The error this round may spend."""
    return alpha_of_round(job.recipe.gate.alpha, job.number)


def _look(job: Job, order: Sequence[Problem], champion: AnswersByKey, challenger: AnswersByKey) -> Decision | None:
    pairs = pairs_of(order, champion, challenger)
    settings, alpha = job.recipe.gate, round_alpha(job)
    look = look_at(pairs, len(order), settings, alpha)
    seen = (look.judged, len(order), look.wins, look.losses, look.evidence, look.threshold, look.gain)
    job.emit(Looked(job.number, *seen))
    return decide(pairs, len(order), settings, alpha)


def _emit_flips(job: Job, batch: Sequence[Problem], champion: AnswersByKey, challenger: AnswersByKey) -> None:
    for problem in batch:
        before, after = champion[problem.key][0], challenger[problem.key][0]
        if before.correct != after.correct:
            reference = problem.answer or ""
            job.emit(Flip(job.number, after.correct, problem.question, reference, before.text, after.text))


def tokens_of(answers: AnswersByKey) -> int:
    """Sampled tokens of the answers."""
    return sum(len(row.token_ids) for found in answers.values() for row in found)
