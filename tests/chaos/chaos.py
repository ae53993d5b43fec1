"""The whole of the self-test: an undisturbed run, runs killed and resumed, and what came of them."""

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
from selfimprove.store.records import RoundRecord
from tests.chaos.kills import TRIES, Kill, plan_kills
from tests.chaos.lives import Ending, end_of, make_ready, open_server
from tests.chaos.orders import Life, nothing
from tests.chaos.setting import TINY, Setting, make_setting
from tests.chaos.trace import Trace, reached, read_trace, redone
from tests.comparable import comparable_records

KILLS_PER_RUN = 10
SHOWN = 5
"""Differing records named for a run."""
UNDISTURBED = "undisturbed"

Plan = Callable[[Trace, int, int], list[Kill]]
"""From an undisturbed run's trace, a number of kills and a seed to the kills to try."""


@dataclass(frozen=True)
class Struck:
    """A kill that came about: the place it hit, units begun again because of it by kind of work, processes left."""

    kill: Kill
    place: str
    redone: dict[str, int]
    left: int


@dataclass(frozen=True)
class Run:
    """One run folder after its kills: those that struck, those that came too late, and what is wrong with it."""

    name: str
    struck: tuple[Struck, ...]
    missed: tuple[Kill, ...]
    faults: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether the run ended with the undisturbed records."""
        return not self.faults


@dataclass(frozen=True)
class ChaosReport:
    """What a self-test found; `allowed` is the most work one kill may have redone, by kind, times are in seconds."""

    model: str
    seed: int
    asked: int
    decisions: tuple[str, ...]
    allowed: dict[str, int]
    runs: tuple[Run, ...]
    undisturbed_seconds: float
    seconds: float

    @property
    def struck(self) -> list[Struck]:
        """All kills that came about."""
        return [struck for run in self.runs for struck in run.struck]

    @property
    def equal(self) -> bool:
        """Whether every run ended with the undisturbed records."""
        return all(run.equal for run in self.runs)

    @property
    def exceeded(self) -> list[Struck]:
        """Kills after which more work was redone than is allowed."""
        return [s for s in self.struck if any(n > self.allowed[kind] for kind, n in s.redone.items())]

    @property
    def left(self) -> int:
        """Processes that outlived the run that had started them."""
        return sum(struck.left for struck in self.struck)

    @property
    def passed(self) -> bool:
        """Whether all records are equal, no kill cost more than it may, and no process was left."""
        return self.equal and not self.exceeded and not self.left


def run_chaos(
    kills: int,
    seed: int,
    folder: Path,
    model: str = TINY,
    emit: Emit = silence,
    plan: Plan = plan_kills,
    mutant: Callable[[], None] = nothing,
) -> ChaosReport:
    """Kill runs of `model` in the empty `folder` `kills` times in all, resume them, and compare their records.

    `folder` keeps the undisturbed run and the runs at fault; it is the caller's to remove. `mutant` breaks something in
    the victims (an importable function, for tests). Raises `UsageError` or `StageError` if not even the undisturbed run
    comes to its end.
    """
    began = time.monotonic()
    setting = make_setting(folder, model)
    server = open_server()
    make_ready(server, setting)
    bench = _undisturbed(server, setting, mutant, random.Random(seed))
    emit(Note(f"undisturbed: {bench.seconds:.1f} s; {'; '.join(bench.decisions)}"))
    owed, runs = plan(bench.whole, kills, seed), list[Run]()
    asked = len(owed)
    while owed:
        now, owed = owed[:KILLS_PER_RUN], owed[KILLS_PER_RUN:]
        run = _disturbed(bench, f"run-{len(runs) + 1}", now)
        runs.append(run)
        owed += [kill.again() for kill in run.missed if kill.tries < TRIES]
        emit(Note(_told(run, sum(len(run.struck) for run in runs), asked)))
    seconds = time.monotonic() - began
    return ChaosReport(
        model, seed, asked, bench.decisions, setting.allowed, tuple(runs), round(bench.seconds, 2), round(seconds, 2)
    )


@dataclass(frozen=True)
class _Bench:
    """What every run is held against, and how lives are made; `times` are the undisturbed run's marks."""

    server: ForkServerContext
    setting: Setting
    mutant: Callable[[], None]
    draw: random.Random
    whole: Trace
    times: dict[str, float]
    records: dict[str, Any]
    decisions: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """How long the undisturbed run took."""
        return float(self.whole.rows[-1]["at"])

    def run(self, name: str) -> Path:
        """The folder of a run."""
        return self.setting.folder / name

    def end(self, name: str, number: int, kill: Kill | None) -> Ending:
        """The ending of a run's next life."""
        trace = _trace_path(self.setting, name)
        life = Life(self.setting, self.run(name), trace, number, kill, self.mutant)
        after = self._delay(kill, read_trace(trace)) if kill and kill.way == "instant" else None
        return end_of(self.server, life, after, 60 + 30 * self.seconds)

    def _delay(self, kill: Kill, trace: Trace) -> float:
        """Seconds until the kill: what the run still has to do up to its time, after a start like the first one."""
        start, done = self.times["run started"], reached(trace, self.times)
        if done < start:
            return kill.time
        return start * self.draw.random() + max(0.0, kill.time - done)


