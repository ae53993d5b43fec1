"""Questions of several numbered parts whose solution marks an answer for each: the last is that of one part alone."""

from __future__ import annotations

import re

_PAIRS = (
    ("(1)", "(2)"),
    ("(a)", "(b)"),
    ("(i)", "(ii)"),
    ("（1）", "（2）"),
    ("Part 1", "Part 2"),
    ("Part A", "Part B"),
)
"""How parts are numbered, the first and the second."""
_END = re.compile(r"\\(?:boxed|fbox)\b|####")
"""A mark of a final answer."""


def has_parts(question: str, solution: str) -> bool:
    """Whether the question numbers its parts and the solution marks an answer before its second part and one in it."""
    first = _END.search(solution)
    if first is None or _END.search(solution, first.end()) is None:
        return False
    for one, two in _PAIRS:
        at = question.find(one)
        if at < 0 or question.find(two, at) < 0:
            continue
        second = solution.find(two)
        if second > first.start() and _END.search(solution, second) is not None:
            return True
    return False
