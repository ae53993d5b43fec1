"""Trackers: what is sent, once and in order, and that none of them can stop a run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path

import pytest

from selfimprove import events
from selfimprove.answer.checking import Checker
from selfimprove.errors import UsageError
from selfimprove.events import Event, Note, Timed
from selfimprove.store.journal import Journal
from selfimprove.tracking import TRACKERS, OpenTracker, read_trackers, tracked
from selfimprove.tracking.delivery import Delivery
from selfimprove.tracking.metrics import Point, Points
from selfimprove.tracking.tracker import TrackedRun, Tracker
from tests.example import EXAMPLE, FIRST_START, HISTORY, records, stages
from tests.paths import ROOT
from tests.peers import World
from tests.workshop import Workshop, events_of, make_workshop

SMALL = {"problems": {"train_size": 16, "heldout_size": 100, "sealed_size": 20}}
RUN = TrackedRun(name="run", key="0123456789abcdef", config={"seed": 0}, folder=Path("nowhere"))


@dataclass
class Memory:
    """A tracker that keeps what it is told; it raises at its `fails_at`th point (0: when opened, -1: when closed)."""

    fails_at: int | None = None
    known: bool = False
    pause: float = 0.0
    runs: list[TrackedRun] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    closed: list[bool] = field(default_factory=list)

    def open(self, run: TrackedRun) -> Tracker:
        if self.fails_at == 0:
            raise ConnectionError("no server\nthere")
        self.runs.append(run)
        return self

    def write(self, point: Point) -> None:
        time.sleep(self.pause)
        if self.fails_at == len(self.points) + 1:
            raise ConnectionError("no server\nthere")
        self.points.append(point)

    def close(self, finished: bool) -> None:
        if self.fails_at == -1:
            raise ConnectionError("no server\nthere")
        self.closed.append(finished)

    def values(self, name: str) -> list[tuple[int, float]]:
        return [(point.place, point.values[name]) for point in self.points if name in point.values]


def folded(history: Iterable[Timed]) -> list[Point]:
    points = Points()
    return [point for timed in history for point in points.hear(timed)]


def test_the_example_gives_its_figures_by_step_and_by_round() -> None:
    memory = Memory(points=folded(HISTORY))
    losses = memory.values("train/loss")
    rounds, looks = records().rounds, records().looks
    told = [stage.counts.losses or () for stage in stages("train")]
    assert list(map(len, told)) == [3, 16, 23, 27, 27]
    assert losses == list(enumerate((loss for each in told for loss in each), 1))
    assert memory.values("round/accepted") == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 0.0), (5, 0.0)]
    assert memory.values("round/wins") == [(1, 26.0), (2, 21.0), (3, 21.0), (4, 16.0), (5, 8.0)]
    tokens = [sum(stage.counts.sampled_tokens or 0 for stage in record.stages) for record in rounds]
    assert memory.values("cost/sampled_tokens") == list(enumerate(accumulate(map(float, tokens)), 1))
    seconds = [stage.seconds for stage in stages("sample")]
    assert memory.values("round/sample_seconds") == list(enumerate(seconds, 1))
    assert memory.values("sealed/gain") == [(look.rounds, look.gain) for look in looks]
    assert {type(value) for point in memory.points for value in point.values.values()} == {float}


def test_what_a_start_repeats_is_told_once() -> None:
    again = [timed for timed in HISTORY if not isinstance(timed.event, events.RunFinished)]
    assert folded([*again, *HISTORY]) == folded(HISTORY)


def test_figures_that_are_not_finite_are_left_out() -> None:
    (point,) = folded([Timed(0.0, events.TrainStep(number=1, step=1, steps=2, loss=float("nan"), learning_rate=1e-3))])
    assert point.values == {"train/learning_rate": 1e-3}


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Checker(workers=1) as one:
        yield one


def run_world(world: World, rounds: int, *memories: Memory) -> list[str]:
    """The real loop with these trackers; the notes in the view."""
    trackers: dict[str, OpenTracker] = {f"memory{place}": memory.open for place, memory in enumerate(memories)}
    told: list[Event] = []
    with tracked(trackers, world.journal, world.recipe(), told.append) as emit:
        world.on_event = emit
        world.run(rounds)
    assert isinstance(told[-1], Note | events.RunFinished)
    assert any(isinstance(event, events.RunFinished) for event in told)
    return [event.text for event in told if isinstance(event, Note) and "--track" in event.text]


@pytest.mark.parametrize("fails_at", [0, 1, 3, -1])
def test_a_failing_tracker_is_reported_once_and_stops_neither_the_run_nor_another(
    tmp_path: Path, checker: Checker, fails_at: int
) -> None:
    failing, sound = Memory(fails_at), Memory()
    world = World(tmp_path, checker, [0.4, 0.0], settings=SMALL)
    notes = run_world(world, 2, failing, sound)
    assert notes == ["--track memory0 failed, and the run continues without it: ConnectionError: no server"]
    recorded = folded(world.journal.events_since(0)[0])
    assert [point.values for point in sound.points] == [point.values for point in recorded]
    assert sound.closed == [True]
    assert len(failing.points) == (len(sound.points) if fails_at == -1 else max(fails_at - 1, 0))
    assert (world.journal.folder / "sealed.json").exists()


def test_a_later_start_goes_on_and_a_tracker_chosen_late_is_told_the_history(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, [0.4, 0.0, 0.0], settings=SMALL)
    first, knowing, late = Memory(), Memory(known=True), Memory()
    assert run_world(world, 1, first) == []
    assert run_world(world, 3, knowing, late) == []
    assert first.values("round/gain") + knowing.values("round/gain") == late.values("round/gain")
    assert [number for number, _ in late.values("train/loss")] == [1, 2, 3]
    assert [number for number, _ in knowing.values("train/loss")] == [2, 3]
    for whole in ("round", "sealed"):
        parts = ("became_readable", "became_right", "became_unreadable", "became_wrong")
        split = zip(*([value for _, value in late.values(f"{whole}/{part}")] for part in parts), strict=True)
        gains = [readable + right - unreadable - wrong for readable, right, unreadable, wrong in split]
        assert gains
        assert gains == pytest.approx([gain for _, gain in late.values(f"{whole}/gain")])
    assert first.runs[0].key == late.runs[0].key
    assert first.runs[0].config["gate.batch"] == 50
    assert knowing.values("cost/sampled_tokens") == late.values("cost/sampled_tokens")[1:]


def test_a_slow_tracker_is_waited_for_at_the_end_and_not_for_ever(tmp_path: Path) -> None:
    slow, stuck = Memory(pause=0.01), Memory(pause=5.0)
    for memory, failure in ((slow, ""), (stuck, "it had not accepted everything after 1 seconds")):
        delivery = Delivery("memory", memory.open)
        delivery.begin(RUN, [])
        began = time.monotonic()
        delivery.put(folded(FIRST_START))
        assert time.monotonic() - began < 0.5
        delivery.close(True, timeout=1.0)
        assert delivery.failure == failure
    assert slow.points == folded(FIRST_START)
    assert not stuck.closed


def test_a_refused_start_opens_no_tracker(tmp_path: Path, checker: Checker) -> None:
    world, memory = World(tmp_path, checker, [0.4]), Memory()
    with world.journal.lock(), pytest.raises(UsageError, match="in use by"):
        run_world(world, 1, memory)
    assert memory.runs == []


def test_a_name_that_is_no_tracker_is_refused() -> None:
    with pytest.raises(UsageError, match="--track neptune: not a tracker"):
        read_trackers(["neptune"])
    assert read_trackers([]) == {}


def test_a_missing_package_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    missing = [name for name in TRACKERS if find_spec(name) is None]
    if not missing:
        pytest.skip("every tracker is installed")
    (tmp_path / missing[-1]).mkdir()  # as wandb makes one; it is no package
    words = [sys.executable, "-m", "selfimprove", "run", "--track", missing[-1]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert f"pip install 'selfimprove[{missing[-1]}]'" in done.stderr
    assert not (tmp_path / "rounds").exists()


def replayed(name: str, folder: Path, begin: int, end: int) -> list[Event]:
    """Events of the example told to a real tracker, as one start tells them; what the view was told."""
    journal, told = Journal(folder), list[Event]()
    with tracked(read_trackers([name]), journal, Journal(EXAMPLE).recipe(), told.append) as emit:
        for timed in FIRST_START[begin:end]:
            journal.write_event(timed.event)
            emit(timed.event)
    assert not [event for event in told if isinstance(event, Note)]
    return told


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder in a working folder of its own, where trackers keep what they keep."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "rounds" / "demo").mkdir(parents=True)
    return tmp_path / "rounds" / "demo"


def in_two_starts(name: str, folder: Path) -> None:
    """A start that ends inside the training of round 2, and one that repeats its last steps and goes on."""
    steps = [place for place, timed in enumerate(FIRST_START) if isinstance(timed.event, events.TrainStep)]
    replayed(name, folder, 0, steps[15])
    replayed(name, folder, steps[12], len(FIRST_START))


STEPS = list(range(1, 20))
"""3 of round 1, 16 of round 2."""


def test_tensorboard_has_each_figure_once(folder: Path) -> None:
    pytest.importorskip("tensorboard")
    in_two_starts("tensorboard", folder)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder / "tensorboard"), size_guidance={"tensors": 0})
    read.Reload()
    assert [event.step for event in read.Tensors("train/loss")] == STEPS
    assert [event.step for event in read.Tensors("round/gain")] == [1, 2]
    (recipe,) = read.Tensors("recipe")
    assert b"training.rank" in recipe.tensor_proto.string_val[0]
    assert Journal(folder).tensorboard.name == "tensorboard"


def test_mlflow_has_each_figure_once_in_one_run(folder: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    in_two_starts("mlflow", folder)
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("selfimprove").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["training.rank"] == str(Journal(EXAMPLE).recipe().training.rank)
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "train/loss")] == STEPS
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "round/gain")] == [1, 2]


def test_trackio_has_each_figure_once_in_one_run(folder: Path) -> None:
    pytest.importorskip("trackio")
    imports = "from tests.tracking.test_tracking import in_two_starts; from pathlib import Path"
    script = f"{imports}; {in_two_starts.__name__}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", f"{script}('trackio', Path({str(folder)!r}))"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment)  # it reads its folder when imported
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    query = "select step, json_extract(metrics, '$.\"train/loss\"') from metrics order by id"
    (store,) = (folder.parents[1] / "trackio").glob("*.db")
    import sqlite3

    rows = sqlite3.connect(store).execute(query).fetchall()
    assert [step for step, loss in rows if loss is not None] == STEPS


def test_wandb_offline_has_the_whole_history_under_one_id_and_no_text(folder: Path) -> None:
    pytest.importorskip("wandb")
    in_two_starts("wandb", folder)
    made = sorted(Path("wandb").glob("offline-run-*/run-*.wandb"))
    assert len(made) == 2
    assert {path.stem for path in made} == {f"run-{Journal(folder).birth()}"}
    assert made[1].read_bytes().count(b"train/loss") >= len(STEPS)
    for flip in (timed.event for timed in FIRST_START if isinstance(timed.event, events.Flip)):
        assert not [path for path in Path("wandb").rglob("*") if path.is_file() and _holds(path, flip.question)]


def _holds(path: Path, text: str) -> bool:
    return text.encode() in path.read_bytes()


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return make_workshop(tmp_path_factory.mktemp("workshop"))


def installed(name: str) -> object:
    missing = find_spec(name) is None
    return pytest.param(name, marks=pytest.mark.skipif(missing, reason=f"{name} isn't installed"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [installed(name) for name in TRACKERS])
def test_a_real_run_is_tracked_and_its_output_stays_its_own(workshop: Workshop, name: str) -> None:
    folder = workshop.folder
    environment = {"WANDB_MODE": "offline", "TRACKIO_DIR": str(folder / "trackio")}
    told = events_of(workshop.run(name, 1, "--track", name, environment=environment))
    assert told[-1]["event"] == "run_finished"
    assert not [event for event in told if event["event"] == "note" and "--track" in event["text"]]
    kept = {"tensorboard": f"rounds/{name}/tensorboard/*", "mlflow": "mlflow.db", "trackio": "trackio/*.db"}
    assert list(folder.glob(kept.get(name, "wandb/offline-run-*")))
    verified = workshop.call("verify", name)
    assert verified.returncode == 0, verified.stdout
