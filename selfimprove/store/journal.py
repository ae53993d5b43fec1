"""The run's folder: the only module that knows `rounds/`, and what makes a resume tell the truth.

The contract, each point held by a test through the real runner (how a single file is written is `store/durable.py`):

1. A stage is done if and only if its done-record (`NNNN/done/STAGE.json`) exists and can be read. It is renamed into
   place after the stage's files and their folders are synced, and holds their SHA-256. An unreadable one is no record.
2. JSONL grows by whole appends, synced. A torn last line is no line; what it stood for is owed again. Rows are
   matched by content key, never by position.
3. The recipe is stored resolved at the first start. A later start with another one is refused by the changed keys;
   so are other weights or problems under the same recipe. The runtime isn't stored and may change.
4. The champion is computed from the `round.json` files and `rollbacks.jsonl` each time; no pointer can go stale.
5. One process per run: an operating-system lock, which ends with its holder. Who holds it is written beside it.
6. At every start the files of finished rounds are held to the hashes in their records: what was changed by hand is
   refused by name, never silently used.

`round.json` is written last in a round and contains the done-records, the scorecard and the decision: a round counts
when it exists. `model/` folders are caches (`round/model_cache.py`). A rollback is a row appended to `rollbacks.jsonl`;
nothing is deleted by it. What a stage cost is measured by `host/metering.py`, with durations from a monotonic clock, so
a clock that is set back shows in no figure.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from selfimprove.errors import UnreadableError, UsageError
from selfimprove.events import Event, Timed, read_event, to_json
from selfimprove.host.metering import Cost, write_cost
from selfimprove.recipe import Recipe
from selfimprove.recipe.keys import changed_keys
from selfimprove.recipe.reading import parse_stored
from selfimprove.store.durable import (
    append_rows,
    content_hash,
    keep_rows,
    keep_whole_lines,
    read_json,
    read_rows,
    write_json,
)
from selfimprove.store.records import (
    BoundRecord,
    DoneRecord,
    RollbackRow,
    RoundRecord,
    SealedRecord,
    checked,
    checked_rows,
)
from selfimprove.text.escaping import folder_name

FORMAT = 2
"""Version of the folder's format. 1, in which merges were always rounded to nearest, is read and gone on with."""
READ = (1, FORMAT)
"""Versions that are read; a folder with another one is refused."""


@dataclass(frozen=True)
class Identity:
    """What a run is bound to besides its recipe: the base weights and the problems, by fingerprint."""

    model: str
    problems: str


@dataclass(frozen=True)
class Champion:
    """The model accepted so far: its round (0 is the base model) and the rounds whose adapters it consists of."""

    number: int
    chain: tuple[int, ...]


BASE = Champion(0, ())
"""The model a run begins with."""


def champion_of(rounds: Sequence[dict[str, Any]], rollbacks: Sequence[dict[str, Any]] = ()) -> Champion:
    """The champion after these rounds, from their decisions and the rollbacks between them alone.

    Raises `UsageError` for a rollback to a round that was not accepted before it.
    """
    accepted = {0: BASE}
    champion = BASE
    for number in range(len(rounds) + 1):
        if number and rounds[number - 1]["decision"]["accepted"]:
            champion = accepted[number] = Champion(number, (*rounds[number - 1]["chain"], number))
        for row in rollbacks:
            if row["after"] == number:
                champion = _rolled_back(accepted, row["to"])
    return champion


def _rolled_back(accepted: dict[int, Champion], number: int) -> Champion:
    if number not in accepted:
        known = ", ".join(map(str, accepted))
        raise UsageError(f"round {number} was not accepted before the rollback", f"Accepted: {known} (0 is the base).")
    return accepted[number]


KindsOf = Callable[[Sequence[tuple[str, int]]], Sequence[str]]
"""The kinds (`prefix` or `full`) of rows with these problem keys and sample numbers, in their order."""


