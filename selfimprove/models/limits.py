"""Bounds on time and memory for what a model's files make this program do: running a template, building a skeleton.

A chat template is a program in a sandbox, which keeps it from the file system and not from looping for hours or from
`'x' * 10 ** 12`. `bounded` stops it: by a timer signal, which reaches Python code wherever it loops, and by a limit on
the address space (`RLIMIT_AS`) somewhat above what is in use, which turns a huge string into a `MemoryError`.
Signals reach the main thread alone and both are POSIX: elsewhere there is no limit. A timer and a handler that were
there before are put back, the timer with what it had left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType


class OutOfTime(BaseException):
    """The body of `bounded` took too long. Not an `Exception`, which jinja swallows while it folds constants."""


@contextlib.contextmanager
def bounded(seconds: float, memory: int) -> Iterator[None]:
    """`OutOfTime` is raised in the body after `seconds`, `MemoryError` where it takes `memory` bytes more than now."""
    with _timed(seconds), _sized(memory):
        yield


@contextlib.contextmanager
def _timed(seconds: float) -> Iterator[None]:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _stop)
    started = time.monotonic()
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again, should one be swallowed
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - started), 1e-3), interval)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise OutOfTime


@contextlib.contextmanager
def _sized(memory: int) -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    bounds = [bound for bound in (soft, hard, used + memory) if bound != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(bounds), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
