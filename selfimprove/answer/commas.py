"""Commas that separate no items: the decimal comma of `2,5 km`, the grouping of `12,34,567`."""

from __future__ import annotations

import re

from selfimprove.answer.compare import compare
from selfimprove.answer.reading import Answer, plain_text, read
from selfimprove.answer.tree import Node, Op
from selfimprove.answer.verdict import Finding, Outcome
from selfimprove.answer.words import UNITS


def other_comma(reference: Answer, prediction: Answer) -> Finding | None:
    """`2,74` against a single number is 2.74, `12,34,567` is 1234567; None if neither side is written so."""
    numbers = [_comma_number(side) for side in (reference, prediction)]
    if numbers[0] is not None and numbers[1] is not None and "," in reference.normal and "," in prediction.normal:
        same = compare(numbers[0], numbers[1])
        leading = re.search(r",0\d", reference.normal + prediction.normal) is not None
        return same if same.outcome is Outcome.CORRECT or leading else None
    if (numbers[0] is None) == (numbers[1] is None):
        return None
    gold, ours = numbers[0] or reference.node, numbers[1] or prediction.node
    if gold is None or ours is None or gold.op in _SEVERAL or ours.op in _SEVERAL:
        return None
    return compare(gold, ours)


_SEVERAL = frozenset((Op.LIST, Op.SEQUENCE, Op.SET))


_GROUPED = re.compile(r"-?\d{1,2}(?:,\d\d)+,\d{3}")  # as in India


_MEASURED = re.compile(r"(-?\d+),(\d{1,2}|\d{4,})(\s?(?:\\[a-z]+|[A-Za-z]+))")  # 2,5 km


_ASSIGNED = re.compile(r"[A-Za-z]\w?\s?=\s?(?=-?\d+,\d)")  # x = 2,5
_ONE_COMMA = re.compile(r"-?\d+,\d+")


def in_euros(reference: Answer, prediction: Answer) -> Finding | None:
    """`2.280 €` against a whole number from a thousand on, in which the point can only group; None for other prices."""
    price = _EUROS.fullmatch(plain_text(prediction.normal))
    if price is None or not re.fullmatch(r"\d{4,6}", reference.normal):
        return None
    same = price[1] + price[2] == reference.normal
    return Finding(Outcome.of(same), "rational", f"{'equal' if same else 'different'} in whole euros")


_EUROS = re.compile(r"(\d{1,3})\.(\d{3})\s?(?:\\euro|[Ee]uros?|EUR)")


def _comma_number(answer: Answer) -> Node | None:
    if (assigned := _ASSIGNED.match(answer.normal)) is not None:
        rest = answer.normal[assigned.end() :]
        comma = _MEASURED.fullmatch(plain_text(rest)) or _ONE_COMMA.fullmatch(rest)
        return None if comma is None else read(rest.replace(",", ".", 1)).node
    if (measured := _MEASURED.fullmatch(plain_text(answer.normal))) is not None:
        unit = measured[3].strip()
        written = unit if unit.startswith("\\") else f"\\text{{ {unit}}}"
        known = unit.removeprefix("\\").lower() in UNITS
        return read(f"{measured[1]}.{measured[2]} {written}").node if known else None
    if _GROUPED.fullmatch(answer.normal):
        return read(answer.normal.replace(",", "")).node
    digits = answer.normal.removeprefix("-").split(",")
    if len(digits) != 2 or not all(part.isascii() and part.isdigit() for part in digits):
        return None
    if answer.node is None or answer.node.op is not Op.LIST:
        return None
    return read(answer.normal.replace(",", ".")).node
