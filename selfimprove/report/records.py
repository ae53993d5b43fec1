"""A run's records as a report reads them: leniently, so that one spoilt figure costs a cell and not the report.

What a record lacks, or has of another type, is None or empty here and shows as a dash (`store/records.py`). Strings
come out as they are: whoever writes them out escapes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from selfimprove.errors import UsageError
from selfimprove.formatting import MISSING
from selfimprove.recipe import Recipe
from selfimprove.recipe.reading import parse_stored
from selfimprove.store.champion import Champion, champion_of
from selfimprove.store.evaluations import Evaluation, read_evaluations
from selfimprove.store.journal import Journal
from selfimprove.store.looks import SealedLook
from selfimprove.store.names import closest_first, run_names
from selfimprove.store.records import BoundRecord, Rollback, RoundRecord


@dataclass(frozen=True, kw_only=True)
class RunRecords:
    """What a run's folder holds: what it is bound to, its finished rounds and looks at the sealed problems, in order.

    `recipe` is None where the stored one can't be read; `running` says who holds the run's lock, empty if nobody does.
    """

    name: str
    journal: Journal
    bound: BoundRecord
    recipe: Recipe | None
    rounds: tuple[RoundRecord, ...]
    looks: tuple[SealedLook, ...]
    rollbacks: tuple[Rollback, ...]
    running: str
    evaluations: tuple[Evaluation, ...] = ()

    @property
    def champion(self) -> Champion:
        """The champion after the finished rounds and rollbacks."""
        return champion_of(self.rounds, self.rollbacks)

    @property
    def unfinished(self) -> bool:
        """Whether nobody works on the run although a round, or the sealed judging after the last one, isn't done.

        A start that accepts no round needs no look of its own: the last look was already at the run's champion.
        """
        begun = len(self.journal.round_folders()) > len(self.rounds)
        return not self.running and (begun or not self._is_judged())

    def _is_judged(self) -> bool:
        last = self.last_look
        if last is None or last.rounds >= len(self.rounds):
            return last is not None
        return last.champion == self.champion.number and self.journal.has_ended()

    @property
    def last_look(self) -> SealedLook | None:
        """The last look at the sealed problems, None before the first."""
        return self.looks[-1] if self.looks else None

    @property
    def accepted(self) -> tuple[int, ...]:
        """The accepted rounds."""
        return tuple(record.round for record in self.rounds if record.accepted)


def read_run(rounds_dir: Path, name: str) -> RunRecords:
    """The records of one run, of the only one if no name is given; `UsageError` lists the runs there are."""
    runs = run_names(rounds_dir)
    if not name and len(runs) == 1:
        name = runs[0]
    if name not in runs:
        named = f"Runs in {rounds_dir}: {', '.join(closest_first(name, runs))}."
        there = named if runs else f"There are no runs in {rounds_dir} yet."
        raise UsageError(f"no run `{name}`" if name else "no run given", there)
    return _read(Journal(rounds_dir / name))


def _read(journal: Journal) -> RunRecords:
    bound = journal.bound(lenient=True)
    try:
        recipe = parse_stored(bound.recipe, str(journal.recipe_path))
    except UsageError:
        recipe = None
    return RunRecords(
        name=journal.name,
        journal=journal,
        bound=bound,
        recipe=recipe,
        rounds=tuple(journal.rounds(lenient=True)),
        looks=journal.sealed(lenient=True),
        rollbacks=tuple(journal.rollbacks()),
        running=journal.held_by(),
        evaluations=tuple(read_evaluations(journal.folder)),
    )


def decision_of(record: RoundRecord) -> str:
    """`accepted` or `rejected`."""
    return "accepted" if record.accepted else "rejected"


def robust(record: RoundRecord) -> str:
    """`yes`, or `no` where the decision hangs on the checker."""
    return MISSING if record.decision.robust is None else "yes" if record.decision.robust else "no"
