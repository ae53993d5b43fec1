"""Stopping on request: once is polite, twice is at once.

The first Ctrl-C or SIGTERM is heard between two writes: the write in hand is finished, then `KeyboardInterrupt` unwinds
the stages, which close what they opened (sampler, checker, lock), and the command leaves with 130. A second one ends
the process on the spot. Children need no farewell: checker workers and engines die with their parent, and what is on
disk is whole at any instant (`store/durable.py`).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 130
_SIGNS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = b"\x1b[?25h"


@contextmanager
def heard(interrupt: Callable[[], None]) -> Iterator[None]:
    """Inside, a first SIGINT or SIGTERM calls `interrupt`, and a second one ends the process.

    `store.durable.interrupt` raises `KeyboardInterrupt` between two writes. Call this in the main thread. SIGINT is
    heard also where a shell started the command with it ignored (`&`).
    """

    def once(number: int, frame: FrameType | None) -> None:
        for sign in _SIGNS:
            signal.signal(sign, _at_once)
        interrupt()

    before = {sign: signal.signal(sign, once) for sign in _SIGNS}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


def _at_once(number: int, frame: FrameType | None) -> None:
    if sys.stdout.isatty():
        os.write(sys.stdout.fileno(), _SHOW_CURSOR)
    os._exit(EXIT_CODE)
