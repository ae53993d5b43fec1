"""Runs from Python: `run` to the end, or `run_events` as an iterator of what happens.

Both do what `selfimprove run` does, and a run begun by one is gone on with by the other: same folder, same records.

*Threads and signals.* `run` works in the caller's thread. `run_events` works in a thread of its own and hands the
events over; the run doesn't wait for whoever reads them. No signal handler is installed: that is the business of the
program this library is called from. A `KeyboardInterrupt` unwinds the run wherever it is; that costs no more than a
kill, so nothing that is durable.

*Giving up.* Closing the iterator, or leaving it to the garbage collector as `break` does, stops the run at its next
event, closes what it opened and frees the run's lock; then `close` returns. Events follow each durable step: a chunk,
a training step, a judged batch. The same call goes on from there. An iterator that is still open when the interpreter
ends is closed. What the run raises is raised where its events are read, after the last of them.

*The process.* `OMP_WAIT_POLICY` is set to PASSIVE, as the command line does, unless it is set: threads that spin while
they wait cost a factor of ten as soon as anything else wants a core. It must stand before torch is imported.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
from collections.abc import Generator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from selfimprove.answer import Mode, Verdict, checking
from selfimprove.errors import Interrupted, UsageError
from selfimprove.events import Emit, Event, silence
from selfimprove.problem.judging import judge_one
from selfimprove.recipe import Recipe, Runtime, reading
from selfimprove.store.journal import Journal, journal_named
from selfimprove.store.looks import SealedLook
from selfimprove.store.names import DEFAULT

RecipeLike = Recipe | str | os.PathLike[str] | Mapping[str, object]
"""A recipe, the path of a TOML file, or its sections as plain data."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Outcome:
    """What came of a run: base against champion on the sealed problems. Accuracies and gains are shares, 0.01 a point.

    `champion` is the round that the champion comes from, 0 for the base model, and `model` its folder of safetensors,
    which `transformers` and vLLM load. `accepted` are the accepted rounds of `rounds`. The intervals are 95%, over `n`
    problems. `look` counts how often the sealed problems were judged: the first look alone is untouched by what was
    decided after it.
    """

    run: str
    folder: Path
    rounds: int
    accepted: tuple[int, ...]
    champion: int
    model: Path
    n: int
    base_accuracy: float
    base_interval: Interval
    champion_accuracy: float
    champion_interval: Interval
    gain: float
    gain_interval: Interval
    look: int
    sentence: str


def read_recipe(source: RecipeLike, overrides: Mapping[str, object] | None = None) -> Recipe:
    """A validated recipe, with `overrides` laid over `source`, both by section and key; what is left out has defaults.

    Raises `UsageError` naming the file, the key and the cause.
    """
    if isinstance(source, str | os.PathLike):
        return reading.read_recipe(Path(source), overrides)
    data = source.model_dump() if isinstance(source, Recipe) else source
    return reading.parse_recipe(reading.laid_over(data, overrides or {}, "the recipe"), "the recipe")


def run(
    recipe: RecipeLike,
    rounds: int = 2,
    *,
    name: str = "",
    folder: str | os.PathLike[str] = "rounds",
    runtime: Runtime | None = None,
    on_event: Emit = silence,
) -> Outcome:
    """Bring the run `name` in `folder` to `rounds` finished rounds and its sealed outcome; a complete run owes nothing.

    `name` is by default that of the recipe's file, else `default`. `on_event` is called in this thread with each event;
    what it raises ends the run there. Raises `UsageError` if what is asked for can't be done (also: the run is held by
    another process, or bound to another recipe), and `StageError` if a stage ends without a usable result. Both leave
    what is durable, and so does `KeyboardInterrupt`; the same call goes on.
    """
    job = _prepared(recipe, rounds, name, folder, runtime)
    return job.run(on_event)


