"""How units of one quantity convert into each other: 5 hours are 300 minutes, 36 km/h are 10 m/s."""

from __future__ import annotations

import re
from fractions import Fraction

from selfimprove.answer.tree import Constant, Node, Op, Unit, number, walk
from selfimprove.answer.words import SYMBOLS, UNITS, canonical_unit

_GALLON = Fraction(3_785_411_784, 10**9)
_SCALES = {
    "second": ("time", Fraction(1)), "minute": ("time", Fraction(60)), "hour": ("time", Fraction(3_600)),
    "day": ("time", Fraction(86_400)), "week": ("time", Fraction(604_800)),
    "meter": ("length", Fraction(1)), "km": ("length", Fraction(1_000)), "cm": ("length", Fraction(1, 100)),
    "mm": ("length", Fraction(1, 1_000)), "inch": ("length", Fraction(254, 10_000)),
    "foot": ("length", Fraction(3_048, 10_000)), "yard": ("length", Fraction(9_144, 10_000)),
    "mile": ("length", Fraction(1_609_344, 1_000)),
    "gram": ("mass", Fraction(1)), "kg": ("mass", Fraction(1_000)), "mg": ("mass", Fraction(1, 1_000)),
    "pound": ("mass", Fraction(45_359_237, 100_000)), "ounce": ("mass", Fraction(45_359_237, 1_600_000)),
    "liter": ("volume", Fraction(1)), "ml": ("volume", Fraction(1, 1_000)),
    "gallon": ("volume", _GALLON), "quart": ("volume", _GALLON / 4), "pint": ("volume", _GALLON / 8),
    **{f"{prefix}{unit}": (unit, factor)
       for prefix, factor in (("", Fraction(1)), ("kilo", Fraction(1_000)), ("mega", Fraction(10**6)),
                              ("giga", Fraction(10**9)), ("milli", Fraction(1, 1_000)))
       for unit in ("newton", "joule", "watt", "volt", "ampere", "pascal", "hertz")},
    "dollar": ("money", Fraction(1)), "cent": ("money", Fraction(1, 100)),
}  # fmt: skip
_COMPOUND = {"mph": "mile/hour"}
_PART = re.compile(r"(/?)([a-z]+)(?:\^(\d))?")


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


def _scale(unit: Unit) -> tuple[Fraction, dict[str, int]] | None:
    """The size of a unit in the basic ones, and the powers of what it measures."""
    size = Fraction(1)
    powers: dict[str, int] = {}
    text = "".join(_COMPOUND.get(word, word) for word in unit.words)
    at = 0
    for part in _PART.finditer(text):
        if part.start() != at or part[2] not in _SCALES:
            return None
        at = part.end()
        kind, scale = _SCALES[part[2]]
        power = int(part[3] or 1) * (-1 if part[1] else 1)
        size *= scale**power
        powers[kind] = powers.get(kind, 0) + power
    return (size, powers) if at == len(text) and powers else None


def are_measures(unit: Unit) -> bool:
    """Whether all of a unit's several parts are units of measurement, as in N m, and not words of the question."""
    return len(unit.words) > 1 and all(word in _MEASURES for word in unit.words)


def with_letter(node: Node, unit: Unit | None, other: Unit | None) -> tuple[Node, Unit | None]:
    """A value and its unit; a last letter counts as one if the other side has that or converts: `8 m` beside 8 km."""
    if unit is not None or other is None or node.op is not Op.MUL:
        return node, unit
    last, power = node.args[1], ""
    if last.op is Op.POW and last.args[1] in (number(2), number(3)):
        last, power = last.args[0], f"^{last.args[1].value}"
    if last.op is not Op.SYMBOL:
        return node, unit
    letter = canonical_unit(last.name + power)
    if letter.words != other.words and ratio(letter, other) is None:
        return node, None
    return node.args[0], letter


_MEASURES = frozenset((*UNITS.values(), *SYMBOLS.values()))
