"""Judging on the problems of the guards: the end of the judging stage of a round whose challenger the gate accepted.

`gate/guards.py` decides. What stands here is who answers what, and where it is kept: each guard has a file of verdicts
in the round's folder, since two guards may ask the same problems under two prompts.

The challenger's sampler is open when the gate decides. Guards' problems that the champion hasn't answered in an earlier
round come first; that is once for the base model, and for no later champion, whose own round judged it on all of them.
Then the challenger answers batch by batch, guard by guard, until one of them rejects it. A challenger that passes has
answered everything, for it is the next round's champion.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass

from selfimprove.answer.checking import Checker
from selfimprove.events import GuardLooked
from selfimprove.gate.editions import Edition
from selfimprove.gate.gains import Pair
from selfimprove.gate.guards import TOGETHER, GuardDecision, alphas_of_guards, decide_guard, look_at_guard
from selfimprove.gate.together import Passed, decide_together
from selfimprove.problem import Problem
from selfimprove.problem.judging import open_checker
from selfimprove.recipe import Guard, Recipe
from selfimprove.recipe.guards import NO_PROOF_OF_HARM
from selfimprove.round.answers import (
    AnswersByKey,
    Judge,
    RunAnswers,
    batched,
    judging_order,
    order_keys,
    pairs_of,
    scorecard,
)
from selfimprove.round.job import Job
from selfimprove.round.machinery import Machinery
from selfimprove.round.progress import Progress
from selfimprove.sampling import derive_seed
from selfimprove.store.journal import Journal
from selfimprove.store.records import GuardRecord, RoundRecord
from selfimprove.store.rows import Answered

BothSides = tuple[AnswersByKey, AnswersByKey]
"""The champion's answers and the challenger's."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A batch that is durable: the answers of one model, the tokens of their prompts, and those sampled just now."""

    answers: AnswersByKey
    prompt_tokens: int
    fresh_tokens: int


@dataclass(frozen=True, kw_only=True)
class _Contest:
    """Champion against challenger on one guard; `champion` and `challenger` fill as answers come."""

    guard: Guard
    alpha: float
    edition: Edition
    order: Sequence[Problem]
    bench: Judge
    champion: dict[str, Sequence[Answered]]
    challenger: dict[str, Sequence[Answered]]

    def missing(self) -> list[Problem]:
        """The problems that the champion hasn't answered."""
        return [problem for problem in self.order if problem.key not in self.champion]


class GuardAnswers:
    """The answers of a run's rounds to the problems of its guards."""

    def __init__(self, recipe: Recipe, journal: Journal) -> None:
        self._of = {guard.name: _answers_to(guard, journal) for guard in recipe.guards}

    def of(self, number: int, champion: int) -> dict[str, BothSides]:
        """Those of a round's champion and challenger as the round counted them, by the guard's name."""
        return {name: (found.champion(number, champion), found.of(number, number)) for name, found in self._of.items()}


@contextmanager
def guards_checker(recipe: Recipe, guard: Guard, machinery: Machinery) -> Iterator[Checker]:
    """The checker that judges on the guard's problems: the run's, or one for the checker that the guard names."""
    if not guard.checker:
        yield machinery.checker
        return
    workers = machinery.runtime.checker_workers or machinery.runtime.usable_threads()
    with open_checker(recipe.guarding(guard).answers, workers) as checker:
        yield checker


def alphas_after(recipe: Recipe, earlier: Sequence[RoundRecord], edition: Edition) -> dict[str, float]:
    """The error that each guard may spend if the challenger of the round after these passes the gate."""
    judged = [record.guards for record in earlier if record.guards]
    proving = {guard.name for guard in recipe.guards if guard.proves}
    harm_shown = [any(not found.passed and found.name not in proving for found in guards) for guards in judged]
    all_passed = [proving <= {found.name for found in guards if found.passed} for guards in judged]
    return alphas_of_guards(recipe, harm_shown, all_passed, edition)


def most_to_judge(job: Job) -> int:
    """The most problems that the guards may have judged in the round, those of the champion and of the challenger."""
    total = 0
    for guard in job.recipe.guards:
        known = _answers_to(guard, job.journal).earlier(job.number, job.champion.number, job.machinery.setup)
        total += sum(2 - (problem.key in known) for problem in job.problems.guards[guard.name])
    return total


def judge_guards(
    job: Job, alphas: Mapping[str, float], edition: Edition, progress: Progress
) -> Generator[Step, None, None]:
    """Judge both models on the guards' problems until one rejects the challenger or all are judged, batch by batch."""
    with ExitStack() as stack:
        contests = [_contest(job, guard, alphas[guard.name], edition, stack) for guard in job.recipe.guards]
        for contest in contests:
            bench = contest.bench
            batches = bench.chunked(contest.missing())
            for batch, fresh in zip(
                batches,
                bench.answers(lambda: progress.sampler(job.champion_model()), job.champion.number, batches),
                strict=True,
            ):
                contest.champion.update(fresh)
                yield Step(answers=fresh, prompt_tokens=bench.prompt_tokens(batch), fresh_tokens=bench.fresh_tokens())
        for contest in contests:
            yield from _challenged(job, contest, list(batched(contest.order, job.recipe.gate.batch)), progress)
            found = _decided(job, contest)
            if found is None or not found.passed:
                return


