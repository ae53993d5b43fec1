"""What a disk can do to a run: fill up, turn read-only, tear a line at any byte, lose or change a file."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from selfimprove import events as ev
from selfimprove.answer.checking import Checker
from selfimprove.errors import StageError, UsageError
from selfimprove.models.tiny import make_tiny_model
from selfimprove.plan.disk import refuse_if_short
from selfimprove.plan.forecast import forecast_round
from selfimprove.recipe import Recipe, Runtime
from selfimprove.round.harvest import select
from selfimprove.round.judge import judge
from selfimprove.round.machinery import Footprint
from selfimprove.round.sample import sample
from selfimprove.runs.assemble import run_recipe
from selfimprove.store import durable
from selfimprove.store.durable import Point
from selfimprove.store.journal import Journal
from tests.chaos.workload import TINY, Workload, make_workload
from tests.comparable import comparable_records
from tests.peers import World

SMALL: dict[str, dict[str, Any]] = {
    "problems": {"train_size": 12, "heldout_size": 24, "sealed_size": 10},
    "sampling": {"chunk_rows": 4},
    "gate": {"batch": 8, "rule": "point"},
}
STAGES = ["sample", "harvest", "train", "merge", "judge", "placebo", "sealed"]


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Checker(workers=1) as made:
        yield made


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, checker: Checker) -> dict[str, Any]:
    world = _world(tmp_path_factory.mktemp("undisturbed"), checker)
    world.run(2)
    return comparable_records(world.journal.folder)


def _world(folder: Path, checker: Checker) -> World:
    settings = {**SMALL, "gate": {**SMALL["gate"], "placebo": True}}
    world = World(folder, checker, gains=[0.2, -0.1], settings=settings)
    problems = folder / "sums.jsonl"
    problems.write_text("".join(problems.read_text().splitlines(keepends=True)[:60]))  # read at each of many starts
    return world


def _same(world: World, undisturbed: dict[str, Any]) -> bool:
    """Whether the records are equal; the recipe names the problem file by its path, which differs."""
    found = comparable_records(world.journal.folder)
    return {k: v for k, v in found.items() if k != "recipe.json"} == {
        k: v for k, v in undisturbed.items() if k != "recipe.json"
    }


@contextmanager
def _sabotaged(fault: durable.Fault) -> Iterator[None]:
    durable.fault = fault
    try:
        yield
    finally:
        durable.fault = durable.no_fault


def test_a_file_is_synced_in_folders_that_a_power_cut_leaves(
    tmp_path: Path, checker: Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder outlasts a power cut once the one above it was synced after it was made."""
    world, sync = _world(tmp_path, checker), os.fsync
    lasting: set[Path] = set()
    lost: set[Path] = set()

    def watched(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_dir():
            lasting.update(child for child in path.iterdir() if child.is_dir())
        else:
            above = [folder for folder in path.parents if tmp_path in folder.parents]
            if not any(folder.name.startswith(".") for folder in above):  # scratch, which is renamed into place
                lost.update(folder for folder in above if folder not in lasting)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    world.run(2)
    assert world.journal.round(2).path in lasting
    assert not {folder.relative_to(tmp_path).as_posix() for folder in lost}


def test_no_space_at_any_point_of_any_write_costs_that_write_alone(tmp_path: Path, checker: Checker) -> None:
    world = _world(tmp_path / "full", checker)
    met: set[tuple[str, str]] = set()

    def full_where_it_was_not_yet(point: Point, path: Path, data: bytes) -> None:
        place = (point, str(path))
        if place in met:
            return
        met.add(place)
        if point == "append":
            path.open("ab").write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    failed = 0
    while not _runs(world, full_where_it_was_not_yet):
        failed += 1
    assert failed == len(met) > 30
    whole = _world(tmp_path / "whole", checker)
    whole.run(1)
    assert _same(world, comparable_records(whole.journal.folder))


def _runs(world: World, fault: durable.Fault) -> bool:
    """Whether a round comes to its end; if not, it must be because the disk is full."""
    with _sabotaged(fault):
        try:
            world.run(1)
        except StageError as error:
            if "the disk is full" not in str(error):
                raise
            return False
    return True


def test_a_disk_that_fills_up_in_any_stage_fails_cleanly_and_the_run_goes_on_with_room(
    tmp_path: Path, checker: Checker, undisturbed: dict[str, Any]
) -> None:
    mount = tmp_path / "disk"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mount)], capture_output=True).returncode:
        pytest.skip("a tmpfs can't be mounted here")
    try:
        world = _world(mount, checker)
        for number in (1, 2):
            for stage in STAGES if number == 2 else STAGES[:-1]:
                world.on_event = _fill_in(mount, number, stage)
                with pytest.raises(StageError, match="the disk is full"):
                    world.run(2)
                (mount / "filler").unlink()
        world.on_event = ev.silence
        world.run(2)
        assert _same(world, undisturbed)
    finally:
        subprocess.run(["umount", str(mount)], check=True)


