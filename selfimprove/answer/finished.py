r"""Whether an answer is finished: a number where a number was asked for, not a sum that is still to be done.

Two answers of equal value are equal to the checker, so `8 - 3` is right where 5 is, and `12/18` where `2/3` is. A model
that is trained on its own verified answers to arithmetic would soon learn to repeat the question: trained so on
fractions to simplify, the embedded model went from 15 to 99 % "right" answers, nearly all of them the fraction it was
given. A run therefore asks for finished answers (`answers.finished`); what this looks at is the end of the candidate,
after its last sign of equality.
"""

from __future__ import annotations

import math
import re

_NUMBER = re.compile(r"[-+−]?(\d[\d,]*)?\.?\d+")
_INTEGER = re.compile(r"[-+−]?\d[\d,]*")
_EQUALITY = re.compile(r"=|≈|\\approx")
_POWER_OF_TEN = re.compile(r"(\*|×|·|\\times|\\cdot)\s*10\s*(\^|\*\*)")
_OPEN, _CLOSE = r"[(\[{\s]*", r"[)\]}\s]*"
_UNDONE = re.compile(rf"\d{_CLOSE}(\+|-|−|\*|×|·|\\times|\\cdot|\\?b?mod\b){_OPEN}[-+−]?(\d|\\[dt]?frac)")
_DIVISION = re.compile(rf"\d{_CLOSE}(/|÷|\\div){_OPEN}[-+−]?\d|\\d?frac")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}|(\d+)\s*/\s*(\d+)")


def left_undone(candidate: str, reference: str) -> bool:
    """Whether the reference is a plain number and the candidate ends on arithmetic, such as `3 - 4` for -1.

    A fraction is undone arithmetic where an integer was asked for, or a fraction in lowest terms and this one isn't.
    Scientific notation is a number.
    """
    wanted = reference.strip().strip("$").strip()
    tail = _POWER_OF_TEN.sub("", _EQUALITY.split(candidate)[-1])
    if _FRACTION.fullmatch(wanted.lstrip("-+−").strip()) and not _reducible(wanted):
        return bool(_UNDONE.search(tail)) or _reducible(tail)
    if not _NUMBER.fullmatch(wanted):
        return False
    return bool(_UNDONE.search(tail)) or bool(_INTEGER.fullmatch(wanted) and _DIVISION.search(tail))


def _reducible(text: str) -> bool:
    """Whether the last fraction in the text has a common factor above and below, or stands over 1."""
    found = _FRACTION.findall(text)
    if not found:
        return False
    upper, lower = (int(part[:4000]) for part in found[-1] if part)
    return math.gcd(upper, lower) > 1 or lower == 1