def guard_records(
    recipe: Recipe, number: int, alphas: Mapping[str, float], edition: Edition, answers: Mapping[str, BothSides]
) -> tuple[dict[str, GuardDecision], tuple[GuardRecord, ...]]:
    """The decisions of the guards up to the first that rejects, from the answers of both sides, and their records.

    The last is that of all guards together, where each has let the challenger pass. Raises `RuntimeError` if the
    answers don't suffice.
    """
    decisions: dict[str, GuardDecision] = {}
    records, harmless = list[GuardRecord](), list[Passed]()
    for guard in recipe.guards:
        champion, challenger = answers[guard.name]
        order = order_keys(champion, _seed(recipe, number, guard))
        pairs = pairs_of(order, champion, challenger)
        found = decide_guard(pairs, len(order), guard, recipe.gate, alphas[guard.name], edition) if order else None
        if found is None:
            raise RuntimeError(f"guard {guard.name}: judged {len(pairs)} of {len(order)} problems and no decision")
        decisions[guard.name] = found
        records.append(
            GuardRecord(
                name=guard.name,
                rule=guard.rule,
                max_drop=guard.max_drop,
                alpha=alphas[guard.name],
                total=len(order),
                **asdict(found),
                champion=scorecard({key: champion[key] for key in challenger if key in champion}),
                challenger=scorecard(challenger),
            )
        )
        if not found.passed:
            return decisions, tuple(records)
        harmless += [] if guard.proves else [Passed(guard=guard, pairs=tuple(pairs))]
    if TOGETHER in alphas:
        found = decisions[TOGETHER] = decide_together(harmless, recipe.gate, alphas[TOGETHER], edition)
        total, alpha = found.judged, alphas[TOGETHER]
        records.append(GuardRecord(name=TOGETHER, rule=NO_PROOF_OF_HARM, alpha=alpha, total=total, **asdict(found)))
    return decisions, tuple(records)


def _contest(job: Job, guard: Guard, alpha: float, edition: Edition, stack: ExitStack) -> _Contest:
    checker = stack.enter_context(guards_checker(job.recipe, guard, job.machinery))
    recipe, path, setup = job.recipe.guarding(guard), job.files.guard_verdicts(guard.name), job.machinery.setup
    bench = Judge(recipe, job.machinery.tokenizer, checker, path, job.emit, setup=setup)
    bench.drop_other_setups()
    return _Contest(
        guard=guard,
        alpha=alpha,
        edition=edition,
        order=judging_order(job.problems.guards[guard.name], _seed(job.recipe, job.number, guard)),
        bench=bench,
        champion=dict(_answers_to(guard, job.journal).earlier(job.number, job.champion.number, setup)),
        challenger={},
    )


def _challenged(
    job: Job, contest: _Contest, batches: Sequence[Sequence[Problem]], progress: Progress
) -> Generator[Step, None, None]:
    bench = contest.bench
    with closing(bench.answers(lambda: progress.sampler(job.challenger_model()), job.number, batches)) as answered:
        for batch, fresh in zip(batches, answered, strict=True):
            contest.challenger.update(fresh)
            yield Step(answers=fresh, prompt_tokens=bench.prompt_tokens(batch), fresh_tokens=bench.fresh_tokens())
            _tell(job, contest)
            if _decided(job, contest) is not None:
                return


def _decided(job: Job, contest: _Contest) -> GuardDecision | None:
    total, settings = len(contest.order), job.recipe.gate
    return decide_guard(_pairs(contest), total, contest.guard, settings, contest.alpha, contest.edition)


def _tell(job: Job, contest: _Contest) -> None:
    total, settings = len(contest.order), job.recipe.gate
    seen = look_at_guard(_pairs(contest), total, contest.guard, settings, contest.alpha, contest.edition)
    job.emit(
        GuardLooked(
            number=job.number,
            guard=contest.guard.name,
            rule=contest.guard.rule,
            judged=int(seen.tally.judged),
            total=total,
            wins=int(seen.tally.wins),
            losses=int(seen.tally.losses),
            evidence=seen.evidence,
            threshold=1 / contest.alpha,
            gain=seen.tally.gain,
        )
    )


def _pairs(contest: _Contest) -> list[Pair]:
    return pairs_of((problem.key for problem in contest.order), contest.champion, contest.challenger)


def _answers_to(guard: Guard, journal: Journal) -> RunAnswers:
    return RunAnswers(journal, lambda files: files.guard_verdicts(guard.name))


def _seed(recipe: Recipe, number: int, guard: Guard) -> int:
    """The seed of the order in which a round judges on the guard's problems."""
    return derive_seed(recipe.seed, number, "judge order", guard.name)
