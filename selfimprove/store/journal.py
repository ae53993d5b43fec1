"""The run's folder: the only module that knows `rounds/`, and what makes a resume tell the truth.

The contract, each point held by a test through the real runner (how a single file is written is `store/durable.py`):

1. A stage is done if and only if its done-record (`NNNN/done/STAGE.json`) exists and can be read. It is renamed into
   place after the stage's files and their folders are synced, and holds their SHA-256. An unreadable one is no record.
2. JSONL grows by whole appends, synced. A torn last line is no line; what it stood for is owed again. Rows are
   matched by content key, never by position.
3. The recipe is stored resolved at the first start. A later start with another one is refused by the changed keys;
   so are other weights or problems under the same recipe. The runtime isn't stored and may change; answers that another
   engine, device or version gave are never compared with new ones (`round/answers.py`).
4. The champion is computed from the `round.json` files and `rollbacks.jsonl` each time (`store/champion.py`); no
   pointer can go stale.
5. One process per run: an operating-system lock, which ends with its holder. Who holds it is written beside it.
6. At every start the recipe and the files of finished rounds are held to the fingerprint and hashes in their records:
   what was changed by hand is refused by name, never silently used. The records themselves are held to the verdicts by
   `verify`.
7. Problems that are set aside because the checker can't judge against their reference are decided on at the first start
   and stored, since the checker's deadline depends on the machine's load: every start works on the same problems.

`round.json` is written last in a round and contains the done-records, the scorecard and the decision: a round counts
when it exists. `model/` folders are caches (`round/model_cache.py`). A rollback is a row appended to `rollbacks.jsonl`;
no finished round is deleted by it. What a stage cost is measured by `host/metering.py`, with durations from a monotonic
clock, so a clock that is set back shows in no figure.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from selfimprove.errors import UsageError
from selfimprove.escaping import folder_name
from selfimprove.events import Event, RunFinished, RunStarted, Timed, read_event, to_json
from selfimprove.recipe import Recipe, fingerprint_of
from selfimprove.recipe.keys import changed_told
from selfimprove.recipe.reading import parse_stored
from selfimprove.store.champion import BASE, Champion, champion_of
from selfimprove.store.durable import (
    append_rows,
    keep_rows,
    keep_whole_lines,
    make_folder,
    read_json,
    read_rows,
    write_json,
)
from selfimprove.store.looks import SealedLook, SealedRecord
from selfimprove.store.names import COMPARISON, DEFAULT, RECIPE
from selfimprove.store.parsing import parsed, parsed_rows
from selfimprove.store.records import BoundRecord, Rollback, RoundRecord
from selfimprove.store.round_folder import RoundFolder, utc
from selfimprove.store.rows import Answered

FORMAT = 4
"""Version of the folder's format. Older ones are read and gone on with: in 1 merges were always rounded to nearest, and
up to 3 the gate judged otherwise (`gate/editions.py`)."""
READ = (1, 2, 3, FORMAT)
"""Versions that are read; a folder with another one is refused."""


@dataclass(frozen=True)
class Identity:
    """What a run is bound to besides its recipe, by fingerprint: base weights, problems, the recipe's own checker."""

    model: str
    problems: str
    checker: str = ""
    """Empty if the recipe names none."""


