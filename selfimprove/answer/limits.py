"""Bounds that every text passes before anything costly looks at it.

All of them are counted in one linear scan, in characters, nesting, tokens and digits, never in seconds, so that the
same text gets the same verdict on a slow machine. Over a bound the answer is `unparsed`, and the reason names the
bound. Arithmetic has bounds of its own (`MAX_BITS` and the ones in `exact` and `evaluate`).
"""

from __future__ import annotations

MAX_TEXT = 2_000_000  # characters of a whole completion
MAX_RAW = 50_000  # characters of a candidate before redundant brackets are peeled off
MAX_CANDIDATE = 3_000  # characters of a candidate after it
MAX_DEPTH = 40  # nesting of brackets and braces
MAX_LEVELS = 120  # of a tree
MAX_NODES = 4_000  # of a tree after arithmetic on matrices
MAX_TOKENS = 1_000
MAX_DIGITS = 1_500  # of one number
MAX_BITS = 100_000  # of one exact integer in a computation
MAX_ITEMS = 64  # of a list, set or matrix row
MAX_SHOWN = 300  # characters of a candidate in a verdict

_OPEN = "([{"
_CLOSE = ")]}"


def over_limit(candidate: str) -> str | None:
    """The reason why the candidate is too big to read, or None; one linear scan."""
    if len(candidate) > MAX_CANDIDATE:
        return f"the answer is longer than {MAX_CANDIDATE} characters"
    if len(candidate) <= MAX_DEPTH:
        return None
    depth = digits = 0
    for sign in candidate:
        depth += (sign in _OPEN) - (sign in _CLOSE)
        digits = digits + 1 if sign.isdigit() else 0
        if depth > MAX_DEPTH:
            return f"the answer is nested deeper than {MAX_DEPTH}"
        if digits > MAX_DIGITS:
            return f"a number has more than {MAX_DIGITS} digits"
    return None


def shown(candidate: str) -> str:
    """The candidate as a verdict shows it: as written, cut to a bounded length."""
    return candidate if len(candidate) <= MAX_SHOWN else candidate[: MAX_SHOWN - 1] + "…"
