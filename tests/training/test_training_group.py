"""Several processes train what one does; none outlives another that it needs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file

from selfimprove.errors import StageError
from selfimprove.models.tiny import make_tiny_model
from selfimprove.recipe import Runtime
from selfimprove.round.machinery import TrainCounts
from selfimprove.training import train
from tests.paths import ROOT
from tests.training.train_once import SETTINGS, make_job

pytestmark = pytest.mark.slow  # each starts processes that import torch
ALONE = SETTINGS.model_copy(update={"dropout": 0.0, "epochs": 1})
TWO = Runtime(device="cpu", threads=2, train_processes=2)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_tiny_model(tmp_path / "model")


def train_in(folder: Path, model: Path, runtime: Runtime, heard: list[tuple[float, ...]]) -> TrainCounts:
    job = make_job(folder, model, settings=ALONE, runtime=runtime)
    return train(job, lambda *step: heard.append(step))


def test_a_group_trains_what_one_process_does_whole_or_sharded(model: Path, tmp_path: Path) -> None:
    steps: dict[str, list[tuple[float, ...]]] = {"one": [], "two": [], "fsdp": []}
    one = train_in(tmp_path / "one", model, Runtime(device="cpu", threads=1), steps["one"])
    two = train_in(tmp_path / "two", model, TWO, steps["two"])
    sharded = TWO if torch.accelerator.is_available() else TWO.model_copy(update={"device": "auto"})
    fsdp = train_in(tmp_path / "fsdp", model, sharded.model_copy(update={"sharding": "fsdp"}), steps["fsdp"])
    for counts, name in ((two, "two"), (fsdp, "fsdp")):
        assert counts.processes == 2
        assert counts.losses == pytest.approx(one.losses, rel=1e-5)
        assert [step[0] for step in steps[name]] == [1, 2, 3, 4, 5]
        assert [step[2] for step in steps[name]] == counts.losses
        found, wanted = (load_file(tmp_path / each / "out" / "adapter_model.safetensors") for each in (name, "one"))
        assert all(torch.allclose(found[key], wanted[key], atol=1e-5) for key in wanted)
    whole = 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48 + 2 * 32)  # two layers: attention, gated product, norms
    assert two.held_weights == one.held_weights
    assert two.held_weights - fsdp.held_weights == whole // 2


@pytest.mark.skipif(torch.accelerator.is_available(), reason="two processes share no GPU")
def test_a_sharded_model_is_read_once_and_its_layers_are_whole_only_while_they_compute(
    model: Path, tmp_path: Path
) -> None:
    """`fully_shard` keeps a root whole after its forward pass, and each layer is a root; the second process finds no
    weights in its folder."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    script = str(Path(__file__).with_name("sharded_step.py"))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [*launch, "--nproc-per-node", "2", script, str(tmp_path)]
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for rank in (0, 1):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert len(found["whole"]) > 2
        assert set(found["whole"]) == {0}
        assert found["all_reduces"] == 1  # loss and all gradients in one bucket


def test_a_failed_stage_in_a_child_is_one_in_the_parent(model: Path, tmp_path: Path) -> None:
    weights = load_file(model / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StageError, match="step 1 of 5: loss nan"):
        train_in(tmp_path, model, TWO, [])
    assert not (tmp_path / "out").exists()


def test_a_child_that_dies_ends_the_training(model: Path, tmp_path: Path) -> None:
    def kill_one(*_: float) -> None:
        children = [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]
        children[-1].kill()

    with pytest.raises(StageError, match="died with exit code -9"):
        train(make_job(tmp_path, model, settings=ALONE, runtime=TWO), kill_one)
    assert not (tmp_path / "out").exists()
    assert not [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


def test_children_die_with_a_parent_that_is_killed(model: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).with_name("train_once.py")), str(tmp_path), "2", "0", "2"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "waiting\n"
    children = psutil.Process(parent.pid).children(recursive=True)
    assert len([child for child in children if "spawn_main" in " ".join(child.cmdline())]) == 2
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 20
    while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children):
        assert time.monotonic() < deadline, "a child outlived its parent"
        time.sleep(0.1)