def run_events(
    recipe: RecipeLike,
    rounds: int = 2,
    *,
    name: str = "",
    folder: str | os.PathLike[str] = "rounds",
    runtime: Runtime | None = None,
) -> Generator[Event, None, Outcome]:
    """What `run` does with the same arguments, as an iterator of its events; the outcome is the generator's value.

    The run begins with the first event that is asked for, in a thread of its own; closing the iterator stops it. What
    `run` raises is raised here for a recipe or a name that is wrong, and from the iterator for all else. The limit on
    the seconds of a chat template holds in the main thread alone: use `run` for a model that isn't trusted.
    """
    return _events(_prepared(recipe, rounds, name, folder, runtime))


@dataclass(frozen=True)
class _Job:
    """A run that was asked for, its recipe read and its folder looked at."""

    recipe: Recipe
    runtime: Runtime
    journal: Journal
    rounds: int

    def run(self, emit: Emit) -> Outcome:
        """Run it in this thread."""
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from selfimprove.runs.assemble import champion_folder, run_recipe

        look = run_recipe(self.recipe, self.runtime, self.journal, self.rounds, emit)
        return _outcome(self.journal, look, champion_folder(self.recipe, self.runtime, self.journal))


def _prepared(
    recipe: RecipeLike, rounds: int, name: str, folder: str | os.PathLike[str], runtime: Runtime | None
) -> _Job:
    if rounds < 1:
        raise UsageError(f"a run of {rounds} rounds", "`rounds` is the total number of rounds, 1 or more.")
    named = name or (Path(recipe).stem if isinstance(recipe, str | os.PathLike) else DEFAULT)
    chosen, journal = read_recipe(recipe), journal_named(Path(folder), named, "name")
    journal.examine(chosen)
    return _Job(chosen, runtime or Runtime(), journal, rounds)


def _outcome(journal: Journal, look: SealedLook, model: Path) -> Outcome:
    records = journal.rounds()
    return Outcome(
        run=journal.name,
        folder=journal.folder,
        rounds=len(records),
        accepted=tuple(record.round for record in records if record.accepted),
        champion=look.champion,
        model=model,
        n=look.n,
        base_accuracy=look.base_accuracy,
        base_interval=look.base_interval,
        champion_accuracy=look.champion_accuracy,
        champion_interval=look.champion_interval,
        gain=look.gain,
        gain_interval=look.gain_interval,
        look=look.look,
        sentence=look.sentence,
    )


def check(answer: str, gold: str, mode: Mode = "last", *, checker: str = "", question: str = "") -> Verdict:
    """The verdict on a bare answer or a whole completion against a reference, judged in a process of its own.

    `mode` and `question` as in `answer.checking.check`. With `checker`, a function of your own as `answers.checker` of
    a recipe names it, that judges in its place; `question` is then the question of the problem that it is handed. Its
    processes end with the call.
    """
    if not checker:
        return checking.check(answer, gold, mode, question=question)
    settings = read_recipe({"answers": {"checker": checker}}).answers
    return judge_one(answer, gold, question, settings)


class _Worker:
    """The thread of a run, and the queue of its events, which ends with None."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        self._stopped = threading.Event()
        self._outcome: Future[Outcome] = Future()
        self.events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        # A daemon, since the interpreter waits for other threads before it would ask this one to stop.
        self._thread = threading.Thread(target=self._work, name="selfimprove", daemon=True)

    def start(self) -> None:
        """Begin; the thread is stopped before the interpreter ends."""
        atexit.register(self.stop)
        self._thread.start()

    def stop(self) -> None:
        """Stop the run at its next event, and wait until it has let go of everything."""
        self._stopped.set()
        self._thread.join()
        atexit.unregister(self.stop)

    def outcome(self) -> Outcome:
        """What came of the run, or what it raised."""
        return self._outcome.result()

    def _work(self) -> None:
        try:
            self._outcome.set_result(self._job.run(self._emit))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that reads the events
            self._outcome.set_exception(error)
        finally:
            self.events.put(None)

    def _emit(self, event: Event) -> None:
        if self._stopped.is_set():
            raise Interrupted("the iterator of the run's events was closed")
        self.events.put(event)


def _events(job: _Job) -> Generator[Event, None, Outcome]:
    worker = _Worker(job)
    worker.start()
    try:
        while (event := worker.events.get()) is not None:
            yield event
        return worker.outcome()
    finally:
        worker.stop()
