"""Arithmetic in English words in the signs of the grammar: "two and a half" is 5/2, "5 squared" is 5^2.

A phrase is taken as a whole, from the first word of the answer to its last, save for a unit behind a number with a
part ("two and a half hours"): a phrase that goes on says something else.
"""

from __future__ import annotations

import re
from fractions import Fraction

from selfimprove.answer.words import COUNTS, spoken_number

_PARTS = {
    "half": 2, "halve": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
    "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12, "fifteenth": 15, "sixteenth": 16, "twentieth": 20,
    "hundredth": 100, "thousandth": 1000,
}  # fmt: skip
_WORD = "|".join(sorted((*COUNTS, "hundred", "thousand"), key=len, reverse=True))
_COUNT = rf"(\d{{1,9}}|(?:{_WORD})(?:[ -](?:{_WORD})){{0,4}})"
_PART = f"({'|'.join(_PARTS)})s?"
_BASE = r"(\d[\d.]{0,9}|[a-z]|\\?pi)"
_MIXED = re.compile(
    rf"{_COUNT} and (?:(?:a|one)[ -]{_PART}|(\d{{1,4}})/(\d{{1,4}}))((?: [a-z]{{2,}}){{0,2}})", re.IGNORECASE
)
_SHARE = re.compile(rf"(?:an?|{_COUNT})[ -]{_PART}(?: of the [a-z]+(?: [a-z]+)?)?", re.IGNORECASE)
_POINT = re.compile(rf"{_COUNT} point ((?:{_WORD})(?: (?:{_WORD})){{0,7}})", re.IGNORECASE)
_HALVES = re.compile(r"(?:half an? ([a-z]{3,}))|(?:(?:an?|one) ([a-z]{3,}) and a half)", re.IGNORECASE)
_ROOT = re.compile(rf"(?:{_BASE} (?:times )?)?(?:the )?(square |cube )?root (?:of )?{_BASE}", re.IGNORECASE)
_SIGNS = (
    (re.compile(rf"{_BASE} squared", re.IGNORECASE), r"\1^2"),
    (re.compile(rf"{_BASE} cubed", re.IGNORECASE), r"\1^3"),
    (re.compile(rf"{_BASE} to the power(?: of)? (-?\d{{1,3}})", re.IGNORECASE), r"\1^{\2}"),
    (re.compile(r"(\d{1,3}) factorial", re.IGNORECASE), r"\1!"),
    (re.compile(r"(\d{1,3}) choose (\d{1,3})", re.IGNORECASE), r"\\binom{\1}{\2}"),
    (re.compile(r"(\d[\d./]{0,9}) (?:times )?pi", re.IGNORECASE), r"\1\\pi"),
    (re.compile(r"(?:a|one) dozen", re.IGNORECASE), "12"),
    (re.compile(r"(\d+),? (?:with )?(?:a )?(?:remainder|rem|r)(?: of)?\.? (\d+)", re.IGNORECASE), r"\1 remainder \2"),
)


def in_signs(text: str, otherwise: str) -> str:
    """The phrase in signs; for any other text `otherwise`."""
    if (half := _HALVES.fullmatch(text)) is not None:
        return f"1/2 {half[1]}" if half[1] else f"3/2 {half[2]}s"
    if (mixed := _MIXED.fullmatch(text)) is not None and (count := spoken(mixed[1])) is not None:
        part = Fraction(1, _PARTS[mixed[2].lower()]) if mixed[2] else Fraction(int(mixed[3]), int(mixed[4]) or 1)
        return f"{count + part}{mixed[5]}"
    if (share := _SHARE.fullmatch(text)) is not None and (count := spoken(share[1] or "one")) is not None:
        return f"{count}/{_PARTS[share[2].lower()]}"
    if (point := _POINT.fullmatch(text)) is not None and (count := spoken(point[1])) is not None:
        return f"{count}.{''.join(str(COUNTS.get(word.lower(), '')) for word in point[2].split())}"
    if (root := _ROOT.fullmatch(text)) is not None and (root[2] or root[1]):
        degree = "[3]" if (root[2] or "").lower() == "cube " else ""
        return f"{root[1] or ''}\\sqrt{degree}{{{root[3]}}}"
    for pattern, signs in _SIGNS:
        if pattern.fullmatch(text) is not None:
            return pattern.sub(signs, text)
    return otherwise


def spoken(text: str) -> Fraction | None:
    """The value of a whole number in digits or in words."""
    return Fraction(text) if text.isdigit() else spoken_number(text)
