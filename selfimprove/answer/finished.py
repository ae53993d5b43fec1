"""Whether an answer is finished: a number where a number was asked for, not a sum that is still to be done.

Two answers of equal value are equal to the checker, so `8 - 3` is right where 5 is. A model that is trained on its own
verified answers to arithmetic would soon learn to repeat the question. A run therefore asks for finished answers
(`answers.finished`); what this looks at is the end of the candidate, after its last sign of equality.
"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[-+−]?(\d[\d,]*)?\.?\d+")
_INTEGER = re.compile(r"[-+−]?\d[\d,]*")
_EQUALITY = re.compile(r"=|≈|\\approx")
_POWER_OF_TEN = re.compile(r"(\*|×|·|\\times|\\cdot)\s*10\s*(\^|\*\*)")
_OPEN, _CLOSE = r"[(\[{\s]*", r"[)\]}\s]*"
_UNDONE = re.compile(rf"\d{_CLOSE}(\+|-|−|\*|×|·|\\times|\\cdot){_OPEN}[-+−]?\d")
_DIVISION = re.compile(rf"\d{_CLOSE}(/|÷|\\div){_OPEN}[-+−]?\d|\\d?frac")


def left_undone(candidate: str, reference: str) -> bool:
    """Whether the reference is a plain number and the candidate ends on arithmetic, such as `3 - 4` for -1.

    A fraction is undone arithmetic only where an integer was asked for. Scientific notation is a number.
    """
    wanted = reference.strip().strip("$").strip()
    if not _NUMBER.fullmatch(wanted):
        return False
    tail = _POWER_OF_TEN.sub("", _EQUALITY.split(candidate)[-1])
    return bool(_UNDONE.search(tail)) or bool(_INTEGER.fullmatch(wanted) and _DIVISION.search(tail))
