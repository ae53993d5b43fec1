"""Champion against challenger: the judging stage of a round.

The champion's answers to the held-out problems are looked up in the records of earlier rounds; what is missing is
judged first, a chunk at a time. Then the challenger is judged batch by batch, and the gate looks after each batch
(`gate/decision.py` replays its looks at the same boundaries). Judging ends when the gate has decided, so a clear case
costs a fraction of the held-out set. An engine that holds more than a batch samples later batches meanwhile, and what
it has of them when the gate decides is dropped: looks, verdicts and decision are those of judging batch by batch.

A challenger that the gate accepts is then judged on the problems of the recipe's guards (`round/guarding.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field

from selfimprove.escaping import escape_text
from selfimprove.events import Flip, Looked, Note, StageStarted
from selfimprove.formatting import model_named
from selfimprove.gate.budget import alpha_of_round
from selfimprove.gate.decision import Decision, Vitals, decide, entropy_alarm, guarded, look_at, split_of
from selfimprove.gate.editions import Edition, edition_of
from selfimprove.gate.guards import decided_with_guards
from selfimprove.problem import Problem, fresh_heldout
from selfimprove.recipe import Recipe
from selfimprove.round.answers import (
    AnswersByKey,
    Judge,
    RunAnswers,
    batched,
    judging_order,
    order_keys,
    pairs_of,
    scorecard,
    vitals,
)
from selfimprove.round.guarding import BothSides, alphas_after, guard_records, judge_guards, most_to_judge
from selfimprove.round.job import Job
from selfimprove.round.progress import Progress
from selfimprove.sampling import derive_seed
from selfimprove.store.records import (
    BoundRecord,
    Counts,
    DecisionRecord,
    GuardRecord,
    RoundRecord,
    Scorecard,
    SplitRecord,
)
from selfimprove.store.rows import Answered

WHOLE_ROWS = 16
"""Tokens over which prefix statistics are taken where the recipe trains whole solutions."""
DOMINANT, LEAST_ANSWERS = 0.5, 20
"""Share of the answers from which on a single one is told, and the answers that this takes at least."""
JUDGED_AGAIN = "the champion is judged again, because the program, its packages, the engine or the device changed"
ANSWER_LIMIT = 20
"""Characters of that answer."""


@dataclass(frozen=True)
class Terms:
    """What a round's decision is held to, from the decisions before it and the format of its run."""

    alpha: float
    """The error that the round may spend."""
    edition: Edition
    """The gate's rules, as the run was begun with."""
    guards: Mapping[str, float] = field(default_factory=dict)
    """The error that each guard may spend, by its name."""


@dataclass(frozen=True)
class Judgement:
    """What a round's answers come to: the part of `round.json` that `verify` makes again from the verdicts."""

    scorecard: Scorecard
    decision: DecisionRecord
    guards: tuple[GuardRecord, ...]
    """Of a round that the gate accepted, the guards up to the first that rejects."""
    alarm: str


def judge(job: Job) -> Counts:
    """Judge the challenger against the champion on held-out problems until the gate decides, into verdicts.jsonl."""
    order, terms = held_out_order(job), terms_of_job(job)
    parts, setup = job.machinery, job.machinery.setup
    bench = Judge(job.recipe, parts.tokenizer, parts.checker, job.files.verdicts, job.emit, setup=setup)
    bench.drop_other_setups()
    earlier = RunAnswers(job.journal)
    known = earlier.earlier(job.number, job.champion.number, setup)
    anew = not known and not job.recipe.gate.new_each_round
    if anew and earlier.other_setup(job.number, job.champion.number, setup):
        job.emit(Note(f"round {job.number}: {JUDGED_AGAIN}"))
    missing = [problem for problem in order if problem.key not in known]
    total = len(missing) + len(order)
    kept = bench.kept(job.champion.number, missing) + bench.kept(job.number, order)
    job.emit(StageStarted(number=job.number, stage="judge", total=total, kept=kept, unit="problems"))
    champion, progress = dict(known), job.progress("judge", total)
    for fresh in bench.answers(
        lambda: progress.sampler(job.champion_model()), job.champion.number, bench.chunked(missing)
    ):
        champion |= fresh
        progress.add(len(fresh), bench.fresh_tokens())
    challenger: dict[str, Sequence[Answered]] = {}
    batches = list(batched(order, job.recipe.gate.batch))
    with closing(bench.answers(lambda: progress.sampler(job.challenger_model()), job.number, batches)) as looks:
        for batch, fresh in zip(batches, looks, strict=True):
            challenger |= fresh
            progress.add(len(batch), bench.fresh_tokens())
            _emit_flips(job, batch, champion, fresh)
            if _look(job, terms, order, champion, challenger) is not None:
                break
    fresh_sides = {job.number: challenger} | ({job.champion.number: champion} if missing else {})
    for number, side in fresh_sides.items():
        if told := one_answer_told(number, side, order):
            job.emit(Note(told))
    counts = Counts(
        problems=len(challenger),
        champion_problems=len(missing),
        sampled_tokens=tokens_of(challenger) + tokens_of({p.key: champion[p.key] for p in missing}),
        prompt_tokens=bench.prompt_tokens([*missing, *order[: len(challenger)]]),
    )
    heldout = [problem.key for problem in order]
    if job.recipe.guards and gate_decision(job.recipe, job.number, terms, heldout, champion, challenger).accepted:
        counts = _guarded(job, terms, counts, progress)
    return counts.model_copy(update=job.samplers.counted())


