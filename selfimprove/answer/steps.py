"""The allowance of steps of one verdict.

Time can't bound a verdict that must be the same on a loaded machine, so work is counted: every node visited by
`exact`, `identity` and `evaluate` costs steps, long integers and many digits cost more. When the allowance is spent
each stage refuses, and the verdict is `unparsed`. The count belongs to the thread, so that verdicts in several
threads don't share it; outside an allowance nothing is counted.
"""

from __future__ import annotations

import threading

from selfimprove.answer.tree import Refused

ALLOWANCE = 60_000


class _Count(threading.local):
    left: int | None = None


_COUNT = _Count()


class allowance:  # noqa: N801 - used as a block
    """Count steps within the block; an allowance inside another one only spends the outer."""

    __slots__ = ("_outer",)

    def __enter__(self) -> None:
        self._outer = _COUNT.left
        if self._outer is None:
            _COUNT.left = ALLOWANCE

    def __exit__(self, *_: object) -> None:
        if self._outer is None:
            _COUNT.left = None


def spend(steps: int = 1) -> None:
    """Take steps off the allowance; raises `Refused` when it is spent."""
    left = _COUNT.left
    if left is None:
        return
    _COUNT.left = left - steps
    if left < steps:
        raise Refused("the allowance of steps is spent")
