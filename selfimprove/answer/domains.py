"""Sets of numbers in the signs of set theory, spelt as the intervals and lists that the grammar reads.

`\\mathbb{R}_{\\ge 0}` is an interval, `\\{x \\in \\mathbb{Z} : 1 \\le x \\le 3\\}` is a set of three integers, and
`x \\ne 1, 2` is all reals but two.
"""

from __future__ import annotations

import re

MOST = 60
"""Integers that are written out."""
_SIGN = r"\s?(?:\\leq?(?![a-z])|\\leqslant|<=?)\s?"
_BETWEEN = rf"(?P<low>-?\d{{1,6}})(?P<above>{_SIGN})(?P<name>[a-z])(?P<below>{_SIGN})(?P<high>-?\d{{1,6}})"
_WITHIN = rf"\|\s?(?P<size>[a-z])\s?\|(?P<within>{_SIGN})(?P<most>\d{{1,6}})"
_INTEGERS = r"\\mathbb\s?\{?\s?(?P<domain>[ZN])\s?\}?"
_SUCH = r"\s?(?:\\mid|\\colon|:|\|)\s?"
_BUILT = re.compile(rf"\\\{{\s?(?P<member>[a-z])\s?\\in\s?{_INTEGERS}{_SUCH}(?:{_BETWEEN}|{_WITHIN})\s?\\\}}")
_RANGE = re.compile(
    rf"{_BETWEEN}\s?(?:,|\\text\s?\{{\s?(?:and|where|with|for)\s?\}}|,?\s?where)\s?(?P<member>[a-z])\s?\\in\s?{_INTEGERS}"
)
_WITHOUT = re.compile(r"(\\mathbb\s?\{?R\}?)\s?-\s?(?=\\\{)")
_POSITIVE = re.compile(
    r"\\mathbb\s?\{?(?:Z\}?\s?(?:_\s?\{\s?(?:>|\\gt)\s?0\s?\}|_\s?\{\s?(?:\\geq?|>=)\s?1\s?\}|_\s?\{?\+\}?|\^\s?\{\s?\+\s?\})"
    r"|N\}?\s?(?:\^\s?\{?\s?(?:\*|\\ast|\+)\s?\}?|_\s?\{?\s?(?:\+|1|>\s?0)\s?\}?))"
)
"""The positive integers in their several spellings."""
_HALF_LINES = (
    (
        re.compile(r"\\mathbb\s?\{?R\}?\s?(?:\^\s?\{?\s?\+\s?\}?|_\s?\{\s?(?:>|\\gt)\s?0\s?\}|_\s?\{?\s?\+\s?\}?)"),
        r"(0,\\infty)",
    ),
    (re.compile(r"\\mathbb\s?\{?R\}?\s?_\s?\{\s?(?:\\geq?|>=|\\geqslant)\s?0\s?\}"), r"[0,\\infty)"),
    (re.compile(r"\\mathbb\s?\{?R\}?\s?_\s?\{\s?(?:<|\\lt)\s?0\s?\}"), r"(-\\infty,0)"),
)
_REALS = r"(?:the set of )?all (?:the )?(?:real numbers|reals|real values of [a-z]|real [a-z]|numbers)"
_BUT = rf"{_REALS}(?: [a-z])? (?:except|but|other than)(?: for)? (?:[a-z] ?= ?)?"
_BOUND = r"(-?\d[\d./]{0,12}?)\.?"
_IN_WORDS = tuple(
    (re.compile(pattern, re.IGNORECASE), signs)
    for pattern, signs in (
        (r"(?:the set of )?all positive (?:real numbers|reals)", r"(0,\\infty)"),
        (r"(?:the set of )?all non-?negative (?:real numbers|reals)", r"[0,\\infty)"),
        (r"(?:the set of )?all negative (?:real numbers|reals)", r"(-\\infty,0)"),
        (rf"{_REALS} (?:greater|larger|bigger|more) than {_BOUND}", r"(\1,\\infty)"),
        (rf"{_REALS} (?:less|smaller) than {_BOUND}", r"(-\\infty,\1)"),
        (rf"{_REALS} (?:greater than or equal to|not less than|at least) {_BOUND}", r"[\1,\\infty)"),
        (rf"{_REALS} (?:less than or equal to|not greater than|at most) {_BOUND}", r"(-\\infty,\1]"),
        (rf"{_BUT}{_BOUND}", r"\\mathbb{R}\\setminus\\{\1\\}"),
        (rf"{_BUT}{_BOUND}(?: and|,) (?:[a-z] ?= ?)?{_BOUND}", r"\\mathbb{R}\\setminus\\{\1,\2\\}"),
        (r"(?:the set of )?all (?:the )?integers", r"\\mathbb{Z}"),
        (r"(?:the set of )?all (?:the )?positive integers", r"\\mathbb{Z}^+"),
        (r"all (?:real )?([a-z] ?(?:[<>]|\\[gl]eq?) ?-?\d[\d./]{0,12})", r"\1"),
        (rf"([a-z]) (?:is|must be) (?:greater|larger) than {_BOUND}", r"\1>\2"),
        (rf"([a-z]) (?:is|must be) (?:less|smaller) than {_BOUND}", r"\1<\2"),
    )
)
_ITEM = r"(-?(?:\d[\d.]{0,12}(?!,\d{3})|\\frac\s?\{\d{1,6}\}\s?\{\d{1,6}\}|\d{1,6}/\d{1,6}))"
_UNEQUAL = re.compile(
    rf"(\\\{{\s?x\s?(?:\\in\s?\\mathbb\s?\{{?R\}}?\s?)?{_SUCH})?x\s?\\neq?\s?{_ITEM}"
    rf"\s?(?:,|\\text\s?\{{,?\s?(?:and|or)\s?\}}|and)\s?(?:x\s?\\neq?\s?)?{_ITEM}\s?(\\\}})?"
)
"""Two numbers that x is not; one alone is a relation, whose variable counts."""


