"""Chances and ratios in words: "3 out of 8, or 37.5%" as a fraction, "3 to 8" as a ratio."""

from __future__ import annotations

import re
from fractions import Fraction

from selfimprove.answer.words import COUNTS

_CHANCE = re.compile(r"\b(?:probability|chances?|odds|fraction|proportion|likelihood)\b", re.IGNORECASE)
_OUT_OF = re.compile(
    r"\b(\d+|one|two|three)\s(?:out\sof|in)\s(\d+)(?:,?\s(?:or|which is|that is,?|i\.e\.,?)\s|\s\()?"
    r"(?:(?<=[\s(])(\d+/\d+|\d*\.?\d+\s?%?))?\)?(?=[\s.,;!*]*\Z)"
)
_RATIO = re.compile(r"(?<![\d.:/])(\d+(?:\s(?:to|:)\s\d+)+)(?=[\s.,;!*$]*\Z)")

_LONE_RATIO = re.compile(r"[\s*$]*(\d+(?:\s:\s\d+)+)[\s.*$]*")


def chance_or_ratio(prose: str) -> str | None:
    """A chance of "3 out of 8" or "3 in 8", or a ratio of "3 to 8", as a fraction or ratio."""
    if _CHANCE.search(prose) and (found := _OUT_OF.search(prose)) is not None and _agrees(found):
        return f"{COUNTS.get(found[1], found[1])}/{found[2]}"
    ratio = _RATIO.search(prose) if "ratio" in prose else _LONE_RATIO.fullmatch(prose)
    return None if ratio is None else re.sub(r"\s+(?:to|:)\s+", ":", ratio[1])


def _agrees(chance: re.Match[str]) -> bool:
    """Whether the fraction, decimal or percentage that is added to a chance, if one is, has the same value."""
    added = chance[3]
    if added is None or not int(chance[2]):
        return added is None
    upper, _, lower = added.rstrip("% ").partition("/")
    if lower and not int(lower):
        return False
    value = Fraction(upper) / Fraction(lower or 1) / (100 if added.endswith("%") else 1)
    return value == Fraction(int(COUNTS.get(chance[1], chance[1])), int(chance[2]))
