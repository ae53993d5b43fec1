"""Equal budgets: how many training problems an arm samples in a round, so that all arms spend alike.

*Rows*: as many problems as give no more than the rows asked for (`plan/forecast.py`). *Tokens*: sampled tokens, and
target and prompt tokens trained over all epochs, of one round. What a row costs depends on how long the model's answers
are and how many are kept, so it is measured: the arm's own stages before training sample, check and harvest
`PILOT_ROWS` rows with the base model, and the problem count is the budget over the tokens of a problem. A later round's
champion writes longer or shorter answers, so what is spent may drift from the budget; the table shows it.

Tokens of judging are measurement and in no budget.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import takewhile

from selfimprove.compare.arms import Arm
from selfimprove.compare.folder import Budget, Fitted, Pilot
from selfimprove.errors import StageError, UsageError
from selfimprove.events import Emit
from selfimprove.plan.forecast import problems_within
from selfimprove.problem import ProblemSets
from selfimprove.round import STAGES
from selfimprove.round.job import Job
from selfimprove.round.machinery import Machinery, Samplers
from selfimprove.round.model_cache import ModelCache
from selfimprove.round.train import read_examples
from selfimprove.store.champion import BASE
from selfimprove.store.durable import remove
from selfimprove.store.journal import Journal

PILOT_ROWS = 128
"""Rows of a pilot, at most; where the checker keeps one in ten, the tokens of a row are known to about a tenth."""


def read_budget(text: str) -> Budget | None:
    """The budget that `rows=N` or `tokens=N` names; None for an empty text, `UsageError` for any other."""
    if not text:
        return None
    of, _, amount = text.partition("=")
    digits = amount.replace("_", "")
    # No round needs ten digits, and int() raises beyond some thousands of them.
    if of not in ("rows", "tokens") or not (digits.isascii() and digits.isdigit() and len(digits) < 10 and int(digits)):
        raise UsageError(f"--budget {text!r}: not a budget", "Use --budget rows=512 or --budget tokens=200000.")
    return Budget("rows" if of == "rows" else "tokens", int(digits))


def fit_rows(arm: Arm, rows: int, pool: int) -> Fitted:
    """The arm with as many problems as give at most `rows` rows; `UsageError` if that is none, or above `pool`."""
    problems = problems_within(arm.recipe, rows)
    if not problems:
        samples = arm.recipe.sampling.samples
        raise UsageError(f"`{arm.name}` samples {samples} rows per problem, more than --budget rows={rows}", _LARGER)
    return Fitted(arm, _from_pool(arm, problems, pool))


def fit_tokens(arm: Arm, tokens: int, pilot: Pilot, pool: int) -> Fitted:
    """The arm with as many problems as cost about `tokens` by its pilot; `UsageError` likewise."""
    spent = pilot.sampled_tokens + pilot.trained_tokens
    problems = round(tokens * pilot.problems / max(1, spent))
    if not problems:
        each = spent // pilot.problems
        raise UsageError(f"one problem costs `{arm.name}` {each:,} tokens, more than --budget tokens={tokens}", _LARGER)
    return Fitted(arm, _from_pool(arm, problems, pool), pilot)


_LARGER = "Set a larger budget, or lower sampling.samples."


def _from_pool(arm: Arm, problems: int, pool: int) -> int:
    if problems > pool:
        raise UsageError(
            f"this budget needs {problems:,} problems per round of `{arm.name}`; there are {pool:,} training problems",
            "Set a smaller budget, or raise problems.train_size.",
        )
    return problems


def run_pilot(arm: Arm, problems: ProblemSets, machinery: Machinery, scratch: Journal, emit: Emit) -> Pilot:
    """Measure what a small round of this arm takes up to training, sampled by the base model.

    Works in the `scratch` folder, goes on with what is there, and removes it.
    """
    wanted = -(-PILOT_ROWS // arm.recipe.sampling.samples)
    sampling = arm.recipe.sampling.model_copy(update={"problems_per_round": min(wanted, len(problems.train))})
    one_step = arm.recipe.schedule.model_copy(update={"steps": 1})
    recipe = arm.recipe.model_copy(update={"sampling": sampling, "schedule": one_step})
    samplers, models = Samplers(machinery.open_sampler), ModelCache(scratch, machinery, recipe, emit)
    job = Job(1, BASE, recipe, problems, machinery, scratch, samplers, models, emit)
    job.files.make()
    try:
        sampled = _sampled(job)
    finally:
        samplers.close()
    trained = sum(len(e.prompt_ids) + len(e.target_ids) for e in read_examples(job)) * recipe.training.epochs
    remove(scratch.folder)
    return Pilot(sampling.problems_per_round, sampled, trained)


def _sampled(job: Job) -> int:
    """Tokens sampled by the stages before training; harvesting may fail because no completion is kept."""
    tokens = 0
    with suppress(StageError):
        for stage in takewhile(lambda stage: stage.name != "train", STAGES):
            if stage.wanted(job.recipe):
                tokens += stage.run(job).sampled_tokens or 0
    return tokens
