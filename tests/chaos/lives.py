"""Lives as the parent sees them: begun from a warm server, killed at an instant or by themselves, seen to be gone.

The server (`multiprocessing`'s forkserver) loads the libraries once and forks each life in milliseconds. What dies is a
process like any other: it has opened its own files and locks, loaded its own model and started its own checker.
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
from tests.chaos.life import FAILED, live, prepare
from tests.chaos.orders import Life
from tests.chaos.setting import Setting
from tests.chaos.trace import read_trace

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
PRELOADED = ["__main__", "tests.chaos.victim"]
GOING = 3.0
"""Seconds that the children of a killed process have to be gone."""


@dataclass(frozen=True)
class Ending:
    """How a life ended: its exit code (-9: killed), its last line of trace, and how many children outlived it."""

    code: int
    last: dict[str, Any]
    left: int


def open_server() -> ForkServerContext:
    """The server of lives, started if need be; `UsageError` where the system has none."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        raise UsageError("the self-test needs processes that can be forked", "Run it on Linux or macOS.")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with _environment():
        forkserver.ensure_running()
    return context


def make_ready(server: ForkServerContext, setting: Setting) -> None:
    """Have the setting's model made; raises `StageError` with the reason if it can't be."""
    with _process(server, prepare, setting) as process:
        process.join()
    if process.exitcode:
        reason = setting.folder / FAILED
        raise StageError(reason.read_text(encoding="utf-8") if reason.exists() else f"exit code {process.exitcode}")


def end_of(server: ForkServerContext, life: Life, after: float | None, limit: float) -> Ending:
    """Have a life lived, killed `after` seconds if that is given, and see it gone.

    One that takes longer than `limit` seconds is killed too, and told as failed.
    """
    children: Sequence[int] = ()
    with _process(server, live, life) as process:
        process.join(limit if after is None else after)
        late = process.is_alive()
        if late:
            children = _kill(process.pid)
        process.join()
    last = read_trace(life.trace).last(life.number)
    if late and after is None:
        last = {**last, "what": "failed", "text": f"no end in sight after {limit:.0f} seconds"}
    left = _left([*children, *last.get("children", ())])
    return Ending(process.exitcode or 0, last, left)


@contextmanager
def _process(server: ForkServerContext, target: Callable[[Any], None], order: object) -> Iterator[Any]:
    process = server.Process(target=target, args=(order,))
    process.start()
    try:
        yield process
    finally:
        if process.is_alive():
            _kill(process.pid)
        process.join()


def _kill(pid: int | None) -> list[int]:
    """Kill a life; returns its children, listed while it stood still."""
    if pid is None:
        return []
    with suppress(ProcessLookupError, psutil.NoSuchProcess):
        os.kill(pid, signal.SIGSTOP)
        children = [child.pid for child in psutil.Process(pid).children(recursive=True)]
        os.kill(pid, signal.SIGKILL)
        return children
    return []


def _left(pids: Sequence[int]) -> int:
    """How many of the processes are still there after a while."""
    deadline = time.monotonic() + GOING
    while (there := sum(map(_lives, pids))) and time.monotonic() < deadline:
        time.sleep(0.005)
    return there


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def _environment() -> Iterator[None]:
    """The environment that the server and its lives inherit; ours is as before afterwards."""
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
