"""Runs on a local cluster of two nodes, against the records of a run in one process. Skipped where Ray is missing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from selfimprove.errors import StageError, UsageError
from selfimprove.recipe import Runtime
from selfimprove.runs.assemble import versions_of
from tests.comparable import comparable_records
from tests.paths import ROOT
from tests.workshop import Workshop, events_of, make_workshop

# Ray takes 127.0.0.1 for the machine's outer address otherwise, where this cluster does not listen.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'selfimprove[ray]'")

from ray.cluster_utils import Cluster  # noqa: E402 - after the settings above

from selfimprove.engines import ray as engine  # noqa: E402
from selfimprove.engines.choice import promises  # noqa: E402
from selfimprove.engines.ray_crew import TRIES, Crew  # noqa: E402
from selfimprove.engines.ray_files import (  # noqa: E402
    IN_FLIGHT,
    PIECE,
    FileServer,
    Source,
    beside_driver,
    fetch,
    find_or_fetch,
    holds,
    place_model,
)
from tests.engines.ray_workers import Doubler, WatchedServer  # noqa: E402 - it imports Ray

NODE = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": 80 << 20}
LONG = ["--set", "sampling.samples=8", "--set", "prefixes.structure_ratio=0"]
"""So many chunks that a node can be lost in the middle, and little to train on each."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A node of one processor, to which tests add others; nothing of them is left afterwards."""
    os.environ["PYTHONPATH"] = str(ROOT)
    made = Cluster()
    try:
        made.add_node(**NODE, include_dashboard=False)
        yield made
    finally:
        made.shutdown()
        assert not _ray_processes(), "processes of the cluster are left"


@pytest.fixture(scope="module")
def driver(cluster: Cluster) -> Iterator[None]:
    """This process as a driver of the cluster to the end of this file; tests that connect by themselves stand above."""
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return make_workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="module")
def alone(workshop: Workshop) -> dict[str, Any]:
    """The records of a run of one round in one process."""
    events_of(workshop.run("alone", 1, *LONG))
    return _records(workshop, "alone")


def _ray_processes(name: str = "") -> list[str]:
    """Command lines of the processes below this one that are Ray's and hold `name`; the dead ones have none.

    The server that forks the checker's processes names Ray's folder among those that it imports from.
    """
    lines = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            lines.append(" ".join(child.cmdline()))
    return [line for line in lines if "ray" in line and name in line and "forkserver" not in line]


def _records(workshop: Workshop, name: str) -> dict[str, Any]:
    """The run's records without what names the cluster."""
    records = comparable_records(workshop.runs / name)
    for path, record in records.items():
        if path.endswith("round.json"):
            record["versions"] = {k: v for k, v in record["versions"].items() if k not in {"workers", "ray"}}
    return records


