"""Making the runs of a comparison, one after the other; each resumes where it stopped.

A run that has all its rounds and its sealed outcome isn't opened again. Its merged models are then deleted, since they
can be rebuilt and there may be many runs. `StageError` ends one run and is recorded as that run's failure; everything
else (Ctrl-C, a run's folder that was changed by hand) ends the comparison, which keeps what is durable.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from selfimprove.compare.arms import Arm
from selfimprove.compare.borrowing import borrow
from selfimprove.compare.budget import fit_rows, fit_tokens, run_pilot
from selfimprove.compare.folder import Fitted, Folder, Pilot, Plan, run_name
from selfimprove.compare.margin import read_scores, score_run
from selfimprove.errors import StageError, UsageError
from selfimprove.events import Emit, Note
from selfimprove.problem import ProblemSets
from selfimprove.problem.judging import checkers_digest
from selfimprove.recipe import Recipe
from selfimprove.round.admit import admit, refuse_empty_steps, refuse_unfit
from selfimprove.round.machinery import Machinery
from selfimprove.round.model_cache import ModelCache
from selfimprove.runs.prune import prune
from selfimprove.store.durable import remove
from selfimprove.store.journal import Journal


class Ground(Protocol):
    """What all arms share: problems, base model, machinery (`runs/assemble.py`); tests have peers of it."""

    @property
    def problems(self) -> ProblemSets:
        """The problems of every arm."""
        ...

    def machinery_for(self, recipe: Recipe) -> Machinery:
        """The machinery for this recipe."""
        ...

    def run(self, recipe: Recipe, journal: Journal, rounds: int, emit: Emit) -> object:
        """Bring a run to so many rounds and its sealed outcome."""
        ...


OpenView = Callable[[], AbstractContextManager[Emit]]
"""Opens a view of one run."""


@dataclass(frozen=True, kw_only=True)
class Comparing:
    """A comparison under way: where, on what, and how it is shown."""

    folder: Folder
    ground: Ground
    open_view: OpenView
    keep_models: bool = False


def owed(folder: Folder, plan: Plan) -> list[tuple[Fitted, int]]:
    """The runs that have not all rounds and a sealed outcome yet."""
    return [(fitted, seed) for fitted, seed in plan.runs() if not folder.is_made(fitted.arm, seed, plan.rounds)]


def refuse_hopeless(comparing: Comparing, plan: Plan) -> None:
    """Raise, before anything is written, what keeps the first run from beginning, or a budget of rows from being kept.

    Raises `UsageError`, as `admit` and `fit_arms` do.
    """
    ground, first = comparing.ground, plan.arms[0].arm.recipe
    pool = len(admit(ground.problems, first, ground.machinery_for(first)).problems.train)
    for fitted in plan.arms:
        refuse_unfit(fitted.arm.recipe, ground.problems)
        if plan.budget is not None and plan.budget.of == "rows" and fitted.problems is None:
            sized = fit_rows(fitted.arm, plan.budget.amount, pool)
            refuse_empty_steps(sized.recipe(0), pool)


def fit_arms(comparing: Comparing, plan: Plan) -> Plan:
    """The plan with every arm's number of problems under the budget; each arm's pilot is durable once it is made.

    Raises `UsageError` for a budget that is too small for a problem, or too large for the training pool.
    """
    budget = plan.budget
    if budget is None:
        return plan
    ground = comparing.ground
    first = plan.arms[0].arm.recipe
    problems = admit(ground.problems, first, ground.machinery_for(first)).problems
    pool = len(problems.train)
    for fitted in plan.arms:
        if fitted.problems is not None:
            continue
        if budget.of == "rows":
            plan = plan.fitted(fit_rows(fitted.arm, budget.amount, pool))
            continue
        found = fitted.pilot or _piloted(comparing, problems, fitted.arm)
        comparing.folder.write(plan := plan.fitted(replace(fitted, pilot=found)))
        plan = plan.fitted(fit_tokens(fitted.arm, budget.amount, found, pool))
    remove(comparing.folder.path / ".pilot")
    return plan


def _piloted(comparing: Comparing, problems: ProblemSets, arm: Arm) -> Pilot:
    scratch = Journal(comparing.folder.path / ".pilot" / arm.name)
    with comparing.open_view() as emit:
        emit(Note(f"{arm.name}: measuring on a few rows what a problem costs"))
        return run_pilot(arm, problems, comparing.ground.machinery_for(arm.recipe), scratch, emit)


def make_runs(comparing: Comparing, plan: Plan) -> Plan:
    """Make the runs that are owed, seed by seed; returns the plan with the failures of this start."""
    _refuse_other_checker(comparing.folder, plan)
    todo = owed(comparing.folder, plan)
    everything = plan.runs()
    for place, (fitted, seed) in enumerate(everything, start=1):
        if (fitted, seed) not in todo:
            continue
        with comparing.open_view() as emit:
            emit(Note(f"{fitted.arm.name}, seed {seed}: run {place} of {len(everything)}"))
            plan = _make(comparing, plan, fitted, seed, emit)
        comparing.folder.write(plan)
    return plan


def unscored(folder: Folder, plan: Plan) -> list[tuple[Fitted, int]]:
    """The finished runs whose champions have no scores yet (`margin.py`)."""
    made = [(fitted, seed) for fitted, seed in plan.runs() if folder.is_made(fitted.arm, seed, plan.rounds)]
    return [(fitted, seed) for fitted, seed in made if read_scores(folder.run(fitted.arm, seed)) is None]


def score_runs(comparing: Comparing, plan: Plan) -> None:
    """Score the champions of the finished runs that have no scores; a model that is gone is built again for it."""
    for fitted, seed in unscored(comparing.folder, plan):
        recipe, journal = fitted.recipe(seed), comparing.folder.run(fitted.arm, seed)
        machinery = comparing.ground.machinery_for(recipe)
        with comparing.open_view() as emit:
            emit(Note(f"{fitted.arm.name}, seed {seed}: scoring the base's answers"))
            models = ModelCache(journal, machinery, recipe, emit)
            score_run(recipe, journal, comparing.ground.problems, machinery, models)
        if not comparing.keep_models:
            prune(journal)


def _refuse_other_checker(folder: Folder, plan: Plan) -> None:
    """`UsageError` if a run that is there was judged by another version of the recipe's own checker."""
    for fitted, seed in plan.runs():
        recipe, run = fitted.arm.recipe, folder.run(fitted.arm, seed)
        if recipe.checkers and run.is_bound and run.bound().checker != checkers_digest(recipe):
            named = ", ".join(recipe.checkers)
            raise UsageError(
                f"the checker of run `{run.name}` changed ({named})", "Start a new comparison: --name NAME"
            )


def _make(comparing: Comparing, plan: Plan, fitted: Fitted, seed: int, emit: Emit) -> Plan:
    name, journal = run_name(fitted.arm, seed), comparing.folder.run(fitted.arm, seed)
    others = {run: why for run, why in plan.failed.items() if run != name}
    recipe = fitted.recipe(seed)
    earlier = [(one.recipe(at), comparing.folder.run(one.arm, at)) for one, at in plan.runs() if at == seed]
    borrow(recipe, journal, earlier, comparing.ground.machinery_for(recipe).versions)
    try:
        comparing.ground.run(recipe, journal, plan.rounds, emit)
    except StageError as error:
        emit(Note(f"{name} failed: {error.message}"))
        return replace(plan, failed={**others, name: error.message})
    if not comparing.keep_models:
        prune(journal)
    return replace(plan, failed=others)
