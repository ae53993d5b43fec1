"""The whole test: a reference run, runs that are killed and resumed, and the comparison of their records."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from selfimprove.errors import StageError, UsageError
from selfimprove.events import Emit, Note, silence
from selfimprove.store.durable import read_rows
from selfimprove.store.journal import Journal
from tests.chaos.attempt import Attempt, no_mutation
from tests.chaos.kill_plan import MAX_RETRIES, Kill, plan_kills
from tests.chaos.processes import Exit, prepare, run_to_exit, start_server
from tests.chaos.trace import Trace, reached, read_trace, redone
from tests.chaos.workload import TINY, Workload, make_workload
from tests.comparable import comparable_records

KILLS_PER_RUN = 10
SHOWN = 5
"""Differing records named for a run."""
REFERENCE = "undisturbed"
"""Name of the reference run's folder."""

Plan = Callable[[Trace, int, int], list[Kill]]
"""From the reference run's trace, a number of kills and a seed to the kills to try."""


@dataclass(frozen=True)
class KillOutcome:
    """A kill that was carried out: where it hit, units redone because of it by kind of work, processes left behind."""

    kill: Kill
    place: str
    redone: dict[str, int]
    left: int


@dataclass(frozen=True)
class KilledRun:
    """One run folder after its kills: those carried out, those that came after its end, and what is wrong with it."""

    name: str
    carried_out: tuple[KillOutcome, ...]
    missed: tuple[Kill, ...]
    faults: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether the run ended with the reference's records."""
        return not self.faults


@dataclass(frozen=True, kw_only=True)
class ChaosReport:
    """The result; `allowed` is the most units that one kill may make redone, by kind. Durations are in seconds."""

    model: str
    seed: int
    asked: int
    decisions: tuple[str, ...]
    allowed: dict[str, int]
    runs: tuple[KilledRun, ...]
    undisturbed_seconds: float
    seconds: float

    @property
    def carried_out(self) -> list[KillOutcome]:
        """All kills that were carried out."""
        return [outcome for run in self.runs for outcome in run.carried_out]

    @property
    def equal(self) -> bool:
        """Whether every run ended with the reference's records."""
        return all(run.equal for run in self.runs)

    @property
    def exceeded(self) -> list[KillOutcome]:
        """Kills after which more work was redone than is allowed."""
        return [one for one in self.carried_out if any(n > self.allowed[kind] for kind, n in one.redone.items())]

    @property
    def left(self) -> int:
        """Processes that outlived the run that had started them."""
        return sum(outcome.left for outcome in self.carried_out)

    @property
    def passed(self) -> bool:
        """Whether all records are equal, no kill cost more work than allowed, and no process was left."""
        return self.equal and not self.exceeded and not self.left


def run_chaos(
    kills: int,
    seed: int,
    folder: Path,
    model: str = TINY,
    emit: Emit = silence,
    plan: Plan = plan_kills,
    mutate: Callable[[], None] = no_mutation,
) -> ChaosReport:
    """Kill runs of `model` in the empty `folder` `kills` times in all, resume them, and compare their records.

    `folder` keeps the reference run and the runs that differ; the caller removes it. `mutate` breaks something in the
    child processes (an importable function, for tests). Raises `UsageError` or `StageError` if the reference run fails.
    """
    began = time.monotonic()
    workload = make_workload(folder, model)
    server = start_server()
    prepare(server, workload)
    reference = _reference_run(server, workload, mutate, random.Random(seed))
    emit(Note(f"undisturbed: {reference.seconds:.1f} s; {'; '.join(reference.decisions)}"))
    pending, runs = plan(reference.trace, kills, seed), list[KilledRun]()
    asked = len(pending)
    while pending:
        batch, pending = pending[:KILLS_PER_RUN], pending[KILLS_PER_RUN:]
        run = _run_with_kills(reference, f"run-{len(runs) + 1}", batch)
        runs.append(run)
        pending += [kill.again() for kill in run.missed if kill.retries < MAX_RETRIES]
        done = sum(len(run.carried_out) for run in runs)
        outcome = "records equal" if run.equal else "RECORDS DIFFER"
        emit(Note(f"{run.name}: killed {len(run.carried_out)} times ({done} of {asked}), {outcome}"))
    return ChaosReport(
        model=model,
        seed=seed,
        asked=asked,
        decisions=reference.decisions,
        allowed=workload.allowed,
        runs=tuple(runs),
        undisturbed_seconds=round(reference.seconds, 2),
        seconds=round(time.monotonic() - began, 2),
    )


