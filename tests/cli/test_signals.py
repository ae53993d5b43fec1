"""Stopping: once is polite, twice is at once, and nothing is left behind."""

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

from tests import warm
from tests.workshop import Workshop, events_of, hear_interrupts, make_workshop

WRITER = """
import sys, time
from pathlib import Path
from selfimprove.store import durable
from selfimprove.host.stopping import heard

def slow(point, path, data):
    if point == "sync":
        print("writing", flush=True)
        time.sleep(float(sys.argv[2]))

durable.fault = slow
try:
    with heard(durable.interrupt):
        durable.write_atomically(Path(sys.argv[1]), b"whole")
        print("not reached", flush=True)
except KeyboardInterrupt:
    sys.exit(130)
"""


def _writer(path: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=hear_interrupts)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_once_finishes_the_write_in_hand_and_stops(tmp_path: Path, sign: signal.Signals) -> None:
    process = _writer(tmp_path / "file", 0.5)
    process.send_signal(sign)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out == ""
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_twice_ends_at_once(tmp_path: Path) -> None:
    process = _writer(tmp_path / "file", 60)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - started < 20
    assert not (tmp_path / "file").exists()


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return make_workshop(tmp_path_factory.mktemp("workshop"))


@pytest.mark.parametrize(
    "sign", [signal.SIGINT, *(pytest.param(sign, marks=pytest.mark.slow) for sign in (signal.SIGTERM, signal.SIGKILL))]
)
def test_no_child_and_no_temporary_file_is_left(workshop: Workshop, sign: signal.Signals) -> None:
    name = f"stopped-{sign.name.lower()}"
    temporary = workshop.folder / f"tmp-{name}"
    temporary.mkdir()
    environment = {**workshop.environment(), "TMPDIR": str(temporary)}
    out, tell = os.pipe()
    with (workshop.folder / f"{name}.err").open("w+") as told:
        process = warm.start(workshop.run_words(name, 1), workshop.folder, environment, tell, told.fileno())
        os.close(tell)
        with os.fdopen(out) as lines:
            next(line for line in lines if json.loads(line)["event"] == "looked")
            children = psutil.Process(process.pid).children(recursive=True)
            assert children, "the checker's worker should be at work"
            process.send_signal(sign)
            code = process.wait(60)
        told.seek(0)
        said = told.read()
    assert code == (130 if sign != signal.SIGKILL else -signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    assert not list(temporary.iterdir())
    if sign != signal.SIGKILL:
        assert not list((workshop.runs / name).rglob("*.tmp"))
        assert f"selfimprove run --run {name} --rounds 1" in said
        assert not (workshop.runs / name / ".holder.json").exists()
    events_of(workshop.run(name, 1))
    assert not list((workshop.runs / name).rglob("*.tmp"))
