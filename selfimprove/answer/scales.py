"""How units of one quantity convert into each other: 5 hours are 300 minutes, 36 km/h are 10 m/s."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from selfimprove.answer.tree import Constant, Node, Op, Unit, number, walk
from selfimprove.answer.words import SYMBOLS, UNITS, canonical_unit

_Scale = tuple[Fraction, dict[str, int]]
"""The size of a unit in seconds, metres, grams and so on, and the power of each of them in what it measures."""

_LITER = Fraction(1, 1_000)
_GALLON = Fraction(3_785_411_784, 10**12)
_PREFIXES = {
    "": Fraction(1), "kilo": Fraction(1_000), "mega": Fraction(10**6), "giga": Fraction(10**9),
    "hecto": Fraction(100), "tera": Fraction(10**12), "deci": Fraction(1, 10), "femto": Fraction(1, 10**15),
    "milli": Fraction(1, 1_000), "micro": Fraction(1, 10**6), "nano": Fraction(1, 10**9), "pico": Fraction(1, 10**12),
}  # fmt: skip
_KINDS: dict[str, dict[str, Fraction]] = {
    "time": {
        "minute": Fraction(60), "hour": Fraction(3_600), "day": Fraction(86_400),
        "week": Fraction(604_800),
    },
    "length": {
        "km": Fraction(1_000), "cm": Fraction(1, 100), "mm": Fraction(1, 1_000), "angstrom": Fraction(1, 10**10),
        "inch": Fraction(254, 10_000), "foot": Fraction(3_048, 10_000), "yard": Fraction(9_144, 10_000),
        "mile": Fraction(1_609_344, 1_000),
    },
    "mass": {
        "kg": Fraction(1_000), "mg": Fraction(1, 1_000),
        "pound": Fraction(45_359_237, 100_000), "ounce": Fraction(45_359_237, 1_600_000),
    },
    "calendar": {"month": Fraction(1), "year": Fraction(12)},
    "money": {"dollar": Fraction(1), "cent": Fraction(1, 100)},
}  # fmt: skip
_BY_KIND: dict[str, dict[str, int]] = {
    "second": {"time": 1},
    "meter": {"length": 1},
    "mole": {"amount": 1},
    "kelvin": {"temperature": 1},
    "coulomb": {"current": 1, "time": 1},
    "ohm": {"mass": 1, "length": 2, "time": -3, "current": -2},
    "farad": {"mass": -1, "length": -2, "time": 4, "current": 2},
    "tesla": {"mass": 1, "time": -2, "current": -1},
    "weber": {"mass": 1, "length": 2, "time": -2, "current": -1},
    "siemens": {"mass": -1, "length": -2, "time": 3, "current": 2},
    "henry": {"mass": 1, "length": 2, "time": -2, "current": -2},
    "newton": {"mass": 1, "length": 1, "time": -2},
    "joule": {"mass": 1, "length": 2, "time": -2},
    "watt": {"mass": 1, "length": 2, "time": -3},
    "pascal": {"mass": 1, "length": -1, "time": -2},
    "volt": {"mass": 1, "length": 2, "time": -3, "current": -1},
    "ampere": {"current": 1},
    "hertz": {"time": -1},
}
_VOLUMES = {
    "ml": _LITER / 1_000, "gallon": _GALLON, "quart": _GALLON / 4, "pint": _GALLON / 8,
}  # fmt: skip
_KILOGRAM = Fraction(1_000)
_PREFIXED: dict[str, _Scale] = {
    **{unit: (_KILOGRAM ** powers.get("mass", 0), powers) for unit, powers in _BY_KIND.items()},
    "gram": (Fraction(1), {"mass": 1}),
    "liter": (_LITER, {"length": 3}),
    "electronvolt": (Fraction(1_602_176_634, 10**28) * _KILOGRAM, _BY_KIND["joule"]),
}
_SCALES: dict[str, _Scale] = {
    **{unit: (size, {kind: 1}) for kind, units in _KINDS.items() for unit, size in units.items()},
    **{unit: (size, {"length": 3}) for unit, size in _VOLUMES.items()},
    **{
        f"{prefix}{unit}": (factor * size, powers)
        for unit, (size, powers) in _PREFIXED.items()
        for prefix, factor in _PREFIXES.items()
    },
    "hectare": (Fraction(10_000), {"length": 2}),
    "acre": (Fraction(40_468_564_224, 10**7), {"length": 2}),
    "calorie": (Fraction(4_184, 1_000) * _KILOGRAM, _BY_KIND["joule"]),
    "kilocalorie": (4_184 * _KILOGRAM, _BY_KIND["joule"]),
    "kilowatthour": (3_600_000 * _KILOGRAM, _BY_KIND["joule"]),
    "molar": (1 / _LITER, {"amount": 1, "length": -3}),
    "millimolar": (1 / (1_000 * _LITER), {"amount": 1, "length": -3}),
    "atmosphere": (101_325 * _KILOGRAM, _BY_KIND["pascal"]),
}
_COMPOUND = {"mph": "mile/hour"}
_PART = re.compile(r" ?(/?)([a-z]+)(?:\^(\d))?")


def ratio(one: Unit, two: Unit) -> Fraction | None:
    """How many of the second unit the first is, or None if they measure different things or are not known."""
    scales = _scale(one), _scale(two)
    if scales[0] is None or scales[1] is None or scales[0][1] != scales[1][1]:
        return None
    return scales[0][0] / scales[1][0]


def in_radians(node: Node) -> bool:
    """Whether a value without a unit has pi in it, as an angle in radians does."""
    return any(part.value is Constant.PI for part in walk(node))


def summed(items: list[Node]) -> Node | None:
    """ "3 hours and 20 minutes" as 200 minutes: quantities of one kind in ever smaller units; None for other items."""
    total, unit = items[0], items[0].value
    for item in items[1:]:
        if not (isinstance(unit, Unit) and isinstance(item.value, Unit)):
            return None
        share = ratio(unit, item.value)
        if share is None or share <= 1:
            return None
        scaled = Node(Op.MUL, (total.args[0], number(share)))
        total, unit = Node(Op.UNIT, (Node(Op.ADD, (scaled, item.args[0])),), item.value), item.value
    if len(items) > 1 and unit == _CENT:
        return Node(Op.UNIT, (Node(Op.DIV, (total.args[0], number(100))),), _DOLLAR)
    return total if len(items) > 1 else None


_DOLLAR, _CENT = Unit(("dollar",)), Unit(("cent",))


def _scale(unit: Unit) -> _Scale | None:
    """The scale of a unit, or None if one of its parts is not known."""
    size = Fraction(1)
    powers: dict[str, int] = {}
    text = " ".join(_COMPOUND.get(word, word) for word in unit.words)
    at = 0
    for part in _PART.finditer(text):
        if part.start() != at or part[2] not in _SCALES:
            return None
        at = part.end()
        scale, kinds = _SCALES[part[2]]
        power = int(part[3] or 1) * (-1 if part[1] else 1)
        size *= scale**power
        for kind, measured in kinds.items():
            powers[kind] = powers.get(kind, 0) + measured * power
    return (size, {kind: power for kind, power in powers.items() if power}) if at == len(text) and powers else None


def goes_on_in_measures(unit: Unit) -> bool:
    """Whether one of a unit's later parts is a unit of measurement, as in N m, and not a word of the question."""
    return any(not _MEASURES.isdisjoint(re.findall("[a-z]+", word)) for word in unit.words[1:])


def with_letter(node: Node, unit: Unit | None, other: Unit | None) -> tuple[Node, Unit | None]:
    """A value and its unit; last letters count as one if the other side has that or converts: `8 m` beside 8 km."""
    if unit is not None or other is None or node.op is not Op.MUL:
        return node, unit
    for value, spelt in _letters_behind(node):
        letters = canonical_unit(spelt)
        if letters.words == other.words or ratio(letters, other) is not None:
            return value, letters
    return node, None


def _letters_behind(node: Node) -> Iterator[tuple[Node, str]]:
    """A product's value and the unit that its last two letters, or its last one, may be: `500 nm`, `8 m^2`."""
    rest, last = node.args
    power = ""
    if last.op is Op.POW and last.args[1] in (number(2), number(3)):
        last, power = last.args[0], f"^{last.args[1].value}"
    if last.op is not Op.SYMBOL:
        return
    if rest.op is Op.MUL and rest.args[1].op is Op.SYMBOL and rest.args[1].name + last.name in SYMBOLS:
        yield rest.args[0], rest.args[1].name + last.name + power
    yield rest, last.name + power


_MEASURES = frozenset((*UNITS.values(), *SYMBOLS.values()))
