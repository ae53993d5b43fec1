"""What a stage cost: over several starts, with a child, with made-up energy counters, through the real loop."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from selfimprove.answer.checking import Checker
from selfimprove.events import Event, StageProgress, silence
from selfimprove.host.gpus import Counter, NoGpus
from selfimprove.host.metering import Cost, joined, metered, rapl_counters
from tests.peers import World


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Checker(workers=1) as checker:
        yield checker


def test_seconds_of_all_starts_are_added_however_they_end(tmp_path: Path) -> None:
    part = tmp_path / "done" / ".sample.cost"
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        _interrupted(part)
    time.sleep(0.2)
    with metered(part, NoGpus(), ()) as meter:
        time.sleep(0.1)
    assert 0.2 <= meter.cost.seconds < time.monotonic() - began - 0.2  # the pause is nobody's
    assert time.time() - meter.cost.since >= 0.4


def _interrupted(part: Path) -> None:
    with metered(part, NoGpus(), ()):
        time.sleep(0.1)
        raise KeyboardInterrupt


@pytest.mark.parametrize("torn", [b"", b"{", b"[1]", b'{"other": 1}'])
def test_a_torn_part_is_none(tmp_path: Path, torn: bytes) -> None:
    part = tmp_path / "part"
    part.write_bytes(torn)
    with metered(part, NoGpus(), ()) as meter:
        pass
    assert meter.cost.seconds < 1


def test_a_kill_leaves_what_was_counted_up_to_the_last_two_seconds(tmp_path: Path) -> None:
    script = (
        "import os, time, pathlib\nfrom selfimprove.host.metering import metered\n"
        "from selfimprove.host.gpus import NoGpus\n"
        f"with metered(pathlib.Path({str(tmp_path / 'part')!r}), NoGpus()): time.sleep(2.2); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 9
    assert json.loads((tmp_path / "part").read_text())["seconds"] > 1.2


def test_memory_of_children_is_counted(tmp_path: Path) -> None:
    with metered(tmp_path / "alone", NoGpus(), ()) as alone:
        pass
    script = "block = bytearray(200 << 20); print(flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout
    with child:
        child.stdout.readline()
        with metered(tmp_path / "both", NoGpus(), ()) as both:
            pass
        child.communicate(b"\n")
    assert 200 <= (both.cost.peak_rss_mb or 0) - (alone.cost.peak_rss_mb or 0) < 260


def test_what_no_counter_tells_is_absent(tmp_path: Path) -> None:
    with metered(tmp_path / "part", NoGpus(), ()) as meter:
        pass
    assert set(meter.cost.fields()) == {"seconds", "peak_rss_mb"}


def test_a_counter_that_wraps_goes_on(tmp_path: Path) -> None:
    told = iter([90.0, 95.0, *[4.0] * 100])
    with metered(tmp_path / "part", NoGpus(), [Counter("processor", lambda: next(told), 100.0)]) as meter:
        time.sleep(0.3)
    assert (meter.cost.energy_j, meter.cost.energy_of) == (14.0, "processor")


def test_rapl_counts_packages_and_not_their_parts(tmp_path: Path) -> None:
    for zone, name in [("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "core"), ("intel-rapl:1", "psys")]:
        (tmp_path / zone).mkdir()
        for file, text in [("name", name), ("energy_uj", "2500000"), ("max_energy_range_uj", "262143328850")]:
            (tmp_path / zone / file).write_text(text + "\n")
    (found,) = rapl_counters(tmp_path)
    assert found.read() == 2.5
    assert found.wraps_at == pytest.approx(262143.32885)
    assert rapl_counters(tmp_path / "absent") == []


def test_energy_unknown_in_one_start_is_unknown_in_all() -> None:
    unknown = Cost(since=3.0, seconds=2.0, peak_rss_mb=20)
    known = Cost(since=1.0, seconds=2.0, peak_rss_mb=10, peak_gpu_mb=5, energy_j=7.0, energy_of="gpu")
    assert joined(known, unknown) == Cost(since=1.0, seconds=4.0, peak_rss_mb=20, peak_gpu_mb=5)
    assert joined(known, known) == replace(known, seconds=4.0, energy_j=14.0)


def test_every_record_of_a_run_says_what_it_cost(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.3])
    world.run(1)
    stages = {stage["stage"]: stage for stage in world.round(1)["stages"]}
    assert all(stage["seconds"] >= 0 and stage["peak_rss_mb"] > 10 for stage in stages.values())
    assert {"sampled_tokens", "prompt_tokens"} <= stages["sample"]["counts"].keys() & stages["judge"]["counts"].keys()
    assert {"target_tokens", "trained_prompt_tokens"} <= stages["train"]["counts"].keys()
    (look,) = json.loads(world.journal.sealed_path.read_text())["looks"]
    assert look["sampled_tokens"] > 0
    assert look["prompt_tokens"] > 0
    assert look["peak_rss_mb"] > 10
    assert not list(world.journal.folder.rglob("*.cost*"))


def test_prompts_are_counted_of_all_that_was_judged(tmp_path: Path, checker: Checker) -> None:
    world = World(tmp_path, checker, gains=[0.3])
    world.run(1)
    folder = world.journal.round(1)
    judged = [json.loads(line) for line in folder.verdicts.read_text().splitlines()]
    asked = {(model, request.key): len(request.prompt_ids) for model, request in world.sampled}
    names = {0: world.folder.name, 1: folder.path.name}
    counts = next(stage["counts"] for stage in world.round(1)["stages"] if stage["stage"] == "judge")
    assert counts["prompt_tokens"] == sum(asked[names[row["model"]], row["key"]] for row in judged)


def test_an_interrupted_stage_is_charged_for_both_starts(tmp_path: Path, checker: Checker) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, StageProgress) and event.stage == "sample":
            time.sleep(0.4)
            raise KeyboardInterrupt

    world = World(tmp_path, checker, gains=[0.3], on_event=stop)
    with pytest.raises(KeyboardInterrupt):
        world.run(1)
    assert world.journal.round(1).unfinished_cost("sample").exists()
    world.on_event = silence
    world.run(1)
    sample = world.round(1)["stages"][0]
    assert sample["seconds"] >= 0.4
    assert not world.journal.round(1).unfinished_cost("sample").exists()
