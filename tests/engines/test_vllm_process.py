"""The parent's side of the vLLM engine's process, with scripted workers in the place of vLLM."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from selfimprove.engines import vllm_process
from selfimprove.engines.patience import START_SECONDS, patience
from selfimprove.engines.vllm_messages import Answer, Sampled, to_line
from selfimprove.engines.vllm_process import Worker
from selfimprove.errors import StageError
from selfimprove.sampling import GREEDY, Request

LONG = Answer(number=1, rows=[Sampled(token_ids=tuple(range(400_000)), stop="eos")])
"""A message of several megabytes: a pipe holds 64 KiB."""
ECHO = """
import os, sys
with os.fdopen(int(sys.argv[1])) as requests, os.fdopen(int(sys.argv[2]), "w") as replies:
    for line in requests:
        replies.write(line)
        replies.flush()
"""
SILENT = "import sys, time; print('so far so good', flush=True); time.sleep(3600)"
TWICE = "import os, sys, time; os.write(int(sys.argv[2]), b'one\\ntwo\\n'); time.sleep(3600)"
TRACKED = """
import os, signal, sys, time
read, write = os.pipe()
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.close(write)
    os.write(int(sys.argv[2]), b"ready\\n")
    os.read(read, 1)
    open("cleaned", "w").close()
    sys.exit()
time.sleep(3600)
"""
"""As Python's resource tracker: a child that cleans up when its parent has ended, and ignores SIGTERM."""
HALF = "import os, sys, time; os.write(int(sys.argv[2]), b'[{'); time.sleep(3600)"
DEAD = "import sys; print('no such model'); sys.exit(3)"
FORK = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)']); {SILENT}"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the logs are."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No process that a test started outlives it."""
    before = set(psutil.Process().children(recursive=True))
    yield
    assert not set(psutil.Process().children(recursive=True)) - before


def _worker(script: str) -> Worker:
    return Worker(["-c", script], {}, Path(tempfile.gettempdir()))


def _soon(seconds: float = 0.5) -> float:
    return time.monotonic() + seconds


def test_messages_beyond_a_pipes_size_go_to_and_fro(folder: Path) -> None:
    worker = _worker(ECHO)
    for message in (LONG, Answer(number=2, rows=[Sampled(token_ids=(1,), stop="eos")]), LONG):
        worker.send(message, _soon(120))
        assert worker.receive(_soon(120)).decode() + "\n" == to_line(message)
    worker.end()
    worker.end()
    assert not list(folder.iterdir())


def test_lines_that_come_together_are_read_one_by_one() -> None:
    worker = _worker(TWICE)
    assert (worker.receive(_soon(120)), worker.has_line) == (b"one", True)
    assert (worker.receive(_soon(120)), worker.has_line) == (b"two", False)
    worker.end()


@pytest.mark.parametrize("script", [SILENT, HALF, FORK], ids=["says nothing", "says half", "has a child"])
def test_a_worker_that_never_answers_is_killed_and_told_in_a_line(script: str, folder: Path) -> None:
    worker = _worker(script)
    with pytest.raises(StageError, match="^the vllm engine hangs: it did not answer in time, and was killed; ") as told:
        worker.receive(_soon())
    worker.end()
    (log,) = folder.glob("selfimprove-vllm-*.log")
    assert told.value.message.endswith(f"its full log is {log}")


def test_what_cleans_up_after_the_worker_is_not_killed_with_it(folder: Path) -> None:
    worker = _worker(TRACKED)
    assert worker.receive(_soon(120)) == b"ready"
    worker.end()
    assert (folder / "cleaned").exists()


def test_a_child_that_does_not_end_by_itself_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_process, "TERMINATE_SECONDS", 0.2)
    worker = _worker(TRACKED.replace("os.read(read, 1)", "time.sleep(3600)"))
    assert worker.receive(_soon(120)) == b"ready"
    worker.end()


def test_a_worker_that_never_reads_is_killed() -> None:
    worker = _worker(SILENT)
    with pytest.raises(StageError, match="hangs: it did not answer in time"):
        worker.send(LONG, _soon())


def test_a_worker_that_ended_is_told_with_the_end_of_its_log() -> None:
    worker = _worker(DEAD)
    worker.send(LONG, _soon(120))
    with pytest.raises(StageError, match="the vllm engine ended with exit status 3; its full log is ") as told:
        worker.receive(_soon(120))
    assert told.value.hint == "no such model"


def test_no_descriptor_is_left() -> None:
    before = sorted(path.name for path in Path("/proc/self/fd").iterdir())
    worker = _worker(ECHO)
    worker.end()
    assert sorted(path.name for path in Path("/proc/self/fd").iterdir()) == before


def test_a_chunks_time_grows_with_its_tokens() -> None:
    def chunk(rows: int) -> list[Request]:
        asked = Request(key="p", sample=0, prompt_ids=(1,) * 100, max_new_tokens=412, seed=0, decoding=GREEDY)
        return [asked] * rows

    assert patience([]) == START_SECONDS
    assert patience([chunk(32), chunk(32)]) == START_SECONDS + 64 * 512 / 4


def test_a_worker_that_cannot_be_started_leaves_nothing_open(folder: Path) -> None:
    before = psutil.Process().num_fds()
    with pytest.raises(FileNotFoundError):
        Worker(["-c", SILENT], {}, folder / "absent")
    assert psutil.Process().num_fds() == before
    assert not list(folder.iterdir())
