"""The line of rounds: who is champion, which round is next, when to stop, and the sealed finish.

`run_rounds` is given a target, not an increment: the same call after a kill goes on with the round that has no record,
and with nothing owed it says so. The champion is computed from the records before each round.

The sealed problems are touched once, when the target is reached: base against final champion, the number a run
reports. If the same run is later taken to more rounds and its champion changes, the sealed problems are judged again,
and `sealed.json` keeps both looks, numbered: a second look is no longer the clean figure that the first one was, and
every report says which look it shows.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from selfimprove.contest import tokens_of
from selfimprove.durable import content_hash, size_of, write_json
from selfimprove.errors import UsageError
from selfimprove.events import Emit, Event, Note, RunFinished, RunStarted, SealedJudged, StageProgress, StageStarted
from selfimprove.gate import alpha_of_round, interval_of_gain, interval_of_rate, power_lines, sentence_of_gain
from selfimprove.journal import BASE, FORMAT, Champion, Identity, Journal, champion_of
from selfimprove.judging import AnswersByKey, Judge, batched, judging_order, pairs_of, set_aside_faulty
from selfimprove.metering import metered
from selfimprove.model_cache import ModelCache
from selfimprove.parts import Parts, Samplers
from selfimprove.problem import Problem, ProblemSets, fresh_heldout
from selfimprove.recipe import Recipe
from selfimprove.round import round_finished, run_round
from selfimprove.sampling import Sampler, derive_seed, refuse_lost_questions
from selfimprove.space import Need, explained, need_of, refuse_if_short
from selfimprove.stages import Job


def run_rounds(
    recipe: Recipe, problems: ProblemSets, identity: Identity, parts: Parts, journal: Journal, rounds: int, emit: Emit
) -> dict[str, Any]:
    """Bring the run to `rounds` finished rounds and a sealed outcome; returns the content of sealed.json.

    A run that has them already owes nothing. Raises `UsageError` if the folder is held, bound to another recipe, model
    or problem set, or damaged, and `StageError` if a stage ends without a usable result; both leave what is durable.
    """
    journal.refuse_changes(recipe, identity)
    _refuse_missing_answers(recipe, problems)
    problems, faulty = set_aside_faulty(problems, parts.checker)
    _refuse_empty_sets(problems)
    questions = [problem.question for problem in (*problems.train, *problems.heldout, *problems.sealed)]
    refuse_lost_questions(parts.tokenizer, recipe.sampling.system, recipe.sampling.prompt, questions)
    if recipe.gate.fresh:
        fresh_heldout(recipe.problems, problems, 1)  # refused before anything is written, if it can't be had
    with explained(journal.folder):
        owed = max(0, rounds - len(journal.rounds()))
        refuse_if_short(journal.folder, _need(recipe, problems, parts, owed))
        with journal.lock():
            journal.bind(recipe, identity)
            return _bring_to(rounds, recipe, problems, faulty, parts, journal, emit)


def _need(recipe: Recipe, problems: ProblemSets, parts: Parts, owed: int) -> Need:
    return need_of(recipe, parts.footprint, len(problems.train), owed, keep_models=parts.runtime.keep_models)


def _bring_to(
    rounds: int,
    recipe: Recipe,
    problems: ProblemSets,
    faulty: Sequence[tuple[Problem, str]],
    parts: Parts,
    journal: Journal,
    emit: Emit,
) -> dict[str, Any]:
    """The rounds that are owed, in a folder that is held and bound."""
    started = time.monotonic()
    records, rollbacks = journal.rounds(), journal.rollbacks()
    journal.hold_rounds(records)
    was_complete = len(records) >= rounds and journal.sealed_path.exists()
    say = _recorded(journal, emit)
    say(_started(recipe, problems, parts, journal, rounds, len(records)))
    for problem, fault in faulty:
        say(Note(f"{problem.source}: set aside, its reference can't be judged against: {fault}"))
    for record in records:
        emit(round_finished(record, earlier=True))
    models, samplers = ModelCache(journal, parts, recipe, say), Samplers(parts.open_sampler)
    champion = champion_of(records, rollbacks)
    job = Job(len(records), champion, recipe, problems, parts, journal, samplers, models, say)
    models.keep_only(champion, len(records))
    try:
        for number in range(len(records) + 1, rounds + 1):
            records.append(run_round(replace(job, number=number)))
            job = replace(job, number=number, champion=champion_of(records, rollbacks))
            models.keep_only(job.champion, number)
        sealed = _sealed_finish(job, len(records))
    finally:
        samplers.close()
    accepted = tuple(record["round"] for record in records if record["decision"]["accepted"])
    say(RunFinished(journal.name, len(records), accepted, round(time.monotonic() - started, 3), was_complete))
    return sealed


def _sealed_finish(job: Job, rounds: int) -> dict[str, Any]:
    """Judge base against champion on the sealed problems, unless a look at this very champion is on record."""
    sealed = job.journal.sealed() or {"format": FORMAT, "looks": []}
    if not sealed["looks"] or sealed["looks"][-1]["champion"] != job.champion.number:
        if sealed["looks"]:
            job.emit(Note(f"The sealed problems are judged again: look {len(sealed['looks']) + 1}, on record as such."))
        with metered(job.journal.unfinished_sealed_cost, job.parts.gpu_peak) as meter:
            look = _sealed_look(job)
        seen = {"bytes": size_of(job.journal.sealed_verdicts), "sha256": content_hash(job.journal.sealed_verdicts)}
        sealed["looks"].append(
            {"look": len(sealed["looks"]) + 1, "rounds": rounds, **look, **meter.cost.fields(), "verdicts": seen}
        )
        write_json(job.journal.sealed_path, sealed)
        job.journal.unfinished_sealed_cost.unlink(missing_ok=True)
    job.emit(_sealed_event(sealed["looks"][-1]))
    return sealed


def _sealed_look(job: Job) -> dict[str, Any]:
    order = judging_order(job.problems.sealed, derive_seed(job.recipe.seed, "sealed order"))
    judge = Judge(job.recipe, job.parts.tokenizer, job.parts.checker, job.journal.sealed_verdicts)
    sides = [job.champion, BASE] if job.champion.number else [job.champion]
    tokens, done, total = 0, 0, len(order) * len(sides)
    kept = sum(judge.kept(side.number, order) for side in sides)
    job.emit(StageStarted(job.number, "sealed", total, kept, "problems"))
    found: dict[int, dict[str, Any]] = {side.number: {} for side in sides}
    for side in sides:
        opened = partial(_sampler_at, job, side)
        for fresh in judge.answers(opened, side.number, list(batched(order, job.recipe.gate.batch))):
            found[side.number] |= fresh
            tokens, done = tokens + tokens_of(fresh), done + len(fresh)
            job.emit(StageProgress(job.number, "sealed", done, total, tokens))
    figures = sealed_figures(sorted(problem.key for problem in order), job.champion.number, found)
    return {**figures, "sampled_tokens": tokens, "prompt_tokens": len(sides) * judge.prompt_tokens(order)}


def _sampler_at(job: Job, side: Champion) -> Sampler:
    return job.samplers.at(job.models.folder(side))


def sealed_figures(keys: Sequence[str], champion: int, found: Mapping[int, AnswersByKey]) -> dict[str, Any]:
    """What `sealed.json` holds of a look at these problems, from the answers of base (0) and champion alone."""
    pairs = pairs_of(keys, found[0], found[champion])
    n = len(pairs)
    before, after = sum(pair.champion for pair in pairs), sum(pair.challenger for pair in pairs)
    return {
        "champion": champion,
        "n": n,
        "base_accuracy": before / n,
        "base_interval": interval_of_rate(round(before), n),
        "champion_accuracy": after / n,
        "champion_interval": interval_of_rate(round(after), n),
        "gain": (after - before) / n,
        "gain_interval": interval_of_gain(pairs),
        "sentence": sentence_of_gain(pairs, "base"),
    }


def _sealed_event(look: dict[str, Any]) -> SealedJudged:
    fields: dict[str, Any] = {name: look[name] for name in SealedJudged.__dataclass_fields__}
    return SealedJudged(**fields)


def _started(
    recipe: Recipe, problems: ProblemSets, parts: Parts, journal: Journal, rounds: int, done: int
) -> RunStarted:
    counts = (len(problems.train), len(problems.heldout), len(problems.sealed))
    notes = [f"{count} {reason.replace('_', ' ')}" for reason, count in problems.dropped.items() if count]
    notes.append(f"{problems.overlap_8gram:.1%} of held-out and sealed questions share 8 words in a row with training")
    notes += power_lines(len(problems.heldout), alpha_of_round(recipe.gate.alpha, done + 1)).lines()
    if parts.runtime.trust_remote_code:
        notes.insert(0, "the model's own code is trusted and run (--trust-remote-code)")
    engine = str(parts.versions["engine"])
    return RunStarted(
        journal.name, str(journal.folder), recipe.model.name, engine, rounds, done, *counts, notes=tuple(notes)
    )


def _recorded(journal: Journal, emit: Emit) -> Emit:
    def say(event: Event) -> None:
        journal.write_event(event)
        emit(event)

    return say


def _refuse_missing_answers(recipe: Recipe, problems: ProblemSets) -> None:
    missing = sum(problem.answer is None for problem in problems.train)
    if recipe.prefixes.select == "verified" and missing:
        raise UsageError(
            f"prefixes.select is `verified`, but {missing} of {len(problems.train)} training problems have no answer",
            "Add the answers, or type --set prefixes.select=all.",
        )


def _refuse_empty_sets(problems: ProblemSets) -> None:
    for name in ("train", "heldout", "sealed"):
        if not getattr(problems, name):
            raise UsageError(f"no {name} problems are left", "Look at their references: selfimprove check --references")