def named_set(text: str, otherwise: str) -> str:
    """The set of numbers that the words of a whole answer name, in signs; for any other text `otherwise`."""
    for pattern, signs in _IN_WORDS:
        if (found := pattern.fullmatch(text)) is not None:
            return found.expand(signs)
    return otherwise


def written_out(text: str) -> str:
    """The text with such sets as intervals and lists; any other text as it is."""
    if "mathbb" in text:
        text = _WITHOUT.sub(r"\1\\setminus ", _POSITIVE.sub(r"\\mathbb{Z}^+", text))
        for pattern, interval in _HALF_LINES:
            text = pattern.sub(interval, text)
    if (found := _BUILT.fullmatch(text) or _RANGE.fullmatch(text)) is not None:
        return _listed(found) or text
    if "\\ne" in text and (found := _UNEQUAL.fullmatch(text)) is not None and bool(found[1]) == bool(found[4]):
        return f"\\mathbb{{R}}\\setminus\\{{{found[2]},{found[3]}\\}}"
    return text


def _listed(found: re.Match[str]) -> str:
    """The integers between two bounds as a set; empty if there are none or too many, or if the names differ."""
    parts = found.groupdict()
    if parts.get("size"):
        name, above, below = parts["size"], parts["within"], parts["within"]
        low, high = -int(parts["most"]), int(parts["most"])
    else:
        name, above, below = parts["name"], parts["above"], parts["below"]
        low, high = int(parts["low"]), int(parts["high"])
    first, last = low + (above.strip() == "<"), high - (below.strip() == "<")
    natural = parts["domain"] == "N"
    first = max(first, 0) if natural else first
    if name != parts["member"] or not 0 <= last - first < MOST:
        return ""
    if natural and first == 0:  # whether N begins at 0 is not agreed upon
        return ""
    return f"\\{{{','.join(map(str, range(first, last + 1)))}\\}}"
