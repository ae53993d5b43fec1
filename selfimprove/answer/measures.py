"""The unit behind a number, in any of its spellings, as one text of unit names that the grammar reads.

`8.314\\ \\text{J}\\cdot\\text{K}^{-1}\\cdot\\text{mol}^{-1}`, `8.314 \\frac{\\text{J}}{\\text{mol K}}` and
`8.314 J/(mol·K)` all become `8.314 \\text{joule mole^-1 kelvin^-1}`. A unit is a product of factors, each a name with a
power; all factors behind `/` and below a fraction line divide. Names are read with capital letters and prefixes as the
SI has them.

Letters are also variables, so letters outside a font command are a unit only behind a number and a space, and only if
they can hardly be a product: joined by a dot or a slash, to a negative power, or a symbol such as `kΩ` or `nC`.
"""

from __future__ import annotations

import re

from selfimprove.answer.words import SQUARED, SYMBOLS, UNITS, unit_name

_FONT = r"\\(?:text|mathrm|mathsf|textrm|textnormal|operatorname)\s?\{"
_GAP = r"(?:\s|~|\\[,;:! ]|\\quad(?![A-Za-z]))"
_TOKEN = re.compile(
    rf"(?P<font>{_FONT})|(?P<frac>\\[dt]?frac(?![A-Za-z]))|(?P<dot>\\cdot(?![A-Za-z])|\*)|(?P<slash>/|per\b(?!\scent))|"
    rf"(?P<open>[{{(])|(?P<close>[}})])|\^\s?(?P<power>\{{\s?-?[1-9]\s?\}}|-?[1-9](?!\d))|(?P<gap>{_GAP}+)|"
    r"(?P<name>\\(?:mu|Omega|AA)(?![A-Za-z])|[A-Za-zÅ]+\.?)"
)
_START = re.compile(rf"{_FONT}|\\(?:[dt]?frac|mu|Omega)(?![A-Za-z])")
_BEHIND_NUMBER = re.compile(
    r"\s*((?:[^=]{1,60}(?:=|\\approx(?![A-Za-z]))\s{0,2})?-?\d[\d.,]*"
    r"(\s?(?:\\times|\\cdot|\*|x)\s{0,2}10\s?\^\s?(?:\{\s?-?\d{1,3}\s?\}|-?\d{1,3}))?)"  # scientific
    rf"{_GAP}+(?=[A-Za-zÅ\\(])(.{{1,200}})"
)
_ENDS_VALUE = re.compile(rf"[\w)}}!]{_GAP}*")
_LETTERS = {"\\mu": "\u03bc", "\\Omega": "Omega", "\\AA": "\u00c5"}
_SAFE = frozenset(name for name in SYMBOLS if len(name) > 1 and not name.islower()) | {"nm"}
"""Symbols that are no product of variables behind a number and a space."""
_MOST = 6  # factors
_LONGEST = 200  # characters

_Factors = list[tuple[str, int]]
"""Names of units as they are written, and their powers."""


class _NoUnit(Exception):  # noqa: N818 - it ends the reading of a text that is no unit
    """The text is no unit."""


def with_unit(text: str) -> str:
    """The text with the compound unit at its end in its canonical spelling; any other text as it is."""
    if (bare := _BEHIND_NUMBER.fullmatch(text)) is not None:
        factors = _read(bare[3])
        is_unit = factors and (_is_plain(bare[3], factors) or (bare[2] and len(factors) == 1))
        return f"{bare[1]} \\text{{{_spelt(factors)}}}" if factors and is_unit else text
    for start in _START.finditer(text, 1) if "\\" in text else ():
        before, unit = text[: start.start()], text[start.start() :]
        if (
            len(unit) <= _LONGEST
            and before.count("{") == before.count("}")
            and _ENDS_VALUE.search(before[-6:])
            and (factors := _read(unit))
        ):
            return f"{before.rstrip()} \\text{{{_spelt(factors)}}}" if _is_compound(unit, factors) else text
    return text


def in_one_unit(text: str) -> str:
    """`5'4"` in inches and `30^\\circ 30'` in degrees, as one number each; any other text as it is."""
    if (found := _FEET.fullmatch(text)) is not None:
        return f"{12 * int(found[1]) + int(found[2])} \\text{{inch}}"
    if (found := _ARC.fullmatch(text)) is not None:
        parts = 3600 * int(found[1]) + 60 * int(found[2]) + int(found[3] or 0)
        return f"\\frac{{{parts}}}{{3600}}^\\circ "
    return text


