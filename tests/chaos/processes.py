"""The parent's side of an attempt: started from a warm server, killed at an instant or by itself, seen to be gone.

The server (`multiprocessing`'s forkserver) loads the libraries once and forks each attempt in milliseconds. The process
is like any other: it opens its own files and locks, loads its own model and starts its own checker.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from typing import Any

import psutil

from selfimprove.errors import StageError, UsageError
from tests.chaos.attempt import Attempt
from tests.chaos.child import FAILURE_FILE, prepare_model, run_attempt
from tests.chaos.trace import read_trace
from tests.chaos.workload import Workload

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
PRELOADED = ["__main__", "tests.chaos.instrumented_run"]
EXIT_SECONDS = 3.0
"""Seconds that the children of a killed process have to be gone."""


@dataclass(frozen=True)
class Exit:
    """How an attempt ended: its exit code (-9: killed), the last line of its trace, children that outlived it."""

    code: int
    last: dict[str, Any]
    left: int


def start_server() -> ForkServerContext:
    """The server that forks attempts, running; `UsageError` where the system can't fork processes."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        raise UsageError("the self-test needs processes that can be forked", "Run it on Linux or macOS.")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with _server_environment():
        forkserver.ensure_running()
    return context


def prepare(server: ForkServerContext, workload: Workload) -> None:
    """Make the workload's model in a child process; raises `StageError` with the reason if that fails."""
    with _process(server, prepare_model, workload) as process:
        process.join()
    if process.exitcode:
        reason = workload.folder / FAILURE_FILE
        raise StageError(reason.read_text(encoding="utf-8") if reason.exists() else f"exit code {process.exitcode}")


def run_to_exit(server: ForkServerContext, attempt: Attempt, kill_after: float | None, limit: float) -> Exit:
    """Run an attempt until its process is gone, killing it after `kill_after` seconds if that is given.

    One that takes longer than `limit` seconds is killed too, and reported as failed.
    """
    children: Sequence[int] = ()
    with _process(server, run_attempt, attempt) as process:
        process.join(limit if kill_after is None else kill_after)
        killed = process.is_alive()
        if killed:
            children = _kill(process.pid)
        process.join()
    last = read_trace(attempt.trace).last(attempt.number)
    if killed and kill_after is None:
        last = {**last, "what": "failed", "text": f"no end in sight after {limit:.0f} seconds"}
    left = _still_running([*children, *last.get("children", ())])
    return Exit(process.exitcode or 0, last, left)


@contextmanager
def _process(server: ForkServerContext, target: Callable[[Any], None], argument: object) -> Iterator[Any]:
    process = server.Process(target=target, args=(argument,))
    process.start()
    try:
        yield process
    finally:
        if process.is_alive():
            _kill(process.pid)
        process.join()


def _kill(pid: int | None) -> list[int]:
    """Kill a process; returns the ids of its children, listed while it was stopped so that it could start no more."""
    if pid is None:
        return []
    with suppress(ProcessLookupError, psutil.NoSuchProcess):
        os.kill(pid, signal.SIGSTOP)
        children = [child.pid for child in psutil.Process(pid).children(recursive=True)]
        os.kill(pid, signal.SIGKILL)
        return children
    return []


def _still_running(pids: Sequence[int]) -> int:
    """How many of the processes are still running after `EXIT_SECONDS`; returns as soon as none is."""
    deadline = time.monotonic() + EXIT_SECONDS
    while (running := sum(map(_is_running, pids))) and time.monotonic() < deadline:
        time.sleep(0.005)
    return running


def _is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def _server_environment() -> Iterator[None]:
    """`ENVIRONMENT` for the server and its children; this process has its own again afterwards."""
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