def _guarded(job: Job, terms: Terms, counts: Counts, progress: Progress) -> Counts:
    """Judge on the guards' problems; the counts with those added."""
    progress.expect(most_to_judge(job))
    answered = sampled = prompts = 0
    with closing(judge_guards(job, terms.guards, terms.edition, progress)) as steps:
        for step in steps:
            answered, sampled = answered + len(step.answers), sampled + tokens_of(step.answers)
            prompts += step.prompt_tokens
            progress.add(len(step.answers), step.fresh_tokens)
    figures = {
        "guard_problems": answered,
        "sampled_tokens": (counts.sampled_tokens or 0) + sampled,
        "prompt_tokens": (counts.prompt_tokens or 0) + prompts,
    }
    return counts.model_copy(update=figures)


def gate_decision(
    recipe: Recipe,
    number: int,
    terms: Terms,
    heldout: Iterable[str],
    champion: AnswersByKey,
    challenger: AnswersByKey,
) -> Decision:
    """The decision of a round before the guards' problems are looked at; arguments as in `judgement`."""
    order = order_keys(heldout, round_seed(recipe, number))
    pairs = pairs_of(order, champion, challenger)
    decision = decide(pairs, len(order), recipe.gate, terms.alpha, terms.edition)
    if decision is None:
        raise RuntimeError(f"round {number}: judged {len(pairs)} of {len(order)} problems and no decision")
    return guarded(decision, *_vitals(recipe, champion, challenger), recipe.gate)


def judgement(
    recipe: Recipe,
    number: int,
    terms: Terms,
    heldout: Iterable[str],
    champion: AnswersByKey,
    challenger: AnswersByKey,
    guards: Mapping[str, BothSides],
) -> Judgement:
    """The scorecard and the decision of a round, from its answers and the terms that it is judged on alone.

    `terms` are those of the round (`terms_of`), `heldout` are the keys of the held-out problems, `champion` its
    answers to all of them; `guards` are both sides' answers to the guards' problems. Raises `RuntimeError` if the
    answers don't suffice for a decision.
    """
    order = order_keys(heldout, round_seed(recipe, number))
    decision = gate_decision(recipe, number, terms, order, champion, challenger)
    found: tuple[GuardRecord, ...] = ()
    if recipe.guards and decision.accepted:
        decided, found = guard_records(recipe, number, terms.guards, terms.edition, guards)
        decision = decided_with_guards(decision, decided)
    pairs = pairs_of(order, champion, challenger)
    judged = {key: champion[key] for key in challenger if key in champion}
    return Judgement(
        scorecard=Scorecard(
            judged=len(pairs),
            total=len(order),
            uses_of_heldout=1 if recipe.gate.new_each_round else number,
            wins=sum(pair.challenger > pair.champion for pair in pairs),
            losses=sum(pair.challenger < pair.champion for pair in pairs),
            split=SplitRecord(**asdict(split_of(pairs))),
            champion=scorecard(judged),
            challenger=scorecard(challenger),
            champion_heldout=scorecard({key: champion[key] for key in order if key in champion}),
        ),
        decision=DecisionRecord(alpha=terms.alpha, **asdict(decision)),
        guards=found,
        alarm=entropy_alarm(*_vitals(recipe, champion, challenger), recipe.gate),
    )


