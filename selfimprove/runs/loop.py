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

from selfimprove.errors import UsageError
from selfimprove.events import Emit, Event, Note, RunFinished, RunStarted
from selfimprove.formatting import plural
from selfimprove.gate.decision import LIKELY_FLIPS, power_line
from selfimprove.plan.disk import explained, refuse_if_short
from selfimprove.plan.forecast import few_examples, forecast_round
from selfimprove.plan.hope import most_heldout, power_warning
from selfimprove.problem import ProblemSets, fresh_heldout
from selfimprove.problem.guessing import guessing_told
from selfimprove.problem.shown import pair_told, told_aside
from selfimprove.problem.sources import decontamination_off
from selfimprove.recipe import Recipe
from selfimprove.round import round_finished, run_round
from selfimprove.round.admit import Admitted, admit
from selfimprove.round.job import Job
from selfimprove.round.judge import terms_of
from selfimprove.round.machinery import Machinery, Samplers
from selfimprove.round.model_cache import ModelCache
from selfimprove.round.schedule import end_of
from selfimprove.runs.sealed import sealed_finish
from selfimprove.store.champion import champion_of
from selfimprove.store.journal import Identity, Journal
from selfimprove.store.looks import SealedLook
from selfimprove.store.records import RoundRecord


def run_rounds(
    recipe: Recipe,
    problems: ProblemSets,
    identity: Identity,
    machinery: Machinery,
    journal: Journal,
    rounds: int,
    emit: Emit,
) -> SealedLook:
    """Bring the run to `rounds` finished rounds and a sealed outcome; returns the last look at the sealed problems.

    A run that has them already owes nothing. Raises `UsageError` if the folder is held, bound to another recipe, model
    or problem set, or damaged, and `StageError` if a stage ends without a usable result; both leave what is durable.
    """
    journal.refuse_changes(recipe, identity)
    admitted = admit(problems, recipe, machinery, journal.bound().faulty if journal.is_bound else None)
    _refuse_used_up(recipe, admitted.problems, rounds)
    with explained(journal.folder):
        owed = max(0, rounds - len(journal.rounds()))
        work = forecast_round(recipe, len(admitted.problems.train))
        need = work.disk(machinery.footprint, owed, keep_models=machinery.runtime.keep_models)
        refuse_if_short(journal.folder, need)
        with journal.lock():
            journal.bind(recipe, identity, admitted.faulty)
            return _bring_to(rounds, recipe, admitted, machinery, journal, emit)


def _refuse_used_up(recipe: Recipe, problems: ProblemSets, rounds: int) -> None:
    if recipe.gate.fresh:
        fresh_heldout(recipe.problems, problems, rounds)
    if recipe.gate.rotate and rounds > problems.parts:
        size, lasts = len(problems.heldout), plural(problems.parts, "round")
        raise UsageError(
            f"gate.rotate: the held-out source lasts for {lasts} of {size:,} problems, but {rounds} are requested",
            f"Run --rounds {problems.parts}, set problems.heldout_size to at most "
            f"{max(1, (size + len(problems.later)) // rounds):,}, or name a larger source in problems.heldout.",
        )


def _bring_to(
    rounds: int, recipe: Recipe, admitted: Admitted, machinery: Machinery, journal: Journal, emit: Emit
) -> SealedLook:
    """Run the missing rounds in a folder that is locked and bound."""
    started = time.monotonic()
    records, rollbacks = journal.rounds(), journal.rollbacks()
    journal.hold_rounds(records)
    was_complete = (len(records) >= rounds or bool(end_of(recipe, records))) and bool(journal.sealed())
    say = _recorded(journal, emit)
    problems = admitted.problems
    say(_started(recipe, problems, machinery, journal, rounds, records))
    if not journal.round_folders():
        few = few_examples(recipe, len(problems.train))
        power = power_warning(recipe, len(problems.heldout), most_heldout(problems))
        for warning in filter(None, (few, power)):
            say(Note(warning))
    for aside in admitted.set_aside:
        say(Note(f"{aside.problem.source}: set aside, its reference can't be judged against: {aside.fault}"))
    for record in records:
        emit(round_finished(record, earlier=True))
    models, samplers = ModelCache(journal, machinery, recipe, say), Samplers(machinery.open_sampler)
    champion = champion_of(records, rollbacks)
    job = Job(len(records), champion, recipe, problems, machinery, journal, samplers, models, say)
    models.keep_only(champion, len(records))
    try:
        while len(records) < rounds and not end_of(recipe, records):
            number = len(records) + 1
            records.append(run_round(replace(job, number=number), records))
            job = replace(job, number=number, champion=champion_of(records, rollbacks))
            models.keep_only(job.champion, number)
        if len(records) < rounds:
            say(Note(f"The run ends after {plural(len(records), 'round')} of {rounds}: {end_of(recipe, records)}"))
        look = sealed_finish(job, len(records))
    finally:
        samplers.close()
    accepted = tuple(record.round for record in records if record.accepted)
    say(
        RunFinished(
            run=journal.name,
            rounds=len(records),
            accepted=accepted,
            seconds=round(max(time.monotonic() - started, _worked(records, journal.sealed())), 3),
            was_complete=was_complete,
        )
    )
    return look