def _trace_path(setting: Setting, name: str) -> Path:
    return setting.folder / f"{name}.trace.jsonl"


def _undisturbed(
    server: ForkServerContext, setting: Setting, mutant: Callable[[], None], draw: random.Random
) -> _Bench:
    path, run = _trace_path(setting, UNDISTURBED), setting.folder / UNDISTURBED
    ending = end_of(server, Life(setting, run, path, 1, None, mutant), None, 3600.0)
    if ending.code:
        raise StageError(f"the undisturbed run failed: {_reason(ending)}", "Mend that first: selfimprove run")
    trace = read_trace(path)
    decisions = tuple(_decision(record) for record in Journal(run).rounds())
    return _Bench(server, setting, mutant, draw, trace, trace.times(), comparable_records(run), decisions)


def _decision(record: RoundRecord) -> str:
    return f"round {record.round} {'accepted' if record.accepted else 'rejected'}"


def _disturbed(bench: _Bench, name: str, kills: Sequence[Kill]) -> Run:
    """A run through these kills in the order of their places, to its end; a folder without fault is removed."""
    struck: list[tuple[int, Kill, Ending]] = []
    missed: Sequence[Kill] = ()
    faults: tuple[str, ...] = ()
    ordered = sorted(kills, key=lambda kill: kill.time)
    for number, kill in enumerate([*ordered, None], start=1):
        ending = bench.end(name, number, kill)
        if ending.code == -signal.SIGKILL and ending.last.get("what") != "failed" and kill:
            struck.append((number, kill, ending))
            continue
        missed = ordered[number - 1 :]
        faults = (f"start {number}: {_reason(ending)}",) if ending.code else ()
        break
    again = redone(read_trace(_trace_path(bench.setting, name)).rows)
    hits = [Struck(k, e.last.get("place", "start"), dict(again.get(n, {})), e.left) for n, k, e in struck]
    faults = faults or _differences(bench, bench.run(name))
    if not faults:
        shutil.rmtree(bench.run(name))
        _trace_path(bench.setting, name).unlink()
    return Run(name, tuple(hits), () if faults else tuple(missed), faults)


def _differences(bench: _Bench, run: Path) -> tuple[str, ...]:
    """What is wrong with a finished run: broken history, or the first records that differ."""
    try:
        read_rows(Journal(run).events_path)
        found = comparable_records(run)
    except (UsageError, ValueError) as error:
        return (str(error).splitlines()[0],)
    return tuple(differing(bench.records, found))[:SHOWN]


def differing(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """The records in which two runs differ, as `name: how`, by name."""
    names = sorted(expected.keys() | found.keys())
    return [f"{name}: {_how(expected.get(name), found.get(name))}" for name in names if _differ(name, expected, found)]


def _differ(name: str, expected: dict[str, Any], found: dict[str, Any]) -> bool:
    return name not in expected or name not in found or expected[name] != found[name]


def _how(expected: object, found: object) -> str:
    if expected is None or found is None:
        return "missing" if found is None else "not in the undisturbed run"
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
        return f"differs in {', '.join(keys[:3])}"
    return "differs"


def _reason(ending: Ending) -> str:
    text = str(ending.last.get("text", "")).strip() or f"exit code {ending.code}"
    return text.splitlines()[-1]


def _told(run: Run, struck: int, asked: int) -> str:
    outcome = "records equal" if run.equal else "RECORDS DIFFER"
    return f"{run.name}: killed {len(run.struck)} times ({struck} of {asked}), {outcome}"