def terms_of(recipe: Recipe, bound: BoundRecord, earlier: Sequence[RoundRecord]) -> Terms:
    """What the round after `earlier`, all the rounds before it, is judged on in a run bound by this record."""
    edition = edition_of(bound.format, scored=bool(recipe.answers.checker))
    alpha = alpha_of_round(recipe.gate, [record.accepted for record in earlier], carried=edition.carries)
    return Terms(alpha, edition, alphas_after(recipe, earlier, edition) if recipe.guards else {})


def terms_of_job(job: Job) -> Terms:
    """What the job's round is judged on, by the records before it."""
    return terms_of(job.recipe, job.journal.bound(), job.journal.rounds()[: job.number - 1])


def statistics_length(recipe: Recipe) -> int:
    """Tokens over which prefix statistics are taken: the recipe's prefix length, or 16 where it trains whole rows."""
    return WHOLE_ROWS if recipe.prefixes.length == "full" else recipe.prefixes.length


def round_seed(recipe: Recipe, number: int) -> int:
    """The seed of the order in which a round judges."""
    return derive_seed(recipe.seed, number, "judge order")


def held_out_order(job: Job) -> list[Problem]:
    """The held-out problems in the order of this round's looks; new ones each round if the gate wants that."""
    heldout = job.problems.heldout_part(job.number) if job.recipe.gate.rotate else job.problems.heldout
    if job.recipe.gate.fresh:
        heldout = fresh_heldout(job.recipe.problems, job.problems, job.number)
    return judging_order(heldout, round_seed(job.recipe, job.number))


def _vitals(recipe: Recipe, champion: AnswersByKey, challenger: AnswersByKey) -> tuple[Vitals, Vitals]:
    """Those of champion and challenger on the problems judged."""
    judged = {key: champion[key] for key in challenger if key in champion}
    length = statistics_length(recipe)
    return vitals(judged, length), vitals(challenger, length)


def _look(
    job: Job, terms: Terms, order: Sequence[Problem], champion: AnswersByKey, challenger: AnswersByKey
) -> Decision | None:
    pairs = pairs_of((problem.key for problem in order), champion, challenger)
    look = look_at(pairs, len(order), job.recipe.gate, terms.alpha, terms.edition)
    seen = Looked(
        number=job.number,
        judged=look.judged,
        total=len(order),
        wins=look.wins,
        losses=look.losses,
        evidence=look.evidence,
        threshold=look.threshold,
        gain=look.gain,
    )
    job.emit(seen)
    return decide(pairs, len(order), job.recipe.gate, terms.alpha, terms.edition)


def _emit_flips(job: Job, batch: Sequence[Problem], champion: AnswersByKey, challenger: AnswersByKey) -> None:
    for problem in batch:
        before, after = champion[problem.key][0], challenger[problem.key][0]
        if before.correct != after.correct:
            reference = problem.answer or ""
            job.emit(
                Flip(
                    number=job.number,
                    won=after.correct,
                    question=problem.question,
                    reference=reference,
                    champion_text=before.text,
                    challenger_text=after.text,
                )
            )


def one_answer_told(number: int, answers: AnswersByKey, problems: Sequence[Problem]) -> str:
    """That a model gives one answer most of the time although the references differ: a letter or number it has learnt.

    Empty where it doesn't, and for fewer than `LEAST_ANSWERS` answers.
    """
    given = Counter(_plain(row.candidate) for rows in answers.values() for row in rows if row.candidate)
    wanted = Counter(_plain(problem.answer) for problem in problems if problem.key in answers and problem.answer)
    total = sum(map(len, answers.values()))
    if total < LEAST_ANSWERS or not given or not wanted:
        return ""
    (answer, times), rightly = given.most_common(1)[0], wanted.total()
    if times < DOMINANT * total or wanted[answer] > DOMINANT * rightly / 2:
        return ""
    shown = answer.upper() if len(answer) == 1 else answer
    return (
        f"{model_named(number)} gives {shown} in {times:,} of {total:,} answers, and that is the "
        f"reference of {wanted[answer]:,} of {rightly:,} problems: look at its answers before you trust a gain"
    )


def _plain(answer: str) -> str:
    return escape_text(answer.strip(" .()*$").casefold(), ANSWER_LIMIT)


def tokens_of(answers: AnswersByKey) -> int:
    """Sampled tokens of the answers."""
    return sum(len(row.token_ids) for found in answers.values() for row in found)
