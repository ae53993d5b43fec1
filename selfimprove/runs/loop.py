"""The line of rounds: who is champion, which round is next, when to stop, and the sealed finish.

`run_rounds` is given a target, not an increment: the same call after a kill goes on with the round that has no record,
and with nothing owed it says so. The champion is computed from the records before each round.

Rounds end at the target, or before it where the recipe's schedule says so (`round/schedule.py`); then the sealed
problems are judged (`runs/sealed.py`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from selfimprove.errors import UsageError
from selfimprove.events import Emit, Event, Note, RunFinished, RunStarted
from selfimprove.gate.decision import alpha_of_round, power_lines
from selfimprove.plan.disk import Need, explained, need_of, refuse_if_short
from selfimprove.problem import Problem, ProblemSets, fresh_heldout
from selfimprove.recipe import Recipe
from selfimprove.round import round_finished, run_round
from selfimprove.round.answers import set_aside_faulty
from selfimprove.round.job import Job
from selfimprove.round.machinery import Parts, Samplers
from selfimprove.round.model_cache import ModelCache
from selfimprove.round.schedule import end_of
from selfimprove.runs.sealed import sealed_finish
from selfimprove.sampling import refuse_lost_questions
from selfimprove.store.journal import Identity, Journal, champion_of
from selfimprove.text.formatting import plural


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
    was_complete = (len(records) >= rounds or bool(end_of(recipe, records))) and journal.sealed_path.exists()
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
        while len(records) < rounds and not end_of(recipe, records):
            number = len(records) + 1
            records.append(run_round(replace(job, number=number), records))
            job = replace(job, number=number, champion=champion_of(records, rollbacks))
            models.keep_only(job.champion, number)
        if len(records) < rounds:
            say(Note(f"The run ends after {plural(len(records), 'round')} of {rounds}: {end_of(recipe, records)}"))
        sealed = sealed_finish(job, len(records))
    finally:
        samplers.close()
    accepted = tuple(record["round"] for record in records if record["decision"]["accepted"])
    say(
        RunFinished(
            run=journal.name,
            rounds=len(records),
            accepted=accepted,
            seconds=round(time.monotonic() - started, 3),
            was_complete=was_complete,
        )
    )
    return sealed


def _started(
    recipe: Recipe, problems: ProblemSets, parts: Parts, journal: Journal, rounds: int, done: int
) -> RunStarted:
    notes = [f"{count} {reason.replace('_', ' ')}" for reason, count in problems.dropped.items() if count]
    notes.append(f"{problems.overlap_8gram:.1%} of held-out and sealed questions share 8 words in a row with training")
    notes += power_lines(len(problems.heldout), alpha_of_round(recipe.gate.alpha, done + 1)).lines()
    if parts.runtime.trust_remote_code:
        notes.insert(0, "the model's own code is trusted and run (--trust-remote-code)")
    return RunStarted(
        run=journal.name,
        folder=str(journal.folder),
        model=recipe.model.name,
        engine=str(parts.versions["engine"]),
        rounds_wanted=rounds,
        rounds_done=done,
        train=len(problems.train),
        heldout=len(problems.heldout),
        sealed=len(problems.sealed),
        notes=tuple(notes),
    )


def _recorded(journal: Journal, emit: Emit) -> Emit:
    def say(event: Event) -> None:
        journal.write_event(event)
        emit(event)

    return say


def _refuse_missing_answers(recipe: Recipe, problems: ProblemSets) -> None:
    missing = sum(problem.answer is None for problem in problems.train)
    settings = recipe.prefixes
    if settings.needs_answers and missing:
        selected = settings.selection.needs_answers
        key = f"select is `{settings.select}`" if selected else f"value is `{settings.value}`"
        instead = "select=all" if selected else "value=agreement"
        raise UsageError(
            f"prefixes.{key}, but {missing} of {len(problems.train)} training problems have no answer",
            f"Add the answers, or type --set prefixes.{instead}.",
        )


def _refuse_empty_sets(problems: ProblemSets) -> None:
    for name in ("train", "heldout", "sealed"):
        if not getattr(problems, name):
            raise UsageError(f"no {name} problems are left", "Look at their references: selfimprove check --references")
