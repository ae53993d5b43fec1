"""The comparison's folder, and what it is bound to: `rounds/<name>/compare.json`.

```
rounds/<name>/compare.json   format, rounds, seeds, budget, the arms with their recipes and problem counts, failures
              <arm>-s<seed>/ an ordinary run
              results.json   the figures of the table, made from the runs' records
              compare.svg    the plot, likewise
```

The folder is bound once its first run has begun. A later start with other rounds, another budget, a changed or missing
arm or fewer seeds is refused by what changed; more seeds and more arms may be asked for, and are added. How many
problems an arm samples in a round under a token budget is measured once and stands here, so every start of the
comparison asks for the same recipe. A failure is recorded by the run's name and goes when that run is made after all.

The folder has no `recipe.json`, so no command takes it for a run; it is held by one process, as a run is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from selfimprove.compare.arms import Arm
from selfimprove.errors import UsageError
from selfimprove.recipe import Recipe
from selfimprove.recipe.keys import changed_keys
from selfimprove.recipe.reading import parse_stored
from selfimprove.store.durable import make_folder, read_json, write_json
from selfimprove.store.journal import Journal
from selfimprove.store.names import COMPARISON, run_names
from selfimprove.store.parsing import parsed
from selfimprove.store.records import Count, Record

FORMAT: Literal[2] = 2


@dataclass(frozen=True)
class Budget:
    """What each arm may spend in a round: rows sampled, or tokens sampled and trained."""

    of: Literal["rows", "tokens"]
    amount: int

    def __str__(self) -> str:
        return f"{self.of}={self.amount}"


@dataclass(frozen=True)
class Pilot:
    """What a small round of an arm took up to training, sampled by the base model, with its number of problems."""

    problems: int
    sampled_tokens: int
    trained_tokens: int


@dataclass(frozen=True)
class Fitted:
    """An arm with the problems it samples in a round, None while that isn't known.

    `pilot` is what the number was computed from under a budget of tokens.
    """

    arm: Arm
    problems: int | None = None
    pilot: Pilot | None = None

    def recipe(self, seed: int) -> Recipe:
        """The recipe of the arm's run with this seed."""
        sampling = self.arm.recipe.sampling
        if self.problems is not None:
            sampling = sampling.model_copy(update={"problems_per_round": self.problems})
        return self.arm.recipe.model_copy(update={"seed": seed, "sampling": sampling})


@dataclass(frozen=True)
class Plan:
    """What is compared: the arms, how many seeds and rounds each gets, the budget, and which runs failed and why."""

    rounds: int
    seeds: int
    budget: Budget | None
    arms: tuple[Fitted, ...]
    failed: dict[str, str]

    def runs(self) -> list[tuple[Fitted, int]]:
        """Each arm with each seed, seed by seed."""
        return [(fitted, seed) for seed in range(self.seeds) for fitted in self.arms]

    def fitted(self, found: Fitted) -> Plan:
        """The plan with this arm's problem count filled in."""
        return replace(self, arms=tuple(found if arm.arm.name == found.arm.name else arm for arm in self.arms))


class PilotRecord(Record):
    """The `pilot` of one of the `arms`."""

    problems: int = Field(ge=1)
    sampled_tokens: Count
    trained_tokens: Count


class ArmRecord(Record):
    """One of the `arms` in `compare.json`."""

    name: str
    fingerprint: str = ""
    recipe: dict[str, Any]
    problems_per_round: Count | None
    pilot: PilotRecord | None


class BudgetRecord(Record):
    """The `budget` in `compare.json`."""

    of: Literal["rows", "tokens"]
    amount: int = Field(ge=1)


class PlanRecord(Record):
    """`compare.json`."""

    format: Literal[1, 2]
    rounds: int = Field(ge=1)
    seeds: int = Field(ge=1)
    budget: BudgetRecord | None
    arms: Annotated[tuple[ArmRecord, ...], Field(strict=False)]
    failed: dict[str, str]


