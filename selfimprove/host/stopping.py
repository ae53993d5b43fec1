"""Ctrl-C and SIGTERM: the first ends the command cleanly, the second at once.

On the first signal a write under way is finished, then `KeyboardInterrupt` unwinds the stages, which close what they
opened (sampler, checker, lock), and the command exits with 130. A second signal ends the process on the spot. That
needs no cleaning up: checker workers and engines die with their parent, and what is on disk is whole at any instant
(`store/durable.py`).
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
    """In the body a first SIGINT or SIGTERM calls `interrupt`, and a second one ends the process; main thread only.

    `interrupt` is `store.durable.interrupt`, which raises `KeyboardInterrupt` between two writes. SIGINT is handled
    even if a shell started the command with it ignored (`&`). Earlier handlers are put back afterwards.
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
