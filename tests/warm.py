"""Commands and programs in processes forked from one with the libraries loaded, so that tests don't wait for imports.

Loading torch, transformers and peft takes several times as long as a whole run of the tiny model, and the tests start
some hundred commands. `start` forks each from a server, which the first process that needs it starts for all processes
of the tests. The fork is a process like any other: its own arguments, folder, environment, output, signals and exit.
Two things differ from a fresh one: the hash seed, and variables that a library reads while it is imported, are the
server's. Tests of those start a fresh one.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TextIO

import psutil

from tests.paths import ROOT

PRELOADED = [
    *("transformers.models.auto.modeling_auto", "transformers.models.llama.modeling_llama", "peft"),
    *("peft.utils.transformers_weight_conversion", "pandas", "pyarrow.compute", "scipy.stats", "matplotlib.figure"),
    *("rich.live", "rich.table", "rich.markup"),
    *(
        f"selfimprove.{name}"
        for name in (
            *("ask", "cli.app", "compare.outcome", "compare.running", "compare.plot", "doctor.environment"),
            *(
                "engines.choice",
                "engines.transformers",
                "evaluate",
                "export",
                "init",
                "merging",
                "plan.lines",
                "report",
            ),
            *("runs.assemble", "runs.verify", "tracking", "training", "view.live"),
        )
    ),
]
ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
SOCKET = "SELFIMPROVE_TESTS_SERVER"
"""The variable with the path of the server's socket, in all processes of the tests (`tests/conftest.py`)."""
OWNER = "SELFIMPROVE_TESTS_OWNER"
"""The variable with the id of the process that the tests were started as; the server ends after it."""
SERVE = "--serve"
"""The first word of the server; `python -m tests.warm` with any other is a command, forked."""
OWNER_SECONDS = 2.0
"""How often the server looks whether its owner is still there."""
REQUEST_FDS = 4
"""Descriptors of a request: its words in JSON, standard output, standard error, a pipe for process id and exit code."""


class Forked:
    """A command that was started: what tests use of `subprocess.Popen`."""

    def __init__(self, told: TextIO) -> None:
        """`told` gives the process id, and the exit code once the process has ended, a line each."""
        self._told = told
        self.pid = int(told.readline())
        self.returncode: int | None = None

    def send_signal(self, sign: int) -> None:
        """Send a signal to the process."""
        os.kill(self.pid, sign)

    def wait(self, timeout: float) -> int:
        """The exit code, negative for a signal; after `timeout` seconds the process is killed: `TimeoutExpired`."""
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                self.send_signal(signal.SIGKILL)
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            self.returncode = int(self._told.readline())
            self._told.close()
        return self.returncode


def start(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], out: int, err: int, program: str = ""
) -> Forked:
    """`selfimprove` with these words in `folder`, or the Python `program`; it writes to `out` and `err`."""
    told, tell = os.pipe()
    with tempfile.TemporaryFile("w+") as request:
        wanted = {"words": list(words), "folder": str(folder), "environment": dict(environment), "program": program}
        json.dump(wanted, request)
        request.flush()
        request.seek(0)
        socket.send_fds(_server(), [b"."], [request.fileno(), out, err, tell])
    os.close(tell)
    return Forked(os.fdopen(told))


def call(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float, program: str = ""
) -> subprocess.CompletedProcess[str]:
    """`selfimprove` with these words in `folder`, or the Python `program`, run to its end."""
    with tempfile.TemporaryFile("w+", newline="") as out, tempfile.TemporaryFile("w+", newline="") as err:
        code = start(words, folder, environment, out.fileno(), err.fileno(), program).wait(timeout)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(words), code, out.read(), err.read())


@contextmanager
def started(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[tuple[Forked, TextIO]]:
    """`selfimprove` with these words in `folder`, and its standard output to be read while it runs."""
    out, tell = os.pipe()
    with Path(os.devnull).open("w") as nowhere:
        process = start(words, folder, environment, tell, nowhere.fileno())
    os.close(tell)
    with os.fdopen(out) as lines:
        yield process, lines


def ensure_started() -> None:
    """The server runs and writes where this process does: one that a shell's command started would hold its output."""
    _server()


@cache
def _server() -> socket.socket:
    """A connection to the server; where there is none yet, it is started."""
    path = Path(os.environ[SOCKET])
    ours = socket.socket(socket.AF_UNIX)
    with _lock_of(path).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            ours.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            with socket.socket(socket.AF_UNIX) as theirs:
                theirs.bind(str(path))
                theirs.listen()
                words = [sys.executable, "-m", "tests.warm", SERVE, str(theirs.fileno())]
                environment = {**os.environ, **ENVIRONMENT}
                subprocess.run(words, pass_fds=[theirs.fileno()], env=environment, cwd=ROOT, check=True)
            ours.connect(str(path))
    return ours


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def _serve(listener: socket.socket, owner: int, path: Path) -> str:
    """Fork a process for each request and tell how it ended; returns in each its program, empty for a command."""
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    clients: list[socket.socket] = []
    running: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([listener, woken, *clients], [], [], OWNER_SECONDS)
        if not psutil.pid_exists(owner):
            path.unlink(missing_ok=True)
            _lock_of(path).unlink(missing_ok=True)
            sys.exit()
        if woken in ready:
            os.read(woken, 512)
            _tell_ended(running)
        if listener in ready:
            clients.append(listener.accept()[0])
        for client in [client for client in clients if client in ready]:
            more, fds, _, _ = socket.recv_fds(client, 1, REQUEST_FDS)
            if not more:
                clients.remove(client)
                client.close()
                continue
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                sockets = [one.detach() for one in (listener, *clients)]
                for fd in (*sockets, woken, wake, fds[3], *running.values()):
                    os.close(fd)
                return _become(*fds[:3])
            running[pid] = fds[3]
            os.write(fds[3], f"{pid}\n".encode())
            for fd in fds[:3]:
                os.close(fd)


def _tell_ended(running: dict[int, int]) -> None:
    """Write the exit codes of the processes that have ended, and forget them."""
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            tell = running.pop(pid)
            with suppress(BrokenPipeError):
                os.write(tell, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os.close(tell)


def _become(request: int, out: int, err: int) -> str:
    """Take the folder, environment, output and arguments of the request; returns its program."""
    with os.fdopen(request) as file:
        wanted = json.load(file)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    tempfile.tempdir = None  # the server may have looked for its own
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has it ignored, which children inherit
    sys.argv = ["selfimprove", *wanted["words"]]
    program: str = wanted["program"]
    return program


def _typed() -> int:
    """Have the server run the command with this process's arguments, folder, environment and output; its exit code."""
    code = start(sys.argv[1:], Path.cwd(), os.environ, 1, 2).wait(900)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    if sys.argv[1:2] != [SERVE]:
        sys.exit(_typed())
    if os.fork():
        os._exit(0)  # the server is no child of the process that happened to start it, whose children tests count
    if program := _serve(socket.socket(fileno=int(sys.argv[2])), int(os.environ[OWNER]), Path(os.environ[SOCKET])):
        exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})
    else:
        from selfimprove.cli.app import main

        main()
