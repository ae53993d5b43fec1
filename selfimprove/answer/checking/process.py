"""One worker process as its parent sees it: requests go in, replies come out by a deadline, or it is killed.

Both pipes are read and written without blocking, against the deadline of the answer in hand, so that a worker which
stops reading is found out as surely as one that computes too long. Requests are written ahead up to a few kilobytes,
which hides the round trip; the deadline of an answer begins when the reply before it has come.

A worker for a checker of one's own (`contained`) holds the deadline itself, and gets a folder to work in that is
removed with it. It is asked to end before it is killed, since it knows of processes that left its group.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from selfimprove.answer.checking.worker import HEADER, LOADING, Failure, Reply, Request, packed
from selfimprove.errors import StageError, UsageError

TIMEOUT = 3.0  # seconds for one answer
ENDING = 5.0  # seconds a contained worker has to end what it started
STARTING = 120.0  # seconds a fresh process may take to say hello, or to load sympy
AHEAD = 16_000  # bytes written ahead; below what a pipe holds


class WorkerLost(Exception):  # noqa: N818 - a finding about a process, handled by the pool
    """The process ended or missed its deadline; `late` says which."""

    def __init__(self, late: bool) -> None:
        super().__init__("missed its deadline" if late else "ended")
        self.late = late


class Worker:
    """One worker process, used by one thread at a time; `served` counts its replies."""

    def __init__(self, command: Sequence[str], timeout: float, memory_mb: int, *, contained: bool = False) -> None:
        self.timeout = timeout + LOADING if contained else timeout
        self._scratch = (
            tempfile.TemporaryDirectory(prefix="checker-", ignore_cleanup_errors=True) if contained else None
        )
        self.served = 0
        self._buffer = bytearray()
        arguments = [str(timeout), str(memory_mb), str(os.getpid())]
        self._process = subprocess.Popen(
            [sys.executable, "-P", *(() if contained else ("-s",)), *command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd=self._scratch.name if self._scratch else tempfile.gettempdir(),
            env=_environment(self._scratch.name if self._scratch else ""),
            start_new_session=True,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("a process without pipes")
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)
        self._greet()

    def _greet(self) -> None:
        try:
            hello = self._receive(time.monotonic() + STARTING)
        except WorkerLost as lost:
            self.kill()
            raise StageError(
                f"the checker's worker process does not start: it {lost}",
                f"try: {sys.executable} -c 'import selfimprove.answer.checking.worker'",
            ) from None
        if hello.fields:
            self.kill()
            raise UsageError(str(hello.fields[0]), "Correct it, or leave answers.checker empty.")

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def converse(self, requests: Sequence[Request]) -> Iterator[Reply]:
        """The replies to the requests in order; raises `WorkerLost` at the first that does not come."""
        waiting: list[int] = []
        sent = 0
        for _ in requests:
            while sent < len(requests):
                data = packed(requests[sent])
                if waiting and sum(waiting) + len(data) > AHEAD:
                    break
                self._send(data)
                waiting.append(len(data))
                sent += 1
            reply = self._receive(time.monotonic() + self.timeout)
            if reply.failed is Failure.LOADING:
                reply = self._receive(time.monotonic() + STARTING)
            yield reply
            waiting.pop(0)
            self.served += 1

    def _send(self, data: bytes) -> None:
        deadline = time.monotonic() + self.timeout
        rest = memoryview(data)
        while rest:
            _wait(self._stdin.fileno(), select.POLLOUT, deadline)
            try:
                rest = rest[os.write(self._stdin.fileno(), rest[:65_536]) :]
            except BlockingIOError:
                continue
            except OSError:
                raise WorkerLost(late=False) from None

    def _receive(self, deadline: float) -> Reply:
        while True:
            size = HEADER + int.from_bytes(self._buffer[:HEADER], "big")
            if len(self._buffer) >= HEADER and len(self._buffer) >= size:
                reply = Reply.read(bytes(self._buffer[HEADER:size]))
                del self._buffer[:size]
                return reply
            _wait(self._stdout.fileno(), select.POLLIN, deadline)
            data = os.read(self._stdout.fileno(), 65_536)
            if not data:
                raise WorkerLost(late=False)
            self._buffer += data

    def kill(self) -> None:
        """Kill the process group and wait for the process; harmless if it is gone."""
        if self._scratch:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDING)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._stdin.close()
        self._stdout.close()
        if self._scratch:
            self._scratch.cleanup()


def _environment(scratch: str) -> dict[str, str]:
    """All that a worker sees of the environment: where the package is, and what makes it deterministic.

    One with a scratch folder also finds programs, and its own home and temporary folder there.
    """
    own = {"PATH": os.environ.get("PATH", os.defpath), "HOME": scratch, "TMPDIR": scratch} if scratch else {}
    return {
        **own,
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "SYMPY_GROUND_TYPES": "python",
        "OMP_NUM_THREADS": "1",
    }


def _wait(descriptor: int, event: int, deadline: float) -> None:
    """Return when the pipe is ready or closed; raises `WorkerLost` at the deadline."""
    poll = select.poll()
    poll.register(descriptor, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise WorkerLost(late=True)
