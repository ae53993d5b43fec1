"""The check of a GPU, at toy size: what it prints, where it ends, and that a failing row is named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu_check import Bench, Checked, table
from benchmarks.gpu_check.rows import ROWS
from benchmarks.gpu_check.running import bench_on, check
from selfimprove.errors import UsageError
from selfimprove.host.gpus import Memory
from selfimprove.models.gpus import pretend_gpus
from selfimprove.models.tiny import make_tiny_model
from tests.paths import ROOT
from tests.scripted_gpus import ScriptedGpus


def test_the_table_has_figures_or_the_reason() -> None:
    rows = [
        Checked(name="starts", what="twice", seconds=3.0, figures={"cold_s": 61.25, "packed": True, "device": "cuda"}),
        Checked(name="trl", what="beside TRL", seconds=0.0, left_out="TRL isn't installed"),
        Checked(name="engine", what="start", seconds=1.0, failed="StageError: gone"),
    ]
    assert table(rows).splitlines()[2:] == [
        "| starts | twice | passed | 3 | cold_s 61.2; packed yes; device cuda |",
        "| trl | beside TRL | left out | 0 | TRL isn't installed |",
        "| engine | start | FAILED | 1 | StageError: gone |",
    ]


def test_a_check_out_of_time_ends_at_the_row_that_it_could_not_begin(tmp_path: Path) -> None:
    said: list[str] = []
    bench = Bench(model=tmp_path / "model", folder=tmp_path, engine="transformers", toy=True)
    assert not check(bench, 0.0, tmp_path / "out.json", said.append)
    assert said[-1] == "The check ended at the row `machine`."
    (row,) = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert row["failed"] == "not begun: the time was over"


@pytest.mark.gpu_branch
def test_a_gpu_gets_the_whole_work_and_a_machine_without_one_the_toy(tmp_path: Path) -> None:
    with pretend_gpus(ScriptedGpus(memories=[Memory(1, 2)])):
        assert not bench_on(tmp_path, None, "vllm").toy
    assert bench_on(tmp_path, None, None).toy
    unusable = ScriptedGpus(memories=[Memory(1, 2)], torch_sees_them=False)
    with pretend_gpus(unusable), pytest.raises(UsageError, match="torch .* can't use it"):
        bench_on(tmp_path, None, None)
    with pytest.raises(UsageError, match=r"no config\.json"):
        bench_on(tmp_path, tmp_path / "absent", None)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_row_passes_here_at_toy_size(tmp_path: Path) -> None:
    done = _typed("--out", str(tmp_path / "out.json"), "--engine", "transformers", "--minutes", "14")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "are not figures" in done.stdout
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["toy"]
    assert [row["name"] for row in found["rows"]] == [row.name for row in ROWS]
    assert not any(row["failed"] for row in found["rows"])
    figures = {row["name"]: row["figures"] for row in found["rows"]}
    assert figures["parity"]["equal_share"] == 1.0
    assert figures["training"]["packed"]
    assert figures["training"]["steps"] == 20


@pytest.mark.slow
def test_a_row_that_fails_is_named_and_ends_the_check(tmp_path: Path) -> None:
    broken = make_tiny_model(tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"no weights")
    done = _typed("--model", str(broken), "--engine", "transformers")
    assert done.returncode == 1
    assert done.stdout.endswith("The check ended at the row `engine`.\n")
    assert "Traceback" not in done.stdout + done.stderr


def _typed(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.gpu_check", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
