"""The unit behind a number, in any of its spellings, as one text of unit names that the grammar reads.

`8.314\\ \\text{J}\\cdot\\text{K}^{-1}\\cdot\\text{mol}^{-1}`, `8.314 \\frac{\\text{J}}{\\text{mol K}}` and
`8.314 J/(mol·K)` all become `8.314 \\text{joule mole^-1 kelvin^-1}`. A unit is a product of factors, each a name with a
power; all factors behind `/` and below a fraction line divide. Names are read with capital letters and prefixes as the
SI has them.

Letters are also variables. So letters outside a font command are a unit only behind a number and a gap, and only if
one of them is a symbol of two letters or more (`kg m^{-3}`), if they are one of the units in `_KNOWN` and a dot or a
negative power joins them (`m s^{-1}`), or behind a power of ten (`1.6 \\times 10^{-19} C`). `tokens.py` knows the
quotients (`m/s`) and single symbols (`kPa`) that are units without a font.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re
from dataclasses import dataclass

from selfimprove.answer.words import SQUARED, SYMBOLS, UNITS, unit_name

_FONT = r"\\(?:text|mathrm|mathsf|textrm|textnormal|operatorname)\s?\{"
_GAP = r"(?:\s|~|\\[,;:! ]|\\quad(?![A-Za-z]))"
_TOKEN = re.compile(
    rf"(?P<font>{_FONT})|(?P<frac>\\[dt]?frac(?![A-Za-z]))|(?P<dot>\\cdot(?![A-Za-z]))|(?P<slash>/|per\b(?!\scent))|"
    rf"(?P<open>[{{(])|(?P<close>[}})])|\^\s?(?P<power>\{{\s?-?[1-9]\s?\}}|-?[1-9](?!\d))|(?P<gap>{_GAP}+)|"
    r"(?P<name>\\(?:mu|Omega|AA)(?![A-Za-z])|[A-Za-zÅ]+\.?)"
)
_START = re.compile(rf"{_FONT}|\\[dt]?frac\s?\{{\s?(?={_FONT})|\\mu\s?(?={_FONT})")
_BEHIND_NUMBER = re.compile(
    r"\s*((?:[^=]{1,60}(?:=|\\approx(?![A-Za-z]))\s{0,2})?-?\d[\d.,]*"
    r"(\s?(?:\\times|\\cdot|\*|x)\s{0,2}10\s?\^\s?(?:\{\s?-?\d{1,3}\s?\}|-?\d{1,3}))?)"  # scientific
    rf"{_GAP}+(?=[A-Za-zÅ\\(])(.{{1,200}})"
)
_ENDS_VALUE = re.compile(rf"[\w)}}!]{_GAP}*\Z")
_LETTERS = {"\\mu": "\u03bc", "\\Omega": "Omega", "\\AA": "\u00c5"}
_SYMBOLIC = frozenset(
    (
        "kg mol mmol cm mm km ml mL Hz kHz MHz GHz Pa hPa kPa MPa GPa kJ MJ eV keV MeV GeV TeV rad min kWh kOmega "
        "MOmega atm dm"
    ).split()
)
"""Symbols of units that are hardly a product of variables."""
_KNOWN = frozenset(
    (
        "m s^-1; m s^-2; N m; N s; J s; W h; A h; V s; A s; N m^-1; N C^-1; V m^-1; J K^-1; W m^-2; J K^-1 mol^-1; "
        "N m^-2; J m^-3; W m^-1 K^-1; W m^-2 K^-1"
    ).split("; ")
)
_MICRO = frozenset(f"\u03bc{unit}" for unit in ("m", "s", "F", "C", "A", "V", "L", "mol"))
_MOST = 6  # factors
_LONGEST = 200  # characters

_Factors = list[tuple[str, int]]
"""Names of units as they are written, and their powers."""


class _NoUnit(Exception):  # noqa: N818 - it ends the reading of a text that is no unit
    """The text is no unit."""


@dataclass(frozen=True, kw_only=True)
class _Unit:
    """A unit's factors, and whether letters outside a font command are among them."""

    factors: _Factors
    plain: bool

    @property
    def spelt(self) -> str:
        """The names and powers as the grammar reads them."""
        return " ".join(unit_name(name) + _raised(power) for name, power in self.factors)

    @property
    def is_compound(self) -> bool:
        """Whether it is more than one name, which the grammar reads in a font command as it is."""
        name, power = self.factors[0]
        return len(self.factors) > 1 or power != 1 or not name.isascii() or name.endswith("Omega")

    def stands_alone(self, text: str) -> bool:
        """Whether plain letters, written as `text`, can hardly be a product of variables."""
        names = [name for name, _ in self.factors]
        if text.partition(" ")[0].lower() in SQUARED:
            return True
        if len(names) == 1 and self.factors[0][1] == 1:
            return names[0] in _MICRO or names[0] in ("kOmega", "MOmega")
        if any(name in _SYMBOLIC or (len(name) > 2 and name.lower() in UNITS) for name in names):
            return True
        joined = "\\cdot" in text or any(power < 0 for _, power in self.factors)
        return joined and " ".join(f"{name}{_raised(power)}" for name, power in self.factors) in _KNOWN