@dataclass(frozen=True)
class Real:
    """The chaos test's workload with its tiny model, and the records of a round of it that nothing disturbed."""

    workload: Workload
    records: dict[str, Any]

    def run(self, folder: Path, emit: ev.Emit) -> None:
        """A round of it in `folder`, with the real parts."""
        runtime = Runtime(engine="transformers", device="cpu", threads=1, checker_workers=1)
        run_recipe(self.workload.recipe, runtime, Journal(folder / "run"), 1, emit, self.workload.cache)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Real:
    folder = tmp_path_factory.mktemp("real")
    made = Real(make_workload(folder, TINY), {})
    make_tiny_model(folder / TINY, dtype="bfloat16", sharded=True)
    made.run(folder, ev.silence)
    return replace(made, records=comparable_records(folder / "run"))


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param("sample", marks=pytest.mark.slow),
        "train",
        pytest.param("merge", marks=pytest.mark.slow),
        pytest.param("judge", marks=pytest.mark.slow),
    ],
)
def test_a_disk_that_fills_up_under_the_real_parts_is_explained_and_the_run_goes_on(
    tmp_path: Path, real: Real, stage: str
) -> None:
    """The libraries that write weights raise errors of their own when there is no room."""
    mount = tmp_path / "disk"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(mount)], capture_output=True).returncode:
        pytest.skip("a tmpfs can't be mounted here")
    try:
        with pytest.raises(StageError, match="the disk is full"):
            real.run(mount, _fill_in(mount, 1, stage))
        (mount / "filler").unlink()
        real.run(mount, ev.silence)
        assert comparable_records(mount / "run") == real.records
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def _fill_in(mount: Path, number: int, stage: str) -> Callable[[ev.Event], None]:
    """Take all the room once the stage of that round begins to work."""

    def fill(event: ev.Event) -> None:
        if isinstance(event, ev.StageStarted | ev.TrainStep) and event.number == number and not filler.exists():
            named = event.stage if isinstance(event, ev.StageStarted) else "train"
            if named == stage or (stage == "placebo" and named == "placebo"):
                _take_all_room(filler)

    filler = mount / "filler"
    return fill


def _take_all_room(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def test_a_run_that_does_not_fit_is_refused_with_both_numbers(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    work = forecast_round(Recipe(), 256)
    need = work.disk(Footprint(free, 1000), 2, keep_models=False)
    with pytest.raises(UsageError, match=r"may need [\d.]+ [GM]B .* are free"):
        refuse_if_short(tmp_path / "rounds" / "run", need)
    assert not (tmp_path / "rounds").exists()
    refuse_if_short(tmp_path, work.disk(Footprint(1000, 1000), 2, keep_models=True))


def test_a_read_only_folder_is_refused_and_nothing_is_written(tmp_path: Path, checker: Checker) -> None:
    mount = tmp_path / "disk"
    mount.mkdir()
    world = _world(mount / "w", checker)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(mount / "w")], capture_output=True).returncode:
        pytest.skip("a tmpfs can't be mounted here")
    try:
        journal = Journal(mount / "w" / "rounds" / "run")
        with pytest.raises(UsageError, match=r"can't be written to: Read-only file system"):
            _run_in(world, journal)
    finally:
        subprocess.run(["umount", str(mount / "w")], check=True)


