"""The run's folder: the only module that knows `rounds/`, and what makes a resume tell the truth.

The contract, each point held by a test through the real runner:

1. A stage is done if and only if its done-record (`NNNN/done/STAGE.json`) exists. The record is renamed into place
   after the stage's files and their folders are fsynced, and holds their SHA-256.
2. JSONL grows by whole appends, fsynced. A torn last line is no line; what it stood for is owed again. Rows are
   matched by content key, never by position.
3. The recipe is stored resolved at the first start. A later start with another one is refused by the changed keys;
   so are other weights or problems under the same recipe. The runtime isn't stored and may change.
4. The champion is computed from the `round.json` files each time; no pointer can go stale.
5. One process per run: an operating-system lock, which ends with its holder. Who holds it is written beside it.

`round.json` is written last in a round and contains the done-records, the scorecard and the decision: a round counts
when it exists. `model/` folders are caches: their hash stands in the certificate, and they are rebuilt when missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from selfimprove.errors import UsageError
from selfimprove.events import Event, to_json
from selfimprove.recipe import Recipe, changed_keys, parse_recipe
from selfimprove.shapes import BoundRecord, DoneRecord, RoundRecord, SealedRecord, checked

FORMAT = 1
"""Version of the folder's format; a folder with another one is refused."""

_TIMES = frozenset({"start", "end", "seconds", "time", "peak_rss_mb"})


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


def champion_of(rounds: Sequence[dict[str, Any]]) -> Champion:
    """The champion after these rounds, from their decisions alone."""
    accepted = [record for record in rounds if record["decision"]["accepted"]]
    if not accepted:
        return Champion(0, ())
    last = accepted[-1]
    return Champion(last["round"], (*last["chain"], last["round"]))


def write_atomically(path: Path, data: bytes) -> None:
    """After this `path` holds `data`, also after a power cut; before it, what it held. Nothing in between is seen."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_folder(path.parent)


def write_json(path: Path, value: object) -> None:
    """Write `value` atomically as indented JSON, ASCII only."""
    write_atomically(path, (json.dumps(value, indent=1, ensure_ascii=True) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; `UsageError` names a file that is missing or isn't one."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{path}: missing", "Restore it, or start a new run with --run NAME.") from None
    except (OSError, ValueError, RecursionError) as error:
        cause = "nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(f"{path}: not readable as JSON: {cause}", "Restore it, or start a new run.") from None
    if not isinstance(value, dict):
        raise UsageError(f"{path}: not a JSON object", "Restore it, or start a new run.")
    return value


def append_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Append one line of JSON per row, durable on return."""
    data = "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows)
    with path.open("ab") as file:
        file.write(data.encode())
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a JSONL file, none if it doesn't exist; a torn last line is left out.

    `UsageError` names a broken line that isn't the last: that is damage, not a kill.
    """
    if not path.exists():
        return []
    *whole, _torn = path.read_bytes().split(b"\n")
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(whole, start=1):
        row = _parse_row(line)
        if row is None and number < len(whole):
            raise UsageError(f"{path}:{number}: not a line of JSON", "Remove the file; its rows are owed again.")
        if row is not None:
            rows.append(row)
    return rows


def keep_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Make the file hold exactly these rows; touches nothing if it does already."""
    data = "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows).encode()
    if (path.read_bytes() if path.exists() else b"") != data:
        write_atomically(path, data)


def publish(temporary: Path, folder: Path) -> None:
    """Rename a finished folder into place, durable on return; a stale one there is replaced."""
    for path in sorted(temporary.rglob("*")):
        _sync(path)
    _sync(temporary)
    if folder.exists():
        shutil.rmtree(folder)
    temporary.replace(folder)
    _sync_folder(folder.parent)


