"""Formulas between dollar signs or TeX brackets: what they hold, and lists of them."""

from __future__ import annotations

import re

MATH = re.compile(r"\$\$(.+?)\$\$|\$([^$]{1,600})\$(?!\d)|\\\[(.+?)\\\]|\\\((.+?)\\\)", re.DOTALL)
JOINED = re.compile(r"(?:\s\([a-z ]{1,30}\))?\s*(?:,|;|,?\s*\b(?:and|or)\b)\s*\Z", re.IGNORECASE)
_MOST_LISTED = 20


def inner(match: re.Match[str]) -> str:
    """What a match of `MATH` holds."""
    return next(group for group in match.groups() if group is not None).strip()


def listed(sentence: str, last: re.Match[str]) -> str:
    """The formula with those that are joined to it by and, or, and before these by commas: "$2$, $5$ and $7$"."""
    parts, start = [inner(last)], last.start()
    word = ""
    ends = _ENDS.fullmatch(sentence, last.end()) is not None
    for before in reversed(list(MATH.finditer(sentence, 0, last.start()))[-_MOST_LISTED:]):
        joined = JOINED.fullmatch(sentence, before.end(), start)
        word = word or ("" if joined is None else joined[0].strip(" ,;").lower())
        values = ends and _are_values(inner(before), parts[0])
        if joined is None or not word or not (values or _alike(inner(before), parts[0])):
            break
        pair = _NAMED_PAIR.fullmatch(inner(before))
        parts.insert(0, inner(before).rstrip(" ,") if pair is None or "=" in parts[0] else pair[1])
        start = before.start()
    return (" or " if word == "or" else ", ").join(parts)


def _are_values(one: str, two: str) -> bool:
    """Whether two formulas are the first and later values of one unknown: "$p = 2, 3,$ and $5$"."""
    first, later = _VALUES.fullmatch(one), _VALUES.fullmatch(two)
    return first is not None and later is not None and later[1] in (None, first[1])


_VALUE = r"[-−]?(?:\d+(?:[./]\d+)?|\d*\\sqrt\s?\{\d+\}|\\[dt]?frac\s?\{\d+\}\s?\{\d+\})"
_VALUES = re.compile(rf"(?:([A-Za-z])\s*=\s*)?{_VALUE}(?:\s*,\s*(?:\1\s*=\s*)?{_VALUE})*\s*,?")
_ENDS = re.compile(r"\W*")


def _alike(one: str, two: str) -> bool:
    """Whether two formulas can be items of one list: two values, two of one name, or two variables with numbers."""
    signs = one.count("="), two.count("=")
    if signs == (1, 0):
        return _NAMED_PAIR.fullmatch(one) is not None and two[:1] == "("
    if signs != (1, 1):
        return signs == (0, 0)
    same_name = _stem(one) == _stem(two)
    return same_name or bool(_ASSIGNED.fullmatch(one) and _ASSIGNED.fullmatch(two))


def _stem(formula: str) -> str:
    """The name on the left of an equation, without its subscript: x of `x_1 = 3`."""
    return _SUBSCRIPT.sub("", formula.partition("=")[0].strip())


_SUBSCRIPT = re.compile(r"(?<=\w)_(?:\w|\{\w{1,3}\})\Z")
_NAMED_PAIR = re.compile(r"\([a-z](?:,\s?[a-z]){1,2}\)\s?=\s?(\([^()=]{3,60}\))")  # "(x, y) = (3, 4)"
_ASSIGNED = re.compile(r"[A-Za-z]\s*=\s*[-−]?[\d./]+")