def _run_in(world: World, journal: Journal) -> None:
    from selfimprove.problem import load_problems
    from selfimprove.runs.loop import run_rounds
    from selfimprove.store.journal import Identity

    subprocess.run(["umount", str(world.folder)], check=True)
    recipe = world.recipe()
    problems, machinery = load_problems(recipe.problems), world.machinery()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(world.folder)], check=True)
    run_rounds(recipe, problems, Identity("base", problems.fingerprint()), machinery, journal, 1, ev.silence)


@pytest.mark.parametrize(("rows", "last_row"), [(211, 9), pytest.param(1, 1, marks=pytest.mark.slow)])
def test_rows_torn_at_any_byte_are_made_again_as_they_were(
    tmp_path: Path, checker: Checker, rows: int, last_row: int
) -> None:
    """The default run tears at every ninth byte of the last row and at every 211th before it, the slow one at all."""
    settings = {**SMALL, "problems": {"train_size": 6, "heldout_size": 4, "sealed_size": 1}}
    settings = {**settings, "sampling": {"chunk_rows": 2}, "gate": {"batch": 2, "rule": "point"}}
    world = World(tmp_path, checker, gains=[0.2], settings=settings)
    world.run(1)
    whole = world.journal.folder
    for name, stage in [("samples", sample), ("examples", select), ("verdicts", judge)]:
        torn = World(tmp_path / name, checker, gains=[0.2], settings=settings)
        shutil.copytree(whole, torn.journal.folder)
        job = torn.job()
        path = job.files.path / f"{name}.jsonl"
        data = path.read_bytes()
        last = data.rfind(b"\n", 0, -1)
        for end in sorted({*range(0, last, rows), *range(last, len(data), last_row), len(data) - 1}):
            path.write_bytes(data[:end])
            stage(job)
            assert path.read_bytes() == data, f"{name} torn at byte {end}"


@pytest.mark.parametrize("stride", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_a_record_torn_at_any_byte_is_owed_again_or_refused_by_name(
    tmp_path: Path, checker: Checker, stride: int
) -> None:
    world = World(tmp_path, checker, gains=[0.2], settings=SMALL)
    world.run(1)
    files = world.journal.round(1)
    for path in [*sorted((files.path / "done").iterdir()), files.record, world.journal.recipe_path]:
        data = path.read_bytes()
        whole = len(data) - 1  # without its last newline
        for end in sorted({*range(0, whole, stride), 1, whole - 1}):
            path.write_bytes(data[:end])
            if path.parent.name == "done":
                assert files.done(path.stem) is None
            else:
                with pytest.raises(UsageError, match=path.name):
                    world.journal.rounds() if path == files.record else world.journal.recipe()
        path.write_bytes(data)


@pytest.mark.parametrize("content", [b"", b"{", b'{"stage": "train", "sha256": {}', b"null"])
def test_a_stage_whose_done_record_is_damaged_is_made_again(
    tmp_path: Path, checker: Checker, undisturbed: dict[str, Any], content: bytes
) -> None:
    world = _world(tmp_path, checker)
    world.run(2)
    files = world.journal.round(2)
    files.record.unlink()
    (files.path / "done" / "train.json").write_bytes(content)
    world.run(2)
    assert _same(world, undisturbed)


def test_a_clock_set_back_shows_in_no_figure(tmp_path: Path, checker: Checker, monkeypatch: pytest.MonkeyPatch) -> None:
    world = _world(tmp_path, checker)
    backwards = itertools.count(2e9, -1000)
    monkeypatch.setattr(time, "time", lambda: next(backwards))
    world.run(1)
    record = json.loads(world.journal.round(1).record.read_text())
    assert all(stage["seconds"] >= 0 for stage in record["stages"])
    world.run(1)