def content_hash(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files with their names; what done-records hold."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for member in sorted(p for p in path.rglob("*") if p.is_file()):
        whole.update(f"{member.relative_to(path).as_posix()}\0{content_hash(member)}\n".encode())
    return whole.hexdigest()


class RoundFolder:
    """One round's folder: addresses of its files and its done-records."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples = path / "samples.jsonl"
        self.examples = path / "examples.jsonl"
        self.adapter = path / "adapter"
        self.model = path / "model"
        self.certificate = path / "certificate.json"
        self.verdicts = path / "verdicts.jsonl"
        self.record = path / "round.json"

    def scratch(self, name: str) -> Path:
        """A folder for unfinished work that no record refers to."""
        return self.path / f".{name}"

    def done(self, stage: str) -> dict[str, Any] | None:
        """The stage's done-record with its files as recorded, or None; a file that changed since is refused by name."""
        record_path = self._done_path(stage)
        if not record_path.exists():
            return None
        record = checked(read_json(record_path), DoneRecord, record_path, f"Restore it, or remove {self.path}.")
        for name, expected in record["sha256"].items():
            if not (self.path / name).exists() or content_hash(self.path / name) != expected:
                raise UsageError(
                    f"{self.path / name}: missing or changed since stage `{stage}` was done",
                    f"Restore it, or remove {self.path} to make this round again.",
                )
        return record

    def mark_done(self, stage: str, started: float, counts: dict[str, Any], files: Sequence[str]) -> dict[str, Any]:
        """Write the stage's done-record: from here on it is done. `started` is in seconds since 1970."""
        ended = time.time()
        record = {
            "stage": stage,
            "start": _utc(started),
            "end": _utc(ended),
            "seconds": round(ended - started, 3),
            "counts": counts,
            "sha256": {name: content_hash(self.path / name) for name in files},
        }
        self._done_path(stage).parent.mkdir(exist_ok=True)
        write_json(self._done_path(stage), record)
        return record

    def _done_path(self, stage: str) -> Path:
        return self.path / "done" / f"{stage}.json"


class Journal:
    """One run's folder, `rounds/<run>/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.recipe_path = folder / "recipe.json"
        self.events_path = folder / "events.jsonl"
        self.sealed_path = folder / "sealed.json"
        self.sealed_verdicts = folder / "sealed.verdicts.jsonl"

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

    def sealed(self) -> dict[str, Any] | None:
        """The record of the looks at the sealed problems, None before the first."""
        if not self.sealed_path.exists():
            return None
        return checked(read_json(self.sealed_path), SealedRecord, self.sealed_path)

    def examine(self, recipe: Recipe) -> None:
        """Refuse, before anything is loaded or written, a folder bound to another recipe or with a damaged record."""
        for path in (self.folder, self.folder.parent):
            if path.exists() and not path.is_dir():
                raise UsageError(f"{path}: not a folder", "Name another run (--run) or folder of runs (--rounds-dir).")
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
        return parse_recipe(self._bound()["recipe"], str(self.recipe_path))

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
        if stored.get("format", FORMAT) != FORMAT:
            hint = "Use the version of selfimprove that made the run, or start a new run."
            raise UsageError(f"{self.recipe_path}: format {stored['format']}, this program reads {FORMAT}", hint)
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

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process alone; `UsageError` says who holds it. The lock of a dead holder is free."""
        lock = FileLock(self.folder / ".lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(f"run `{self.name}` is held by {self.holder()}", "Wait for it, or stop it.") from None
        except OSError as error:
            hint = "Name a folder that can be written to with --rounds-dir."
            raise UsageError(f"{self.folder}: can't be written to: {error.strerror}", hint) from None
        try:
            write_json(self.folder / ".holder.json", {"pid": os.getpid(), "host": platform.node(), "since": _utc()})
            yield
        finally:
            (self.folder / ".holder.json").unlink(missing_ok=True)
            lock.release()

    def held_by(self) -> str:
        """Who holds the run now, in words; empty if nobody does, whatever a dead holder left behind."""
        if not (self.folder / ".holder.json").exists():
            return ""
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
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


def comparable_records(folder: Path) -> dict[str, Any]:
    """Every record of a run by its relative path, times left out: equal for an interrupted and an undisturbed run."""
    records: dict[str, Any] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")):
        name = path.relative_to(folder).as_posix()
        if name == "events.jsonl":
            continue
        records[name] = _without_times(json.loads(path.read_bytes())) if path.suffix == ".json" else content_hash(path)
    return records


def _without_times(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {key: _without_times(inner) for key, inner in value.items() if key not in _TIMES}
    return [_without_times(inner) for inner in value] if isinstance(value, list) else value


def _parse_row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _utc(seconds: float | None = None) -> str:
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # a folder can't be opened elsewhere
        _sync(folder)