class RoundFolder:
    """One round's folder: addresses of its files and its done-records."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples = path / "samples.jsonl"
        self.rollouts = path / "rollouts.jsonl"
        self.examples = path / "examples.jsonl"
        self.adapter = path / "adapter"
        self.model = path / "model"
        self.certificate = path / "certificate.json"
        self.verdicts = path / "verdicts.jsonl"
        self.record = path / "round.json"

    def scratch(self, name: str) -> Path:
        """A folder for unfinished work that no record refers to."""
        return self.path / f".{name}"

    def work(self, stage: str) -> Path:
        """The scratch folder of a stage, which goes once the stage is done."""
        return self.scratch(f"{stage}-work")

    def done(self, stage: str) -> dict[str, Any] | None:
        """The stage's done-record with its files as recorded, or None; a file that changed since is refused by name."""
        try:
            record = checked(read_json(self._done_path(stage)), DoneRecord, self._done_path(stage))
        except UnreadableError:
            return None
        self.hold_to(stage, record["sha256"])
        return record

    def hold_to(self, stage: str, hashes: dict[str, str]) -> None:
        """Raise `UsageError` naming the first of a stage's files that is missing or not as its record says."""
        for name, expected in hashes.items():
            if not (self.path / name).exists() or content_hash(self.path / name) != expected:
                raise UsageError(
                    f"{self.path / name}: missing or changed since stage `{stage}` was done",
                    f"Restore it, or remove {self.path} to make this round again.",
                )

    def unfinished_cost(self, stage: str) -> Path:
        """Where the cost of a stage stands that isn't done yet (`host/metering.py`)."""
        return self.path / "done" / f".{stage}.cost"

    def mark_done(self, stage: str, cost: Cost, counts: dict[str, Any], files: Sequence[str]) -> dict[str, Any]:
        """Write the stage's done-record: from here on it is done. `cost` is that of all starts that worked on it."""
        record = {
            "stage": stage,
            "start": _utc(cost.since),
            "end": _utc(),
            **cost.fields(),
            "counts": counts,
            "sha256": {name: content_hash(self.path / name) for name in files},
        }
        self._done_path(stage).parent.mkdir(exist_ok=True)
        write_json(self._done_path(stage), record)
        self.unfinished_cost(stage).unlink(missing_ok=True)
        return record

    def take_over(self, stage: Literal["sample", "rollout"], lender: RoundFolder, kinds_of: KindsOf) -> None:
        """Begin a stage with the completions that `lender`'s same stage ended with, at what they cost there.

        Afterwards the folder is as if the stage had been started here and killed after its last chunk: the rows stand
        in the stage's file, under the kinds that `kinds_of` gives them, seconds, memory and energy of the lender's
        done-record in the unfinished cost, and there is no done-record. So the next start plans its own chunks, keeps
        the rows that match them and adds its own cost, as in any resume.

        Nothing is written if the lender's stage isn't done. Raises `UsageError` if its files changed since it was.
        """
        done = lender.done(stage)
        if done is None:
            return
        path, lent = (folder.samples if stage == "sample" else folder.rollouts for folder in (self, lender))
        rows = read_rows(lent)
        kinds = kinds_of([(row["key"], row["sample"]) for row in rows])
        self.path.mkdir(parents=True, exist_ok=True)
        keep_rows(path, [{**row, "kind": kind} for row, kind in zip(rows, kinds, strict=True)])
        figures = {field.name: done[field.name] for field in fields(Cost) if field.name in done}
        since = datetime.fromisoformat(done["start"]).timestamp()
        write_cost(self.unfinished_cost(stage), Cost(since=since, **figures))

    def _done_path(self, stage: str) -> Path:
        return self.path / "done" / f"{stage}.json"