def _raised(power: int) -> str:
    return "" if power == 1 else f"^{power}"


def with_unit(text: str) -> str:
    """The text with the compound unit at its end in its canonical spelling; any other text as it is."""
    if (bare := _BEHIND_NUMBER.fullmatch(text)) is not None and (unit := _read(bare[3])) is not None:
        of_power = bare[2] is not None and len(unit.factors) == 1
        is_unit = of_power or (unit.stands_alone(bare[3]) if unit.plain else unit.is_compound)
        return f"{bare[1]} \\text{{{unit.spelt}}}" if is_unit else text
    for start in _START.finditer(text, 1) if "\\" in text else ():
        before, behind = text[: start.start()], text[start.start() :]
        if len(behind) > _LONGEST or before.count("{") != before.count("}") or not _ENDS_VALUE.search(before[-20:]):
            continue
        if (unit := _read(behind)) is not None:
            return f"{before.rstrip()} \\text{{{unit.spelt}}}" if unit.is_compound and not unit.plain else text
    return text


def in_one_unit(text: str) -> str:
    """`5'4"` in inches and `30^\\circ 30'` in degrees, as one number each; any other text as it is."""
    if (found := _FEET.fullmatch(text)) is not None:
        return f"{12 * int(found[1]) + int(found[2])} \\text{{inch}}"
    if (found := _ARC.fullmatch(text)) is not None and int(found[2]) < _SIXTY > int(found[3] or 0):
        parts = 3600 * int(found[1]) + 60 * int(found[2]) + int(found[3] or 0)
        return f"\\frac{{{parts}}}{{3600}}^\\circ "
    return text


_SIXTY = 60
_FEET = re.compile(r"(\d{1,3})\s?'\s?(\d|1[01])\s?(?:\"|'')")
_ARC = re.compile(
    r"(\d{1,3})\s?(?:\^\s?\\circ|\^\{\s?\\circ\s?\}|degrees?),?\s{0,2}(?:and )?"
    r"(\d{1,2})\s?(?:'|\^\\prime|\^\{\\prime\}|minutes?)(?:,?\s?(?:and )?(\d{1,2})\s?(?:''|\"|seconds?))?"
)


def _read(text: str) -> _Unit | None:
    """The unit that a text is; None for a text that is none, or has a name that is not known."""
    try:
        reader = _Reader(text)
        factors = reader.quotient(ends="")
    except _NoUnit:
        return None
    return _Unit(factors=factors, plain=reader.plain) if 0 < len(factors) <= _MOST else None


class _Reader:
    """Reads a unit from left to right; raises `_NoUnit` at the first sign that is none of a unit's."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        self.plain = False
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
            self.plain |= kind == "name" and "font" not in opened and text_of not in _LETTERS
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
            if kind == "name" and text == "ms" and len(inner) > 1:
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
        if (self._peek() == ("name", "\\Omega") and text in ("k", "M", "m")) or (
            text == _LETTERS["\\mu"] and self._peek()[0] == "name"
        ):
            name = self._take()[1]
            text += _LETTERS.get(name, name)
        if text == "ms" and self._peek() in (("power", "-1"), ("power", "-2")):
            return [("m", 1), ("s", 1)]
        text = text if text in SYMBOLS else text.removesuffix(".")
        known = text.lower() in UNITS and (len(text) > 1 or text.islower() or text == "L")
        if text not in SYMBOLS and not known:
            raise _NoUnit
        return [(text, power)]
