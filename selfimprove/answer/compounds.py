"""Compound units in plain text behind a number: `kg/m^3`, `J/(mol·K)`, `m s⁻²`, `kilojoules per mole`.

A number in a sentence that loses half of its unit agrees with a reference in another one. So the whole unit is read:
factors from a closed list of symbols and words, each with a power, joined by dots, fraction bars, `per`, or a space
before a power. Symbols keep their capital letters. A lone symbol is no compound unit, save a few of two letters or
more.
"""

from __future__ import annotations

import re

from selfimprove.answer.words import SYMBOLS, UNITS

_LETTERS = frozenset(("g", "h", "L", "m", "s"))
_SHORT = frozenset(
    ("kg", "mg", "km", "cm", "mm", "mL", "ml", "mol", "min", "hr", "ft", "lb", "yd", "oz", "rad", "sec", "gal", "atm")
)
_SI_WORDS = (
    "grams?|lit(?:er|re)s?|met(?:er|re)s?|moles?|joules?|watts?|newtons?|pascals?|volts?|amperes?|hertz|seconds?"
)
_WORDS = frozenset(word for word in UNITS if len(word) > 3 and UNITS[word] not in ("person", "child", "man", "woman"))
_PREFIXED = rf"(?:kilo|mega|giga|milli|micro|nano|centi)(?:{_SI_WORDS})"
_SYMBOLS = "|".join(sorted(map(re.escape, (*SYMBOLS, *_LETTERS, *_SHORT)), key=len, reverse=True))
_SPELT = "|".join(sorted(_WORDS, key=len, reverse=True))
_NAME = rf"(?:(?:{_SYMBOLS})(?![A-Za-z])|(?i:{_PREFIXED}|{_SPELT})(?![A-Za-z]))"
_POWER = r"(?:\^[-−]?[1-4](?!\d|\.\d)|\^\{[-−]?[1-4]\}|\^\([-−]?[1-4]\)|⁻?[¹²³⁴])"
_FACTOR = rf"(?:(?:square|cubic)\s)?{_NAME}{_POWER}?"
_DOT = r"\s?[·⋅*]\s?"
_BELOW = rf"(?:in{_POWER}|{_FACTOR}|\({_FACTOR}(?:(?:{_DOT}|\s){_FACTOR}){{0,2}}\))"
_OVER = rf"(?:\s?/\s?|\sper\s){_BELOW}"
_TIMES = rf"(?:{_DOT}{_FACTOR}|\s{_NAME}{_POWER})"
_LENGTH = r"(?:[kcm]?m|ft|yd|in|met(?:er|re)s?|inch(?:es)?|feet|yards?|miles?)"
_COMPOUND = rf"{_FACTOR}{_TIMES}{{0,3}}{_OVER}{{1,2}}|{_FACTOR}{_TIMES}{{1,3}}|{_LENGTH}{_POWER}"
_GAP = r"(?:[ \u00a0]|(?=(?:k?g|[kcm]?m|m?L|mol|k?J)/))"
_LONE = r"(?:kWh|[mMG]J|[mMG]W|k?cal|[mM]Pa)(?![A-Za-z])"
_AT = re.compile(rf"{_GAP}(?:{_COMPOUND}|{_LONE}|(?i:{_PREFIXED})(?![A-Za-z-]))(?![\w/^·⋅⁻¹²³⁴])")
_BEHIND = re.compile(rf"(?<=[\d.)}}⁰¹²³⁴-⁹])(?={_AT.pattern}\Z)")
_RAISED = {"⁻": "-", "¹": "1", "²": "2", "³": "3", "⁴": "4"}
_SUPERSCRIPT = re.compile("[⁻¹²³⁴]+")
_KILOWATT_HOURS = re.compile(r"\s?kilowatt[ -]hours?\Z", re.IGNORECASE)


def compound_end(text: str, at: int) -> int | None:
    """Where the compound unit behind a number that ends here ends itself; None without one."""
    found = _AT.match(text, at)
    return None if found is None else found.end()


def with_compound(value: str) -> str:
    """A value with its compound unit at the end in a font command, as the grammar has units; any other as it is."""
    if _KILOWATT_HOURS.search(value) is not None:
        return _KILOWATT_HOURS.sub(r"\\text{ kWh}", value)
    found = _BEHIND.search(value)
    return value if found is None else f"{value[: found.end()]}\\text{{ {spelt(value[found.end() :])}}}"


def spelt(unit: str) -> str:
    """A compound unit with its powers and dots as TeX has them."""
    text = _SUPERSCRIPT.sub(lambda raised: "^{" + "".join(map(_RAISED.__getitem__, raised[0])) + "}", unit.strip())
    return re.sub(r"\s?[·⋅*]\s?", " ", text.replace("−", "-").replace("^(", "^{").replace("l/", "L/"))
