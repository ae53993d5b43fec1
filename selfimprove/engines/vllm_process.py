"""The worker process of the vLLM engine as its parent sees it: a message goes in, a line comes out, or it is killed.

The process is the first of a session, hence of a process group, of its own; ending it ends the group, by SIGTERM and
then SIGKILL, and waits until no process of it is left. Its standard output belongs to vLLM's log, which goes to a
temporary file. The protocol has two pipes of its own, which are written and read without blocking until a deadline, so
that a worker that hangs is found out as surely as one that ended. Either is a `StageError` with the last lines of the
log, whose file is then kept; otherwise it is removed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from selfimprove.engines.vllm_messages import Message, to_line
from selfimprove.errors import StageError
from selfimprove.escaping import escape_text

TERMINATE_SECONDS = 5.0
"""How long the processes of a group have to end by themselves. Several GPUs of a copy share memory by files under
/dev/shm, which Python's resource tracker removes once the others have ended, if it isn't killed with them."""

END_SECONDS = 30.0
"""How long the processes of a killed group may take to end."""

LOG_LINES = 20
"""Lines of the engine's log that a failure shows."""

LINE_LENGTH = 400
"""Characters of such a line that are shown."""

PIECE = 2**20
"""Most bytes that are read or written at once."""

LONGEST_POLL = 2**31 - 1
"""Milliseconds that one call of poll can wait."""


class Worker:
    """A process of `sys.executable` with the arguments `command`, to which its pipes and this process's id are added.

    `environment` is what it has beyond this process's own, `folder` its working directory.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        requests_out, self._requests = os.pipe()
        self._replies, replies_in = os.pipe()
        os.set_blocking(self._requests, False)
        handle, log = tempfile.mkstemp(prefix="selfimprove-vllm-", suffix=".log")
        self._log, self._failed, self._read = Path(log), False, bytearray()
        arguments = [str(number) for number in (requests_out, replies_in, os.getpid())]
        try:
            self._process = subprocess.Popen(
                # -P: the working directory is not searched for modules, and may hold a vllm.py.
                [sys.executable, "-P", *command, *arguments],
                cwd=folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=handle,
                pass_fds=(requests_out, replies_in),
                start_new_session=True,
            )
        except OSError:  # no process was started: nothing of it may stay
            for descriptor in (self._requests, self._replies):
                os.close(descriptor)
            self._log.unlink()
            raise
        finally:
            for descriptor in (requests_out, replies_in, handle):
                os.close(descriptor)

    def fileno(self) -> int:
        """The pipe of its replies, to wait for several workers at once."""
        return self._replies

    @property
    def has_line(self) -> bool:
        """Whether a line was read with the one before it."""
        return b"\n" in self._read

    def send(self, message: Message, deadline: float) -> None:
        """Write the message; `StageError` if the worker doesn't take it before the monotonic time `deadline`.

        One that has ended takes it too, and shows in `receive`.
        """
        rest = memoryview(to_line(message).encode())
        while rest:
            self._await(self._requests, select.POLLOUT, deadline)
            try:
                rest = rest[os.write(self._requests, rest[:PIECE]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                return

    def receive(self, deadline: float) -> bytes:
        """The line that the worker answers; `StageError` if it ended, or doesn't answer by the monotonic `deadline`."""
        while not self.has_line:
            self._await(self._replies, select.POLLIN, deadline)
            data = os.read(self._replies, PIECE)
            if not data:
                raise self._failure(hung=False)
            self._read += data
        line, _, self._read = self._read.partition(b"\n")
        return bytes(line)

    def end(self) -> None:
        """Kill the process group, wait until it is empty, and delete the log unless the worker failed."""
        self._kill()
        if not self._failed:
            self._log.unlink(missing_ok=True)

    def _await(self, descriptor: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(min(max(0.0, deadline - time.monotonic()) * 1000, LONGEST_POLL)):
            raise self._failure(hung=True)

    def _failure(self, hung: bool) -> StageError:
        """Kill the process, and say how it ended by itself or that it hung."""
        self._kill()
        self._failed, code = True, self._process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
        if hung:
            how = "hangs: it did not answer in time, and was killed"
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        tail = "\n".join(escape_text(line, LINE_LENGTH) for line in lines)
        return StageError(f"the vllm engine {how}; its full log is {self._log}", tail)

    def _kill(self) -> None:
        """End and reap the process, wait until its group is empty, at most `END_SECONDS`, and close the pipes."""
        if self._process.returncode is not None:
            return
        # The process has not been waited for yet, so its id, which is the group's, can't be another's.
        _signal_group(self._process.pid, signal.SIGTERM)
        deadline = time.monotonic() + TERMINATE_SECONDS
        while _runs(self._process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        _signal_group(self._process.pid, signal.SIGKILL)
        self._process.wait()
        deadline = time.monotonic() + END_SECONDS
        while _signal_group(self._process.pid, 0) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.close(self._replies)
        os.close(self._requests)


def _runs(group: int) -> bool:
    """Whether a process of the group has not ended; the first one is a zombie when it has."""
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