@dataclass(frozen=True, kw_only=True)
class _Reference:
    """The reference run, which every other is compared with; `times` are its marks. Also starts attempts of those."""

    server: ForkServerContext
    workload: Workload
    mutate: Callable[[], None]
    draw: random.Random
    trace: Trace
    times: dict[str, float]
    records: dict[str, Any]
    decisions: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """How long the reference run took."""
        return float(self.trace.rows[-1]["at"])

    def attempt(self, name: str, number: int, kill: Kill | None) -> Exit:
        """Start the run `name` once more; it ends by the kill, or at the end of the run."""
        attempt = _attempt(self.workload, name, number, kill, self.mutate)
        kill_after = self._delay(kill, read_trace(attempt.trace)) if kill and kill.way == "instant" else None
        return run_to_exit(self.server, attempt, kill_after, limit=60 + 30 * self.seconds)

    def _delay(self, kill: Kill, trace: Trace) -> float:
        """Seconds from the attempt's start to the kill: the work still ahead of it, and a start-up like the first."""
        start, done = self.times["run started"], reached(trace, self.times)
        if done < start:
            return kill.time
        return start * self.draw.random() + max(0.0, kill.time - done)


def _attempt(workload: Workload, name: str, number: int, kill: Kill | None, mutate: Callable[[], None]) -> Attempt:
    folder, trace = workload.folder / name, _trace_path(workload, name)
    return Attempt(workload=workload, run=folder, trace=trace, number=number, kill=kill, mutate=mutate)


def _trace_path(workload: Workload, name: str) -> Path:
    return workload.folder / f"{name}.trace.jsonl"


def _reference_run(
    server: ForkServerContext, workload: Workload, mutate: Callable[[], None], draw: random.Random
) -> _Reference:
    attempt = _attempt(workload, REFERENCE, 1, None, mutate)
    ended = run_to_exit(server, attempt, None, limit=3600.0)
    if ended.code:
        raise StageError(f"the undisturbed run failed: {_reason(ended)}", "Mend that first: selfimprove run")
    trace, rounds = read_trace(attempt.trace), Journal(attempt.run).rounds()
    return _Reference(
        server=server,
        workload=workload,
        mutate=mutate,
        draw=draw,
        trace=trace,
        times=trace.times(),
        records=comparable_records(attempt.run),
        decisions=tuple(f"round {record.round} {'accepted' if record.accepted else 'rejected'}" for record in rounds),
    )


def _run_with_kills(reference: _Reference, name: str, kills: Sequence[Kill]) -> KilledRun:
    """A run killed in the order of the kills' times and then left to finish; its folder stays only if it differs."""
    killed: list[tuple[int, Kill, Exit]] = []
    missed: Sequence[Kill] = ()
    faults: tuple[str, ...] = ()
    ordered = sorted(kills, key=lambda kill: kill.time)
    for number, kill in enumerate([*ordered, None], start=1):
        ended = reference.attempt(name, number, kill)
        if ended.code == -signal.SIGKILL and ended.last.get("what") != "failed" and kill:
            killed.append((number, kill, ended))
            continue
        missed = ordered[number - 1 :]
        faults = (f"start {number}: {_reason(ended)}",) if ended.code else ()
        break
    folder, trace_path = reference.workload.folder / name, _trace_path(reference.workload, name)
    again = redone(read_trace(trace_path).rows)
    outcomes = [
        KillOutcome(kill, ended.last.get("place", "start"), dict(again.get(number, {})), ended.left)
        for number, kill, ended in killed
    ]
    faults = faults or _differences(reference, folder)
    if not faults:
        shutil.rmtree(folder)
        trace_path.unlink()
    return KilledRun(name, tuple(outcomes), () if faults else tuple(missed), faults)


def _differences(reference: _Reference, run: Path) -> tuple[str, ...]:
    """What is wrong with a finished run: an unreadable history, or the first records that differ."""
    try:
        read_rows(Journal(run).events_path)
        found = comparable_records(run)
    except (UsageError, ValueError) as error:
        return (str(error).splitlines()[0],)
    return tuple(differing(reference.records, found))[:SHOWN]


def differing(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """The records in which two runs differ, as `name: how`, by name."""
    either, both = expected.keys() | found.keys(), expected.keys() & found.keys()
    names = sorted(name for name in either if name not in both or expected[name] != found[name])
    return [f"{name}: {_how(expected.get(name), found.get(name))}" for name in names]


def _how(expected: object, found: object) -> str:
    if expected is None or found is None:
        return "missing" if found is None else "not in the undisturbed run"
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
        return f"differs in {', '.join(keys[:3])}"
    return "differs"


def _reason(ended: Exit) -> str:
    text = str(ended.last.get("text", "")).strip() or f"exit code {ended.code}"
    return text.splitlines()[-1]