class Journal:
    """One run's folder, `rounds/<run>/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.recipe_path = folder / "recipe.json"
        self.events_path = folder / "events.jsonl"
        self.tensorboard = folder / "tensorboard"
        self.sealed_path = folder / "sealed.json"
        self.sealed_verdicts = folder / "sealed.verdicts.jsonl"
        self.beside_verdicts = folder / "sealed.beside.verdicts.jsonl"
        self.unfinished_sealed_cost = folder / ".sealed.cost"
        self.rollbacks_path = folder / "rollbacks.jsonl"

    def round(self, number: int) -> RoundFolder:
        """The folder of round `number` (1, 2, …)."""
        return RoundFolder(self.folder / f"{number:04d}")

    def rounds(self) -> list[dict[str, Any]]:
        """The records of the finished rounds, in order; a gap in their numbers or another shape is refused."""
        if not self.folder.exists():
            return []
        found = sorted(p for p in self.folder.glob("[0-9][0-9][0-9][0-9]/round.json"))
        records = [read_json(path) for path in found]
        for number, (path, record) in enumerate(zip(found, records, strict=True), start=1):
            if record.get("round") != number or path.parent.name != f"{number:04d}":
                raise UsageError(f"{path}: expected round {number} here", "Restore the missing round's folder.")
            checked(record, RoundRecord, path)
        return records

    def champion(self) -> Champion:
        """The champion after the finished rounds and rollbacks."""
        return champion_of(self.rounds(), self.rollbacks())

    def rollbacks(self) -> list[dict[str, Any]]:
        """The rollbacks in order: `to` which round, `after` how many finished rounds."""
        return checked_rows(self.rollbacks_path, read_rows(self.rollbacks_path), RollbackRow)

    def roll_back(self, to: int) -> Champion:
        """Append a rollback to an accepted round (0: the base) and return the champion it makes; nothing is deleted.

        Raises `UsageError` if that round was never accepted.
        """
        rounds, before = self.rounds(), self.rollbacks()
        row = {"after": len(rounds), "to": to}
        champion = champion_of(rounds, [*before, row])
        keep_rows(self.rollbacks_path, before)  # a torn last line goes
        append_rows(self.rollbacks_path, [row])
        return champion

    def take_over_base(self, lender: Journal) -> None:
        """Begin judging with the base's verdicts of another run: those of its round 1 and of the sealed problems.

        They stand as if this run had judged the base and then been killed, so the next start keeps the batches that
        are whole under its own plan. What judging cost is not taken over: a stage's cost is that of base and
        challenger together.
        """
        pairs = (
            (lender.round(1).verdicts, self.round(1).verdicts),
            (lender.sealed_verdicts, self.sealed_verdicts),
            (lender.beside_verdicts, self.beside_verdicts),
        )
        for lent, path in pairs:
            rows = [row for row in read_rows(lent) if row["model"] == BASE.number]
            if rows:
                path.parent.mkdir(parents=True, exist_ok=True)
                keep_rows(path, rows)

    def hold_rounds(self, rounds: Sequence[dict[str, Any]]) -> None:
        """Hold the files of finished rounds to the hashes in their records; `UsageError` names the one at fault."""
        for record in rounds:
            for stage in record["stages"]:
                self.round(record["round"]).hold_to(stage["stage"], stage["sha256"])

    def sealed(self) -> dict[str, Any] | None:
        """The record of the looks at the sealed problems, None before the first."""
        if not self.sealed_path.exists():
            return None
        return checked(read_json(self.sealed_path), SealedRecord, self.sealed_path)

    def examine(self, recipe: Recipe) -> None:
        """Refuse, before anything is loaded or written, a folder that is held, bound to another recipe, or damaged."""
        for path in (self.folder, self.folder.parent):
            if path.exists() and not path.is_dir():
                raise UsageError(f"{path}: not a folder", "Name another run (--run) or folder of runs (--rounds-dir).")
        if (self.folder / "compare.json").exists():
            raise UsageError(f"`{self.name}` is a comparison, not a run", "Name another run with --run.")
        if held := self.held_by():
            raise self._held(held)
        rounds = self.rounds()
        self.sealed()
        if rounds or self.recipe_path.exists():
            self._refuse_other_recipe(recipe)
        going_on = self.round(len(rounds) + 1)
        for path in sorted(going_on.path.glob("done/*.json")):
            going_on.done(path.stem)

    def bind(self, recipe: Recipe, identity: Identity) -> None:
        """Bind the folder to this recipe, base model and problems, or refuse with what changed since it was bound."""
        if not self.recipe_path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            content = {"format": FORMAT, "fingerprint": recipe.fingerprint(), "model": identity.model}
            write_json(self.recipe_path, {**content, "problems": identity.problems, "recipe": recipe.model_dump()})
            return
        self.refuse_changes(recipe, identity)

    def recipe(self) -> Recipe:
        """The recipe the folder is bound to."""
        return parse_stored(self._bound()["recipe"], str(self.recipe_path))

    def refuse_changes(self, recipe: Recipe, identity: Identity) -> None:
        """`UsageError` says what changed since the folder was bound; an unbound one has nothing to change."""
        if not self.recipe_path.exists():
            return
        self._refuse_other_recipe(recipe)
        stored, start_new = self._bound(), self._start_new()
        if stored["model"] != identity.model:
            raise UsageError(f"run `{self.name}` was made from other base weights ({recipe.model.name})", start_new)
        if stored["problems"] != identity.problems:
            raise UsageError(f"the problems of run `{self.name}` changed ({recipe.problems.train})", start_new)

    def _bound(self) -> dict[str, Any]:
        stored = read_json(self.recipe_path)
        if stored.get("format", FORMAT) not in READ:
            hint = "Use the version of selfimprove that made the run, or start a new run."
            raise UsageError(f"{self.recipe_path}: format {stored['format']}, this program reads 1 and {FORMAT}", hint)
        return checked(stored, BoundRecord, self.recipe_path)

    def _refuse_other_recipe(self, recipe: Recipe) -> None:
        changed = ", ".join(changed_keys(self.recipe(), recipe))
        if changed:
            raise UsageError(f"run `{self.name}` has another recipe; changed: {changed}", self._start_new())

    def _start_new(self) -> str:
        return f"Start a new run: selfimprove run --run {self.name}-2 …"

    def write_event(self, event: Event) -> None:
        """Append one event to the run's history."""
        with self.events_path.open("a", encoding="ascii") as file:
            file.write(to_json(event) + "\n")

    def events_since(self, place: int) -> tuple[list[Timed], int]:
        """The events in whole lines from byte `place` on, and the byte after them; from the start if the file is new.

        A line that is no event is passed over. Raises `UsageError` if the file is there and can't be read.
        """
        try:
            with self.events_path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(place if place <= size else 0)
                read = file.read()
                whole = read[: read.rfind(b"\n") + 1]
                after = file.tell() - len(read) + len(whole)
        except FileNotFoundError:
            return [], 0
        except OSError as error:
            raise UsageError(f"{self.events_path}: can't be read: {error.strerror}", "Look at its owner.") from None
        return [timed for line in whole.splitlines() if (timed := read_event(line)) is not None], after

    def birth(self) -> str:
        """A key that every start of this run has alone, wherever its folder is moved: 16 hexadecimal digits.

        It is the hash of the first line of the history, empty before there is one.
        """
        history = self.events_path.read_bytes() if self.events_path.exists() else b""
        return hashlib.sha256(history.partition(b"\n")[0]).hexdigest()[:16] if history else ""

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process alone; `UsageError` says who holds it. The lock of a dead holder is free."""
        lock = FileLock(self.folder / ".lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            raise self._held(self.holder()) from None
        except OSError as error:
            hint = "Name a folder that can be written to with --rounds-dir."
            raise UsageError(f"{self.folder}: can't be written to: {error.strerror}", hint) from None
        try:
            write_json(self.folder / ".holder.json", {"pid": os.getpid(), "host": platform.node(), "since": _utc()})
            keep_whole_lines(self.events_path)
            yield
        finally:
            (self.folder / ".holder.json").unlink(missing_ok=True)
            lock.release()

    def _held(self, holder: str) -> UsageError:
        return UsageError(f"run `{self.name}` is held by {holder}", "Wait for it, or stop it.")

    def held_by(self) -> str:
        """Who holds the run now, in words; empty if nobody does, whatever a dead holder left behind.

        Where the lock can't be tried, as in a folder that may only be read, who says to hold it is believed.
        """
        if not (self.folder / ".holder.json").exists():
            return ""
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except OSError:  # `Timeout`, which says that another process has it, is one
            return self.holder()
        lock.release()
        return ""

    def holder(self) -> str:
        """Who says to hold the run, in words."""
        try:
            held = read_json(self.folder / ".holder.json")
        except UsageError:  # none, or none that can be read
            return "another process"
        return f"process {held.get('pid')} on {held.get('host')} since {held.get('since')}"


def journal_named(rounds_dir: Path, name: str, option: str) -> Journal:
    """The journal of the run `name` under `rounds_dir`, there or not; `UsageError` if it can't be a folder's name.

    `option` is where the name was given.
    """
    return Journal(rounds_dir / folder_name(name, option))


def _utc(seconds: float | None = None) -> str:
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