_FEET = re.compile(r"(\d{1,3})\s?'\s?(\d{1,2})\s?(?:\"|'')")
_ARC = re.compile(
    r"(\d{1,3})\s?(?:\^\s?\\circ|\^\{\s?\\circ\s?\}|degrees?),?\s{0,2}(?:and )?"
    r"(\d{1,2})\s?(?:'|\^\\prime|\^\{\\prime\}|minutes?)(?:,?\s?(?:and )?(\d{1,2})\s?(?:''|\"|seconds?))?"
)


def _is_compound(unit: str, factors: _Factors) -> bool:
    """Whether the unit is more than one name in a font command, which the grammar reads as it is."""
    return len(factors) > 1 or factors[0][1] != 1 or "\\mu" in unit or "\\Omega" in unit


def _is_plain(unit: str, factors: _Factors) -> bool:
    """Whether the text behind a number can hardly be a product of variables."""
    if "{" in unit and _START.match(unit):
        return _is_compound(unit, factors)
    joined = "/" in unit or "\\cdot" in unit or "*" in unit or "per" in unit.split()
    single = len(factors) == 1 and factors[0][1] == 1 and factors[0][0] in _SAFE
    squared = unit.partition(" ")[0].lower() in SQUARED
    spelt = all(len(name) > 2 and name.lower() in UNITS for name, _ in factors) and len(factors) > 1
    return joined or single or squared or spelt or "\\mu" in unit or any(power < 0 for _, power in factors)


def _spelt(factors: _Factors) -> str:
    return " ".join(unit_name(name) + ("" if power == 1 else f"^{power}") for name, power in factors)


def _read(text: str) -> _Factors | None:
    """The factors of a unit; None for a text that is none, or has a name that is not known."""
    try:
        factors = _Reader(text).quotient(ends="")
    except _NoUnit:
        return None
    return factors if 0 < len(factors) <= _MOST else None


class _Reader:
    """Reads a unit from left to right; raises `_NoUnit` at the first sign that is none of a unit's."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        opened: list[str] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise _NoUnit
            at, kind = match.end(), match.lastgroup or ""
            text_of = match[kind].strip("{} ") if kind == "power" else match[kind]
            if text_of[-1:] == "{":
                opened.append(kind)
            if kind in ("font", "gap") or (text_of == "}" and opened and opened.pop() == "font"):
                continue  # a font changes nothing, and brackets may open in one and close in another
            self._tokens.append((kind, text_of))
        self._at = 0

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def quotient(self, ends: str) -> _Factors:
        """The factors up to the closing bracket `ends`, or to the end of the text, which is consumed."""
        found: _Factors = []
        sign = 1
        while (token := self._peek()) != ("end", "") and token[0] != "close":
            if token[0] in ("slash", "dot"):
                self._take()
                sign = -1 if token[0] == "slash" else sign
            else:
                found += [(name, sign * power) for name, power in self._factor()]
        if self._take()[1] != ends:
            raise _NoUnit
        return found

    def _factor(self) -> _Factors:
        """One name or group, with the power behind it."""
        kind, text = self._take()
        if kind == "frac":
            above, below = self._group(), self._group()
            return [*above, *((name, -power) for name, power in below)]
        if kind == "open":
            inner = self.quotient(")" if text == "(" else "}")
        elif kind == "name":
            inner = self._name(text)
        else:
            raise _NoUnit
        if self._peek()[0] == "power":
            power = int(self._take()[1])
            if len(inner) == 2 and inner[0][0] == "m" and inner[1][0] == "s":
                return [inner[0], ("s", power)]  # ms^-1, which is no millisecond
            inner = [(name, own * power) for name, own in inner]
        return inner

    def _group(self) -> _Factors:
        if self._take() != ("open", "{"):
            raise _NoUnit
        return self.quotient("}")

    def _name(self, text: str) -> _Factors:
        """A known name, with a prefix or a word for its power in front of it."""
        power = 1
        if text.lower() in SQUARED and self._peek()[0] == "name":
            power, text = SQUARED[text.lower()], self._take()[1]
        text = _LETTERS.get(text, text)
        if self._peek() == ("name", "\\Omega") or (text == _LETTERS["\\mu"] and self._peek()[0] == "name"):
            name = self._take()[1]
            text += _LETTERS.get(name, name)
        if text == "ms" and self._peek() in (("power", "-1"), ("power", "-2")):
            return [("m", 1), ("s", 1)]
        text = text if text in SYMBOLS else text.removesuffix(".")
        if text not in SYMBOLS and text.lower() not in UNITS:
            raise _NoUnit
        return [(text, power)]