def _worked(records: Sequence[RoundRecord], looks: Sequence[SealedLook]) -> float:
    """Seconds that all starts of the run together worked on its stages and its looks, by their records."""
    stages = (stage.seconds or 0.0 for record in records for stage in record.stages)
    return sum(stages) + sum(look.seconds or 0.0 for look in looks)


def _started(
    recipe: Recipe,
    problems: ProblemSets,
    machinery: Machinery,
    journal: Journal,
    rounds: int,
    records: Sequence[RoundRecord],
) -> RunStarted:
    notes = [f"{count} left out: {reason.replace('_', ' ')}" for reason, count in problems.dropped.items() if count]
    notes += told_aside(problems.tallies)
    notes.append(f"{problems.overlap_8gram:.1%} of held-out and sealed questions share 8 words in a row with training")
    notes += [why] if (why := decontamination_off(recipe.problems, recipe.problems.train)) else []
    notes += [f"asked: {pair_told(problem)}" for problem in problems.heldout[:2]]
    notes += [f"held-out problems: {guessing}"] if (guessing := guessing_told(problems.heldout)) else []
    alpha = terms_of(recipe, journal.bound(), records).alpha
    power = power_line(len(problems.heldout), alpha, _likely_flips(records))
    notes.append(f"{power} (`selfimprove plan` shows other sizes and flip rates)")
    notes += _guards_told(recipe, problems)
    if machinery.runtime.trust_remote_code:
        notes.insert(0, "the model's own code is trusted and run (--trust-remote-code)")
    return RunStarted(
        run=journal.name,
        folder=str(journal.folder),
        model=recipe.model.name,
        engine=str(machinery.versions["engine"]),
        rounds_wanted=rounds,
        rounds_done=len(records),
        train=len(problems.train),
        heldout=len(problems.heldout),
        sealed=len(problems.sealed),
        notes=tuple(notes),
    )


def _guards_told(recipe: Recipe, problems: ProblemSets) -> list[str]:
    """The guards and what their errors come to, in a line; none without guards."""
    named = [f"{guard.name} ({len(problems.guards[guard.name]):,} problems, {guard.rule})" for guard in recipe.guards]
    errs = [] if all(guard.proves for guard in recipe.guards) else ["a harmless challenger is rejected for harm"]
    errs += ["a harmful one passes"] if any(guard.proves for guard in recipe.guards) else []
    chances = " and ".join(f"{what} with a chance of at most {recipe.gate.guard_alpha:g}" for what in errs)
    return [f"guards: {', '.join(named)}; in the whole run {chances}"] if named else []


def _likely_flips(records: Sequence[RoundRecord]) -> float:
    """The share of the problems that flipped in the rounds so far, in whole percent; a guess before the first."""
    cards = [record.scorecard for record in records]
    judged = sum(card.judged or 0 for card in cards)
    flips = sum((card.wins or 0) + (card.losses or 0) for card in cards)
    return max(0.01, round(flips / judged, 2)) if judged else LIKELY_FLIPS


def _recorded(journal: Journal, emit: Emit) -> Emit:
    def say(event: Event) -> None:
        journal.write_event(event)
        emit(event)

    return say
