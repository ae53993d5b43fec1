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
_COUNT = rf"(?:\d{{1,9}}|(?:{_WORD})(?:[ -](?:{_WORD})){{0,4}})"
_PART = f"(?P<part>{'|'.join(_PARTS)})s?"
_BASE = r"(\d[\d.]{0,9}|(?!a\b)[a-z]|\\?pi)"
_MIXED = re.compile(
    rf"(?P<sign>-)?(?P<whole>{_COUNT}) and "
    rf"(?:(?P<count>a|{_COUNT})[ -]{_PART}|(?P<top>\d{{1,4}})/(?P<bottom>\d{{1,4}}))"
    r"(?P<unit>(?: [a-z]{2,}){0,2})",
    re.IGNORECASE,
)
_SHARE = re.compile(rf"(?:an?|(?P<count>{_COUNT}))[ -]{_PART}(?: of the [a-z]+(?: [a-z]+)?)?", re.IGNORECASE)
_DIGIT = "zero|one|two|three|four|five|six|seven|eight|nine"
_POINT = re.compile(rf"({_COUNT}) point ((?:{_DIGIT})(?: (?:{_DIGIT})){{0,7}})", re.IGNORECASE)
_NEGATIVE = re.compile(r"(?:negative|minus) (\w.*)", re.IGNORECASE)
_HALVES = re.compile(r"(?:half an? ([a-z]{3,}))|(?:(?:an?|one) ([a-z]{3,}) and a half)", re.IGNORECASE)
_ROOT = re.compile(rf"(?:{_BASE} (?:times )?)?(?:the )?(square |cube )?root (?:of )?{_BASE}", re.IGNORECASE)
_SIGNS = (
    (re.compile(rf"{_BASE} squared", re.IGNORECASE), r"\1^2"),
    (re.compile(rf"{_BASE} cubed", re.IGNORECASE), r"\1^3"),
    (re.compile(rf"{_BASE} to the power(?: of)? (-?\d{{1,3}})", re.IGNORECASE), r"\1^{\2}"),
    (re.compile(r"(\d{1,3}) factorial", re.IGNORECASE), r"\1!"),
    (re.compile(r"(\d{1,3}) choose (\d{1,3})", re.IGNORECASE), r"\\binom{\1}{\2}"),
    (re.compile(r"(\d[\d./]{0,9}) (?:times )?pi", re.IGNORECASE), r"\1\\pi"),
    (re.compile(r"(?:a|1) dozen", re.IGNORECASE), "12"),
    (re.compile(r"(\d+),? (?:with )?(?:a )?(?:remainder|rem|r)(?: of)?\.? (\d+)", re.IGNORECASE), r"\1 remainder \2"),
)


def in_signs(text: str, otherwise: str) -> str:
    """The phrase in signs; for any other text `otherwise`."""
    if (negative := _NEGATIVE.fullmatch(text)) is not None:
        inner = in_signs(negative[1], "")
        return f"-({inner})" if inner else otherwise
    if (half := _HALVES.fullmatch(text)) is not None:
        return f"1/2 {half[1]}" if half[1] else f"3/2 {half[2]}"
    if (mixed := _MIXED.fullmatch(text)) is not None and (value := _mixed(mixed)) is not None:
        return f"{value}{mixed['unit']}"
    if (share := _SHARE.fullmatch(text)) is not None:
        return _share(share) or otherwise
    if (point := _POINT.fullmatch(text)) is not None and (count := _value(point[1])) is not None:
        return f"{count}.{''.join(str(COUNTS[word.lower()]) for word in point[2].split())}"
    text = _NUMERAL.sub(_in_digits, text)
    if (root := _ROOT.fullmatch(text)) is not None and (root[2] or root[1]):
        degree = "[3]" if (root[2] or "").lower() == "cube " else ""
        return f"{root[1] or ''}\\sqrt{degree}{{{root[3]}}}"
    for pattern, signs in _SIGNS:
        if pattern.fullmatch(text) is not None:
            return pattern.sub(signs, text)
    return otherwise


_NUMERAL = re.compile(rf"\b(?:{_WORD})(?:[ -](?:{_WORD})){{0,4}}\b", re.IGNORECASE)


def _in_digits(numeral: re.Match[str]) -> str:
    value = spoken_number(numeral[0])
    return numeral[0] if value is None else str(value)


def _mixed(found: re.Match[str]) -> Fraction | None:
    """A whole number and a part: "two and a half", "3 and 1/4"."""
    whole = _value(found["whole"])
    if found["part"]:
        count, bottom = _value(found["count"]), _PARTS[found["part"].lower()]
    else:
        count, bottom = Fraction(found["top"]), int(found["bottom"])
    if whole is None or count is None or not bottom:
        return None
    return (whole + count / bottom) * (-1 if found["sign"] else 1)


def _share(found: re.Match[str]) -> str | None:
    """ "9 tenths" as 9/10, but no ordinal ("twenty-third"), and no coins ("3 quarters")."""
    count, part = _value(found["count"] or "a"), found["part"].lower()
    if count is None or (part == "quarter" and (found["count"] or "").isdigit()):
        return None
    plural = re.search(rf"{part}s\b", found[0], re.IGNORECASE) is not None
    if (count != 1 and not plural) or (count >= _TWENTY and count % 10 == 0):
        return None
    return f"{count}/{_PARTS[part]}"


_TWENTY = 20  # "twenty-fifths" may be one word


def _value(text: str) -> Fraction | None:
    """The value of a whole number in digits or in words."""
    if text.isdigit():
        return Fraction(text)
    return Fraction(1) if text.lower() == "a" else spoken_number(text)