class Folder:
    """`rounds/<name>/` of a comparison."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.plan_path = path / COMPARISON
        self.results_path = path / "results.json"
        self.plot_path = path / "compare.svg"

    def run(self, arm: Arm, seed: int) -> Journal:
        """The run of this arm with this seed."""
        return Journal(self.path / run_name(arm, seed))

    def is_made(self, arm: Arm, seed: int, rounds: int) -> bool:
        """Whether that run has so many rounds, and a look at the sealed problems with its champion."""
        journal = self.run(arm, seed)
        if len(journal.rounds()) < rounds:
            return False
        looks = journal.sealed()
        return bool(looks) and looks[-1].champion == journal.champion().number

    def holder(self) -> Journal:
        """What holds the folder for one process: `with folder.holder().lock()`."""
        return Journal(self.path)

    def exists(self) -> bool:
        """Whether the folder is bound to a plan."""
        return self.plan_path.exists()

    def plan(self) -> Plan:
        """What the folder is bound to; `UsageError` if it is none, or can't be read."""
        record = parsed(read_json(self.plan_path), PlanRecord, self.plan_path)
        return Plan(
            rounds=record.rounds,
            seeds=record.seeds,
            budget=Budget(record.budget.of, record.budget.amount) if record.budget else None,
            arms=tuple(_fitted(arm, self.plan_path) for arm in record.arms),
            failed=record.failed,
        )

    def write(self, plan: Plan) -> None:
        """Make the plan durable."""
        make_folder(self.path)
        record = PlanRecord(
            format=FORMAT,
            rounds=plan.rounds,
            seeds=plan.seeds,
            budget=BudgetRecord(of=plan.budget.of, amount=plan.budget.amount) if plan.budget else None,
            arms=tuple(map(_record, plan.arms)),
            failed=plan.failed,
        )
        write_json(self.plan_path, record.plain())

    def agreed(self, arms: Sequence[Arm], seeds: int, rounds: int, budget: Budget | None) -> Plan:
        """The plan that these make, with what the folder knows of it already; `UsageError` says what changed.

        Writes nothing.
        """
        if Journal(self.path).is_bound:
            raise UsageError(f"`{self.name}` is a run, not a comparison", "Name the comparison with --name.")
        if not self.exists():
            return Plan(rounds, seeds, budget, tuple(map(Fitted, arms)), {})
        bound = self.plan()
        if not run_names(self.path):
            pilots = {fitted.arm.recipe.fingerprint(): fitted.pilot for fitted in bound.arms}
            fresh = (Fitted(arm, None, pilots.get(arm.recipe.fingerprint())) for arm in arms)
            return Plan(rounds, seeds, budget, tuple(fresh), {})
        changes = _changes(bound, arms, seeds, rounds, budget)
        if changes:
            hint = "You can add seeds and arms; to start another comparison, choose another --name."
            raise UsageError(f"comparison `{self.name}` was started with {'; '.join(changes)}", hint)
        known = {fitted.arm.name for fitted in bound.arms}
        added = tuple(Fitted(arm) for arm in arms if arm.name not in known)
        return replace(bound, seeds=seeds, arms=(*bound.arms, *added))


def run_name(arm: Arm, seed: int) -> str:
    """The name of the arm's run with this seed."""
    return f"{arm.name}-s{seed}"


def _changes(bound: Plan, arms: Sequence[Arm], seeds: int, rounds: int, budget: Budget | None) -> list[str]:
    """What the folder is bound to and is asked for otherwise, in words."""
    asked = {arm.name: arm for arm in arms}
    changes = [f"--rounds {bound.rounds}"] if bound.rounds != rounds else []
    changes += [f"--seeds {bound.seeds}"] if seeds < bound.seeds else []
    if bound.budget != budget:
        changes.append(f"--budget {bound.budget}" if bound.budget else "no --budget")
    for fitted in bound.arms:
        arm = asked.get(fitted.arm.name)
        if arm is None:
            changes.append(f"arm `{fitted.arm.name}`, which is missing now")
        elif keys := changed_keys(fitted.arm.recipe, arm.recipe):
            changes.append(f"another `{arm.name}` (changed: {', '.join(keys)})")
    return changes


def _fitted(record: ArmRecord, where: Path) -> Fitted:
    arm, found = Arm(record.name, parse_stored(record.recipe, str(where))), record.pilot
    pilot = Pilot(found.problems, found.sampled_tokens, found.trained_tokens) if found else None
    return Fitted(arm, record.problems_per_round, pilot)


def _record(fitted: Fitted) -> ArmRecord:
    return ArmRecord(
        name=fitted.arm.name,
        fingerprint=fitted.arm.recipe.fingerprint(),
        recipe=fitted.arm.recipe.model_dump(mode="json"),
        problems_per_round=fitted.problems,
        pilot=PilotRecord(**asdict(fitted.pilot)) if fitted.pilot else None,
    )
