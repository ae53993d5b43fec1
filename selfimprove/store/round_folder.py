"""One round's folder, `rounds/<run>/NNNN/`: where its files stand, its done-records and its record.

`store/journal.py` has the contract of both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from selfimprove.errors import UnreadableError, UsageError
from selfimprove.host.metering import Cost, write_cost
from selfimprove.store.durable import content_hash, keep_rows, make_folder, read_json, read_rows, write_json
from selfimprove.store.parsing import parsed, parsed_rows
from selfimprove.store.records import Certificate, Counts, DoneRecord, MachineCost, RoundRecord, step_name
from selfimprove.store.rows import Kind, SampleRow

KindsOf = Callable[[Sequence[tuple[str, int]]], Sequence[Kind]]
"""The kinds of rows with these problem keys and sample numbers, in their order."""


class RoundFolder:
    """One round's folder: the paths of its files, its done-records, its record.

    Each `step` of a round but the last (`schedule.steps`) has its samples, examples and adapter in `steps/STEP/`, and
    done-records and scratch folders of its own name; of the last one, 0, they stand in the round's folder itself.
    """

    def __init__(self, path: Path, step: int = 0) -> None:
        self.path = path
        self.step = step
        own = path / "steps" / str(step) if step else path
        self.samples = own / "samples.jsonl"
        self.rollouts = own / "rollouts.jsonl"
        self.examples = own / "examples.jsonl"
        self.adapter = own / "adapter"
        self.model = path / "model"
        self.certificate = path / "certificate.json"
        self.verdicts = path / "verdicts.jsonl"
        self.record = path / "round.json"
        self.placebo_adapter = path / "placebo" / "adapter"
        self.placebo_verdicts = path / "placebo" / "verdicts.jsonl"

    def at_step(self, step: int) -> RoundFolder:
        """The same folder as a step of the round sees it."""
        return RoundFolder(self.path, step)

    def make(self) -> None:
        """Make the folder, with those of its done-records and of the step's files; durable on return."""
        make_folder(self._done_path("").parent)
        make_folder(self.samples.parent)

    @property
    def adapter_weights(self) -> Path:
        """The weights of the round's adapter, whose SHA-256 its certificate names."""
        return self.adapter / "adapter_model.safetensors"

    def guard_verdicts(self, name: str) -> Path:
        """The verdicts on the problems of the guard of this name."""
        return self.path / f"guard.{name}.jsonl"

    def verdict_files(self) -> list[Path]:
        """The verdicts of the judging stage: on the held-out problems, and on those of the guards that were judged."""
        return [self.verdicts, *sorted(self.path.glob("guard.*.jsonl"))]

    def scratch(self, name: str) -> Path:
        """A folder for unfinished work that no record refers to."""
        return self.path / f".{step_name(self.step, name)}"

    def work(self, stage: str) -> Path:
        """The scratch folder of a stage, which goes once the stage is done."""
        return self.scratch(f"{stage}-work")

    def done(self, stage: str) -> DoneRecord | None:
        """The stage's done-record with its files as recorded, or None; a file that changed since is refused by name."""
        record = self.recorded(stage)
        if record is not None:
            self.hold_to(stage, record.sha256)
        return record

    def recorded(self, stage: str) -> DoneRecord | None:
        """The stage's done-record, without a look at its files; None without one that can be read."""
        try:
            return parsed(read_json(self._done_path(stage)), DoneRecord, self._done_path(stage))
        except UnreadableError:
            return None

    def hold_to(self, stage: str, hashes: dict[str, str]) -> None:
        """Raise `UsageError` naming the first of a stage's files that is missing or not as its record says."""
        for name, expected in hashes.items():
            if not (self.path / name).exists() or content_hash(self.path / name) != expected:
                hint = f"Restore it, or remove {self.path} to make this round again."
                raise UsageError(
                    f"{self.path / name}: missing or changed since stage `{stage}` was done",
                    "Restore it from a copy of the run." if self.record.exists() else hint,
                )

    def unfinished_cost(self, stage: str) -> Path:
        """Where the cost of a stage stands that isn't done yet (`host/metering.py`)."""
        return self.path / "done" / f".{step_name(self.step, stage)}.cost"

    def mark_done(self, stage: str, cost: Cost, counts: Counts, files: Sequence[Path]) -> DoneRecord:
        """Write the stage's done-record: from here on it is done. `cost` is that of all starts that worked on it."""
        figures: dict[str, Any] = {**cost.fields(), **({"step": self.step} if self.step else {})}
        record = DoneRecord(
            stage=stage,
            start=utc(cost.since),
            end=utc(),
            **figures,
            counts=counts,
            sha256={path.relative_to(self.path).as_posix(): content_hash(path) for path in files},
        )
        write_json(self._done_path(stage), record.plain())
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
        rows = parsed_rows(lent, read_rows(lent), SampleRow)
        kinds = kinds_of([(row.key, row.sample) for row in rows])
        self.make()
        keep_rows(path, [{**row.model_dump(), "kind": kind} for row, kind in zip(rows, kinds, strict=True)])
        since = datetime.fromisoformat(done.start).timestamp()
        figures = {name: getattr(done, name) for name in MachineCost.model_fields}
        write_cost(self.unfinished_cost(stage), Cost(since=since, **figures))

    def certified(self) -> Certificate:
        """The certificate of the round's merge; `UnreadableError` without one that can be read."""
        return parsed(read_json(self.certificate), Certificate, self.certificate)

    def write(self, record: RoundRecord) -> None:
        """Write the round's record: from here on it counts."""
        write_json(self.record, record.plain())

    def _done_path(self, stage: str) -> Path:
        return self.path / "done" / f"{step_name(self.step, stage)}.json"


def utc(seconds: float | None = None) -> str:
    """That moment, or now, as ISO 8601 in UTC."""
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def lacks_weights(adapter: Path) -> bool:
    """Whether an adapter's folder isn't there, or holds its configuration alone."""
    return not adapter.is_dir() or all(path.suffix == ".json" for path in adapter.iterdir())