@pytest.mark.slow
def test_a_run_that_loses_a_node_and_gets_another_leaves_the_records_of_one_process(
    cluster: Cluster, workshop: Workshop, alone: dict[str, Any]
) -> None:
    lost = cluster.add_node(**NODE)
    process = subprocess.Popen(
        workshop.command(*workshop.run_words("lost", 1), *LONG, "--ray", cluster.address, "--workers", "2"),
        cwd=workshop.folder,
        env=workshop.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    events: list[dict[str, Any]] = []
    after = 0
    with process:
        for line in process.stdout:
            events.append(json.loads(line))
            if events[-1]["event"] == "stage_progress" and not after:
                cluster.remove_node(lost, allow_graceful=False)
                cluster.add_node(**NODE)
                after = len(events)
    assert process.returncode == 0
    assert sum(event["event"] == "stage_progress" and event["stage"] == "sample" for event in events[after:]) > 5
    steps = [event["step"] for event in events if event["event"] == "train_step"]
    assert steps == list(range(1, len(steps) + 1))
    assert _records(workshop, "lost") == alone
    record = json.loads((workshop.runs / "lost" / "0001" / "round.json").read_text())
    assert (record["versions"]["workers"], record["versions"]["threads"]) == (2, 1)
    deadline = time.monotonic() + 10
    while _ray_processes("_Worker") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _ray_processes("_Worker"), "workers of the run are left"


@pytest.mark.slow
def test_a_killed_run_goes_on_with_another_number_of_workers(
    cluster: Cluster, workshop: Workshop, alone: dict[str, Any]
) -> None:
    cluster.add_node(**NODE)
    words = [*LONG, "--ray", cluster.address]
    sampling = lambda event: event["event"] == "stage_progress"  # noqa: E731
    training = lambda event: event["event"] == "train_step" and event["step"] == 3  # noqa: E731
    killed = workshop.run_until("killed", 1, sampling, signal.SIGKILL, *words, "--workers", "2")
    assert killed == -signal.SIGKILL
    assert workshop.run_until("killed", 1, training, signal.SIGINT, *words, "--workers", "1") == 130
    assert (workshop.runs / "killed" / "0001" / ".train-work" / "checkpoint.safetensors").exists()
    events = events_of(workshop.run("killed", 1, *words, "--workers", "2"))
    assert next(event["step"] for event in events if event["event"] == "train_step") > 1, "trained from the start again"
    assert _records(workshop, "killed") == alone


@pytest.mark.slow
def test_a_round_of_several_steps_leaves_the_records_of_one_process(cluster: Cluster, workshop: Workshop) -> None:
    steps = [*LONG, "--set", "schedule.steps=2"]
    events_of(workshop.run("steps-alone", 1, *steps))
    events_of(workshop.run("steps", 1, *steps, "--ray", cluster.address, "--workers", "1"))
    assert _records(workshop, "steps") == _records(workshop, "steps-alone")


@pytest.mark.slow
def test_a_training_that_fails_on_the_cluster_says_what_it_says_on_one_machine(
    cluster: Cluster, workshop: Workshop
) -> None:
    burst = [*LONG, "--set", "training.learning_rate=1e30"]
    said = [workshop.run("burst", 1, *burst).stderr, workshop.run("there", 1, *burst, "--ray", cluster.address).stderr]
    assert "training failed" in said[0]
    assert said[1].endswith(said[0])


def _crew(folder: Path, fatal: dict[int, str], patience: float = 600.0) -> Crew:
    hire = ray.remote(Doubler).options(num_cpus=0).remote
    crew = Crew(lambda: hire(fatal, folder), 2, lambda n: f"number {n}", lambda n: patience)
    assert crew.prepare() == "ready"
    return crew


@pytest.mark.slow
def test_the_record_takes_the_workers_word_and_not_the_drivers(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not promises("transformers", Runtime(device="cpu"))["compiled_attention"]:
        pytest.skip("no C compiler here")
    monkeypatch.setenv("PATH", str(tmp_path))  # this process sees no compiler; the nodes were started before
    asked = Runtime(ray=cluster.address, device="cpu", engine="transformers", threads=1)
    assert not versions_of("transformers", asked)["compiled_attention"]
    with engine.Cluster(asked) as made:
        described = made.described()
    assert (described["reproducible"], described["compiled_attention"]) == (True, True)


@pytest.mark.usefixtures("driver")
def test_results_come_in_order_and_a_lost_workers_item_is_given_to_another(tmp_path: Path) -> None:
    crew = _crew(tmp_path, {0: "slow", 4: "once", 7: "once"})
    assert list(crew.map(range(12))) == [2 * number for number in range(12)]
    crew.dismiss()


@pytest.mark.usefixtures("driver")
def test_what_no_worker_survives_ends_in_an_error_that_names_it(tmp_path: Path) -> None:
    crew = _crew(tmp_path, {3: "always"})
    with pytest.raises(StageError, match=f"number 3: {TRIES} workers were lost"):
        list(crew.map(range(6)))
    crew.dismiss()


@pytest.mark.slow
@pytest.mark.usefixtures("driver")
def test_a_worker_that_hangs_is_replaced_and_its_item_given_to_another(tmp_path: Path) -> None:
    crew = _crew(tmp_path, {2: "hangs once"}, patience=2.0)
    assert list(crew.map(range(6))) == [2 * number for number in range(6)]
    crew.dismiss()


@pytest.mark.slow
@pytest.mark.usefixtures("driver")
def test_what_hangs_every_worker_ends_in_an_error_that_names_it(tmp_path: Path) -> None:
    crew = _crew(tmp_path, {2: "hangs"}, patience=2.0)
    with pytest.raises(StageError, match=f"number 2: {TRIES} workers were lost on it; the last one: it did not finish"):
        list(crew.map(range(6)))
    crew.dismiss()


@pytest.mark.usefixtures("driver")
def test_a_users_error_of_a_worker_is_raised_as_it_is(tmp_path: Path) -> None:
    crew = _crew(tmp_path, {2: "refused"})
    with pytest.raises(UsageError) as caught:
        list(crew.map(range(6)))
    assert (caught.value.message, caught.value.hint) == ("a number too many", "Leave it out.")
    crew.dismiss()


@pytest.mark.usefixtures("driver")
def test_items_are_begun_shortly_before_they_are_needed_and_a_closed_map_leaves_the_rest(tmp_path: Path) -> None:
    crew = _crew(tmp_path, {})
    results = crew.map(range(1000))
    assert [next(results), next(results)] == [0, 2]
    results.close()
    assert list(crew.map([70])) == [140]
    begun = {int(path.name.removeprefix("done-")) for path in tmp_path.glob("done-*")} - {70}
    assert max(begun) < 2 + 4
    crew.dismiss()


@pytest.mark.usefixtures("driver")
def test_a_cancelled_load_has_the_time_that_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that decides early leaves a chunk that may take longer than a start, and then the other worker is lost."""
    crew = _crew(tmp_path, {2: "slow", 3: "slow"})
    results = crew.map(range(9))
    assert [next(results), next(results)] == [0, 2]
    while not any(member.task is None for member in crew._members):
        time.sleep(0.01)
    results.close()
    unplaced = ray.remote(Doubler).options(num_cpus=1000).remote  # no node has room for it
    monkeypatch.setattr(crew, "_hire", lambda: unplaced({}, tmp_path))
    (idle,) = (member for member in crew._members if member.task is None)
    ray.kill(idle.actor)
    monkeypatch.setattr("selfimprove.engines.ray_crew.START_SECONDS", 0.05)
    assert list(crew.map([7])) == [14]
    crew.dismiss()


def _model(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "empty.txt").touch()
    (folder / "model.safetensors").write_bytes(os.urandom(2 * PIECE + 17))
    return folder


@pytest.mark.usefixtures("driver")
def test_a_model_folder_is_fetched_in_pieces_under_way_together_and_held_to_its_hashes(tmp_path: Path) -> None:
    model = _model(tmp_path / "model")
    source = Source("another node", beside_driver(WatchedServer, threads=IN_FLIGHT))
    manifest = ray.get(source.server.manifest.remote(model))
    assert holds(model, manifest)
    fetch(model, source, manifest, tmp_path / "fetched")
    assert holds(tmp_path / "fetched", manifest)
    assert ray.get(source.server.most_at_once.remote()) > 1
    (model / "config.json").write_text("[]")
    assert not holds(model, manifest)
    with pytest.raises(StageError, match=r"config\.json: changed"):
        fetch(model, source, manifest, tmp_path / "other")
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"model", "fetched"}


@pytest.mark.usefixtures("driver")
def test_the_same_files_on_a_shared_file_system_are_not_hashed(tmp_path: Path) -> None:
    model = _model(tmp_path / "model")
    source = Source("another node", beside_driver(WatchedServer))
    assert place_model(model, source, tmp_path / "cache") == model
    assert ray.get(source.server.hashed.remote()) == 0


@pytest.mark.usefixtures("driver")
def test_an_equal_folder_of_a_node_is_hashed_once_and_another_one_fetched_once(tmp_path: Path) -> None:
    model, store = _model(tmp_path / "model"), tmp_path / "store"
    source = Source("another node", beside_driver(FileServer))
    manifest = ray.get(source.server.manifest.remote(model))
    assert find_or_fetch(model, source, manifest, store) == model
    config = model / "config.json"
    times = config.stat()
    config.write_text("[]")
    os.utime(config, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert find_or_fetch(model, source, manifest, store) == model, "hashed a second time"
    os.utime(config)
    with pytest.raises(StageError, match=r"config\.json: changed"):  # not equal any more, and so fetched
        find_or_fetch(model, source, manifest, store)
    config.write_text("{}")
    (model / "model.safetensors").rename(tmp_path / "weights")
    elsewhere = Path(shutil.copytree(model, tmp_path / "elsewhere"))
    (tmp_path / "weights").rename(model / "model.safetensors")
    fetch(model, source, manifest, store / "by hand")
    found = store / hashlib.sha256("".join(f"{e.name}\0{e.sha256}\n" for e in manifest).encode()).hexdigest()[:24]
    (store / "by hand").rename(found)
    assert find_or_fetch(elsewhere, source, manifest, store) == found


REFUSED = [
    (["--ray", "127.0.0.1:9"], "127.0.0.1:9: can't be reached", "ray start --head"),
    (["--workers", "2"], "--workers", "--ray auto"),
]


@pytest.mark.parametrize(("words", "named", "hint"), REFUSED, ids=lambda value: str(value)[:30])
def test_a_cluster_that_is_not_there_is_refused(workshop: Workshop, words: list[str], named: str, hint: str) -> None:
    done = workshop.run("refused", 1, *words)
    assert done.returncode == 2, done.stderr
    assert named in done.stderr
    assert hint in done.stderr
    assert len(done.stderr.strip().splitlines()) == 2


@pytest.mark.parametrize("address", ["ray://127.0.0.1:9", "127.0.0.1", ":6379", "here:port"])
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="not of the form HOST:PORT"), engine.Cluster(Runtime(ray=address)):
        pass


def test_a_cluster_promises_what_every_node_does() -> None:
    sure, unsure = {"reproducible": True}, {"reproducible": False}
    assert engine.all_promise([sure, sure]) == sure
    assert engine.all_promise([sure, unsure]) == unsure


SMALL = {"CPU": 8.0}
LARGE = {"CPU": 96.0, "GPU": 8.0}


@pytest.mark.gpu_branch
def test_workers_follow_what_the_nodes_have() -> None:
    assert engine.default_workers([SMALL, SMALL, {}], gpus=0) == 2
    assert engine.default_workers([SMALL, LARGE, LARGE], gpus=1) == 16
    assert engine.default_workers([{"CPU": 8.0, "GPU": 3.0}, LARGE], gpus=2) == 1 + 4
    assert engine.share_threads([SMALL, SMALL], workers=2) == 8
    assert engine.share_threads([SMALL, LARGE], workers=4) == 8
    assert engine.share_threads([SMALL], workers=64) == 1


@pytest.mark.parametrize(
    ("nodes", "threads", "gpus", "processes", "named"),
    [
        ([SMALL, SMALL], 9, 0, 1, "room for 0 of 1 sampler with 9 cores each"),
        ([LARGE], 8, 16, 1, "room for 0 of 1 sampler with 8 cores and 16 GPUs each"),
        ([SMALL, LARGE], 8, 2, 9, "room for 8 of 9 training process with 8 cores and 1 GPUs each"),
        ([SMALL, SMALL], 8, 0, 3, "room for 2 of 3 training process with 8 cores each"),
    ],
)
def test_what_the_cluster_has_no_room_for_is_refused(
    nodes: list[dict[str, float]], threads: int, gpus: int, processes: int, named: str
) -> None:
    with pytest.raises(UsageError, match=named):
        engine.refuse_small(nodes, threads, gpus, processes)
    engine.refuse_small([*nodes, *[LARGE] * 2], 8, min(gpus, 8), processes)


@pytest.mark.gpu_branch
def test_a_cluster_without_vllm_refuses_to_split_a_model_over_gpus() -> None:
    with pytest.raises(UsageError, match="--tensor-parallel 2: several GPUs need the vllm engine"):
        engine.refuse_split("transformers", 2)
    engine.refuse_split("transformers", 1)
    engine.refuse_split("vllm", 2)


def test_a_missing_ray_is_refused_with_what_to_type() -> None:
    script = "import sys; sys.modules['ray'] = None; import selfimprove.engines.ray"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert "UsageError: ray is not installed" in done.stderr
    assert "pip install 'selfimprove[ray]'" in done.stderr