class Journal:
    """One run's folder, `rounds/<run>/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.recipe_path = folder / RECIPE
        self.events_path = folder / "events.jsonl"
        self.tensorboard = folder / "tensorboard"
        self.sealed_path = folder / "sealed.json"
        self.sealed_verdicts = folder / "sealed.verdicts.jsonl"
        self.beside_verdicts = folder / "sealed.beside.verdicts.jsonl"
        self.unfinished_sealed_cost = folder / ".sealed.cost"
        self.rollbacks_path = folder / "rollbacks.jsonl"
        self._lock_path = folder / ".lock"
        self._holder_path = folder / ".holder.json"

    @property
    def is_bound(self) -> bool:
        """Whether a run has begun here."""
        return self.recipe_path.exists()

    @property
    def is_comparison(self) -> bool:
        """Whether the folder is that of a comparison."""
        return (self.folder / COMPARISON).exists()

    def round(self, number: int) -> RoundFolder:
        """The folder of round `number` (1, 2, …)."""
        return RoundFolder(self.folder / f"{number:04d}")

    def round_folders(self) -> list[RoundFolder]:
        """The folders of the rounds that were begun, in order."""
        return [RoundFolder(path) for path in sorted(self.folder.glob("[0-9][0-9][0-9][0-9]"))]

    def model_folders(self) -> list[Path]:
        """The merged models on the disk, which can be rebuilt."""
        return [files.model for files in self.round_folders() if files.model.exists()]

    def scratch(self) -> list[Path]:
        """What no record refers to; without it, a training that was interrupted begins anew."""
        kept = (self._lock_path, self._holder_path, self.unfinished_sealed_cost)
        folders = (self.folder, *(files.path for files in self.round_folders()))
        found = [path for folder in folders for pattern in (".*", "steps/*/.*") for path in folder.glob(pattern)]
        return [path for path in found if path not in kept]

    def rounds(self, *, lenient: bool = False) -> list[RoundRecord]:
        """The records of the finished rounds, in order; a gap in their numbers or another shape is refused.

        `lenient` gives up what a run doesn't steer by where it can't be read, for reports (`store/records.py`).
        """
        found = [files.record for files in self.round_folders() if files.record.exists()]
        contents = [read_json(path) for path in found]
        for number, (path, content) in enumerate(zip(found, contents, strict=True), start=1):
            if content.get("round") != number or path.parent.name != f"{number:04d}":
                raise UsageError(f"{path}: expected round {number} here", "Restore the missing round's folder.")
        pairs = zip(contents, found, strict=True)
        return [parsed(content, RoundRecord, path, lenient=lenient) for content, path in pairs]

    def champion(self) -> Champion:
        """The champion after the finished rounds and rollbacks."""
        return champion_of(self.rounds(), self.rollbacks())

    def rollbacks(self) -> list[Rollback]:
        """The rollbacks in order."""
        return parsed_rows(self.rollbacks_path, read_rows(self.rollbacks_path), Rollback)

    def unfinished(self) -> RoundFolder | None:
        """The folder of the round that was begun and has no record."""
        return next((files for files in self.round_folders() if not files.record.exists()), None)

    def roll_back(self, to: int) -> Champion:
        """Append a rollback to an accepted round (0: the base) and return the champion it makes.

        Finished rounds stay as they are. An unfinished one is removed first if it was begun with another champion: its
        samples, adapter and merge are that one's. Raises `UsageError` if that round was never accepted.
        """
        rounds, before = self.rounds(), self.rollbacks()
        rollback = Rollback(after=len(rounds), to=to)
        champion = champion_of(rounds, [*before, rollback])
        if (begun := self.unfinished()) is not None and champion != champion_of(rounds, before):
            shutil.rmtree(begun.path)
        keep_rows(self.rollbacks_path, [row.plain() for row in before])  # a torn last line goes
        append_rows(self.rollbacks_path, [rollback.plain()])
        return champion

    def take_over_base(self, lender: Journal) -> None:
        """Begin with another run's verdicts on the base model: those of its round 1 and of the sealed problems.

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
            rows = [row for row in parsed_rows(lent, read_rows(lent), Answered) if row.model == BASE.number]
            if rows:
                make_folder(path.parent)
                keep_rows(path, [row.model_dump() for row in rows])

    def hold_rounds(self, rounds: Sequence[RoundRecord]) -> None:
        """Hold the files of finished rounds to the hashes in their records; `UsageError` names the one at fault."""
        for record in rounds:
            for stage in record.stages:
                self.round(record.round).hold_to(stage.name, stage.sha256)

    def sealed(self, *, lenient: bool = False) -> tuple[SealedLook, ...]:
        """The looks at the sealed problems, none before the first; `lenient` as in `rounds`."""
        if not self.sealed_path.exists():
            return ()
        return parsed(read_json(self.sealed_path), SealedRecord, self.sealed_path, lenient=lenient).looks

    def write_sealed(self, looks: Sequence[SealedLook]) -> None:
        """Write the looks at the sealed problems, the last one new."""
        stored = read_json(self.sealed_path) if self.sealed_path.exists() else {"format": self.bound().format}
        write_json(self.sealed_path, SealedRecord(**{**stored, "looks": tuple(looks)}).plain())
        self.unfinished_sealed_cost.unlink(missing_ok=True)

    def examine(self, recipe: Recipe, typed: Collection[str] = ()) -> None:
        """Refuse, before anything is loaded or written, a folder that is held, bound to another recipe, or damaged.

        `typed` are the keys of the recipe that were typed, by their dotted names: of those that changed they are named
        first.
        """
        for path in (self.folder, self.folder.parent):
            if path.exists() and not path.is_dir():
                raise UsageError(f"{path}: not a folder", "Name another run (--run) or folder of runs (--rounds-dir).")
        if self.is_comparison:
            raise UsageError(f"`{self.name}` is a comparison, not a run", "Name another run with --run.")
        self.refuse_held()
        rounds = self.rounds()
        self.sealed()
        if rounds or self.is_bound:
            self._refuse_other_recipe(recipe, typed)
        going_on = self.round(len(rounds) + 1)
        for path in sorted(going_on.path.glob("done/*.json")):
            going_on.done(path.stem)

    def refuse_held(self) -> None:
        """`UsageError` says which other process holds the folder, if one does."""
        if held := self.held_by():
            raise self._held(held)

    def bind(self, recipe: Recipe, identity: Identity, faulty: Mapping[str, str] | None = None) -> None:
        """Bind the folder to this recipe, base model and problems, or refuse with what changed since it was bound.

        `faulty` are the problems set aside because their reference can't be judged against (`round/admit.py`).
        """
        if not self.is_bound:
            make_folder(self.folder)
            record = BoundRecord(
                format=FORMAT,
                fingerprint=recipe.fingerprint(),
                model=identity.model,
                problems=identity.problems,
                **({"checker": identity.checker} if identity.checker else {}),
                faulty=dict(faulty or {}),
                recipe=recipe.model_dump(),
            )
            write_json(self.recipe_path, record.plain())
            return
        self.refuse_changes(recipe, identity)

    def recipe(self) -> Recipe:
        """The recipe the folder is bound to."""
        return parse_stored(self.bound().recipe, str(self.recipe_path))

    def refuse_changes(self, recipe: Recipe, identity: Identity) -> None:
        """`UsageError` says what changed since the folder was bound; an unbound one has nothing to change."""
        if not self.is_bound:
            return
        self._refuse_other_recipe(recipe)
        stored, start_new = self.bound(), self._start_new(recipe)
        if stored.fingerprint and stored.fingerprint != fingerprint_of(stored.recipe):
            raise UsageError(f"{self.recipe_path} was changed by hand", f"Restore it. {start_new}.")
        if stored.model != identity.model:
            raise UsageError(f"run `{self.name}` was started from other base weights ({recipe.model.name})", start_new)
        if stored.problems != identity.problems:
            raise UsageError(f"the problems of run `{self.name}` changed ({recipe.problems.train})", start_new)
        if stored.checker != identity.checker:
            named = ", ".join(recipe.checkers)
            raise UsageError(f"the checker of run `{self.name}` changed ({named})", start_new)

    def bound(self, *, lenient: bool = False) -> BoundRecord:
        """What the folder is bound to; `UnreadableError` if that can't be read. `lenient` as in `rounds`."""
        stored = read_json(self.recipe_path)
        if not lenient and stored.get("format", FORMAT) not in READ:
            hint = "Use the version of selfimprove that made the run, or start a new run."
            raise UsageError(f"{self.recipe_path}: format {stored['format']}, this program reads 1 to {FORMAT}", hint)
        return parsed(stored, BoundRecord, self.recipe_path, lenient=lenient)

    def _refuse_other_recipe(self, recipe: Recipe, typed: Collection[str] = ()) -> None:
        changed = changed_told(self.recipe(), recipe, typed)
        if changed:
            hint = f"{self._start_new(recipe)}, or --run {self.name} without a recipe to resume this one."
            raise UsageError(f"run `{self.name}` has another recipe; changed: {changed}", hint)

    def _start_new(self, recipe: Recipe) -> str:
        """What to type for a run of this recipe: a name that is free, after the problems if the run has no own name."""
        stem = re.sub(r"[^\w.-]+", "-", Path(recipe.problems.train).stem).strip("-.")
        base = stem if self.name == DEFAULT and stem else self.name
        names = itertools.chain([base], (f"{base}-{number}" for number in itertools.count(2)))
        name = next(name for name in names if not (self.folder.parent / name).exists())
        return f"Use --run {name} to start a new run"

    def write_event(self, event: Event) -> None:
        """Append one event to the run's history."""
        with self.events_path.open("a", encoding="ascii") as file:
            file.write(to_json(event) + "\n")

    def rounds_wanted(self) -> int | None:
        """How many rounds the last start of the run was to bring it to; None if its events don't tell."""
        starts = [timed.event for timed in self.events_since(0)[0] if isinstance(timed.event, RunStarted)]
        return starts[-1].rounds_wanted if starts else None

    def has_ended(self) -> bool:
        """Whether the last start of the run came to its end; False if its events don't tell."""
        told = [timed.event for timed in self.events_since(0)[0] if isinstance(timed.event, RunStarted | RunFinished)]
        return bool(told) and isinstance(told[-1], RunFinished)

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
            raise UsageError(f"{self.events_path}: can't be read: {error.strerror}", "Check its permissions.") from None
        return [timed for line in whole.splitlines() if (timed := read_event(line)) is not None], after

    def birth(self) -> str:
        """A key of this run, the same for all its starts and wherever its folder is moved: 16 hexadecimal digits.

        It is the hash of the first line of the history, empty before there is one.
        """
        history = self.events_path.read_bytes() if self.events_path.exists() else b""
        return hashlib.sha256(history.partition(b"\n")[0]).hexdigest()[:16] if history else ""

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process alone; `UsageError` says who holds it. The lock of a dead holder is free."""
        lock = FileLock(self._lock_path)
        try:
            make_folder(self.folder)
            lock.acquire(timeout=0)
        except Timeout:
            raise self._held(self.holder()) from None
        except OSError as error:
            hint = "Name a writable folder with --rounds-dir."
            raise UsageError(f"{self.folder}: can't be written to: {error.strerror}", hint) from None
        try:
            write_json(self._holder_path, {"pid": os.getpid(), "host": platform.node(), "since": utc()})
            keep_whole_lines(self.events_path)
            yield
        finally:
            self._holder_path.unlink(missing_ok=True)
            lock.release()

    def _held(self, holder: str) -> UsageError:
        return UsageError(f"run `{self.name}` is in use by {holder}", "Wait for it, or stop it.")

    def held_by(self) -> str:
        """The process that holds the run now, in words; empty if none does, whatever a dead one left behind.

        Where the lock can't be tried, as in a folder that may only be read, who says to hold it is believed.
        """
        if not self._holder_path.exists():
            return ""
        lock = FileLock(self._lock_path)
        try:
            lock.acquire(timeout=0)
        except OSError:  # `Timeout`, which says that another process has it, is one
            return self.holder()
        lock.release()
        return ""

    def holder(self) -> str:
        """The process that claims the lock, in words."""
        try:
            held = read_json(self._holder_path)
        except UsageError:  # none, or none that can be read
            return "another process"
        return f"process {held.get('pid')} on {held.get('host')} since {held.get('since')}"


def journal_named(rounds_dir: Path, name: str, option: str) -> Journal:
    """The journal of the run `name` under `rounds_dir`, there or not; `UsageError` if it can't be a folder's name.

    `option` is where the name was given.
    """
    return Journal(rounds_dir / folder_name(name, option))
