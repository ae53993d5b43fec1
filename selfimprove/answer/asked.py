"""What a question says of its answer: the choices it lists, and the unit it asks for ("How many hours …?").

A reference without a unit is in the unit that the question asks for, so that for "3" and "How many hours?" an answer of
3 minutes is wrong and one of 180 minutes right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from selfimprove.answer.equality import same_expression
from selfimprove.answer.options import NO_OPTIONS, options_asked
from selfimprove.answer.scales import ratio
from selfimprove.answer.shape import split_unit
from selfimprove.answer.tree import Node, Op, Unit, number
from selfimprove.answer.verdict import Finding, Outcome
from selfimprove.answer.words import canonical_unit


class Asked(NamedTuple):
    """The text of each choice by its letter, the unit of measurement that is asked for, and whether it is dozens."""

    options: Mapping[str, str] = NO_OPTIONS
    unit: Unit | None = None
    dozens: bool = False


NOTHING = Asked()
"""What is known without a question."""


@lru_cache(maxsize=256)
def asked(question: str) -> Asked:
    """What a question says of its answer; `NOTHING` for an empty one."""
    if not question:
        return NOTHING
    return Asked(options_asked(question), _unit_of(question), _DOZENS.search(question) is not None)


def _unit_of(question: str) -> Unit | None:
    """The one unit of measurement that a question asks for; None without one."""
    names = {canonical_unit(name.lower()) for match in _ASKS.finditer(question) for name in match.groups() if name}
    units = [unit for unit in names if ratio(unit, unit) is not None]
    if not names and "cent" not in question.lower() and _PRICE.search(question) and _HOW_MUCH.search(question):
        return _DOLLAR
    return units[0] if len(units) == len(names) == 1 else None


_DOLLAR = canonical_unit("dollars")
_PRICE = re.compile(r"\$\s?\d")
_HOW_MUCH = re.compile(r"\bhow much\b", re.IGNORECASE)
_DOZENS = re.compile(r"\bhow many dozens?\b|\bin dozens\b", re.IGNORECASE)
_ASKS = re.compile(
    r"\bhow many (?:(?:total|more|whole|full|extra|additional|fewer) )?([a-z]+)|\b(?:what|how (?:much|long|far|"
    r"tall|wide|"
    r"deep|heavy|high|fast))\b[^.?!]{0,160}\b(?:in|is) ([a-z]+(?:/[a-z]+)?)\?|"
    r"\bhow (?:much|long|far|tall|wide|deep|heavy|high|fast),? in (km/h|mph|m/s|dollars|cents|seconds|minutes|"
    r"hours|days|weeks|"
    r"meters|metres|miles|feet|inches|yards|kilometers|kilometres|centimeters|grams|kilograms|pounds|liters|litres|gallons)\b",
    re.IGNORECASE,
)


def in_unit(unit: Unit, reference: Node, answer: Node) -> Finding | None:
    """The verdict on an answer in another unit than the one asked for; None if it has none or the reference has one."""
    if reference.op is not Op.NUMBER:
        return None
    value, stated = split_unit(answer)
    share = None if stated is None or stated == unit else ratio(stated, unit)
    if share is None or share == 1:
        return None
    same = same_expression(Node(Op.MUL, (value, number(share))), reference).outcome is Outcome.CORRECT
    return Finding(Outcome.of(same), "units", f"{stated} where the question asks for {unit}")
