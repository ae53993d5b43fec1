r"""Chains of equations that end on a value: `r^2+s^2 = (r+s)^2-2rs = 25-6 = 19`, `F = ma = 2 kg × 3.5 m/s^2 = 7 N`.

Where the grammar can't take a chain as a whole, or its symbolic members differ, each member is read by itself. The last
one is the answer if it is a value without unknowns. Members with unknowns say how it was found, as do those that can't
be read, where another member shows the calculation. Every other value in the chain must be the last one: exactly, in
another unit, or as what the last one's digits round. So `58 = 57` stays a contradiction. A whole number rounds only
what is no whole number, and only with three digits or more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from selfimprove.answer.compare import compare
from selfimprove.answer.exact import exact
from selfimprove.answer.precision import within
from selfimprove.answer.shape import split_unit
from selfimprove.answer.tree import Node, Op, Refused, free_names, number, walk
from selfimprove.answer.verdict import Outcome

Reader = Callable[[str], Node | None]
_MOST_MEMBERS, _LONGEST = 12, 600
_SIGN = re.compile(r"=|\\approx(?![A-Za-z])")
_OTHER_SIGN = re.compile(
    r"[<>?≠]|\\(?:n?eq?|not|le|ge|leq|geq|lt|gt|in|equiv|to|rightarrow|implies|iff|Rightarrow|pmod|mod)(?![A-Za-z])"
)
_DOUBT = re.compile(
    r"\\(?:text|mathrm)\s?\{[^{}]*\b(?:not|no|or|if|wrong|maybe|perhaps|false|isn|never|unless|but|except|than)\b|[?≠]|"
    r"\\not|\\ne(?:q|g)?(?![A-Za-z])"
)
_LETTER_UNITS = frozenset("NJWVACKFTsmhgLΩ")
_DOTS = re.compile(r"\\[cl]?dots[cb]?(?![A-Za-z])|\.\.\.|…")
_UNIT_TEXT = re.compile(
    r"\\(?:text|mathrm)\s?\{[^{}]{1,40}\}(?:\^\s?\{?-?\d\}?)?|(?<=\d)\s(?:kg|km|cm|[a-zA-Z])(?:/s)?"
    r"(?:\^\s?\{?-?\d\}?)?(?![A-Za-z])"
)
_LETTER_UNIT = re.compile(r"\d\s(?:kg|km|cm|[NJWVAKCFTsmhgL])(?![A-Za-z])")
_SCALED = re.compile(
    r"(?<![A-Za-z\\])(?:c|d|m(?=[mLgslAVJWFHNPCT])|k(?!g)|M|G|μ|n|p)(?:m|g|s|L|l|mol|J|W|N|V|A|Pa|Hz|eV|C|F|H|T|Ω|Wh)(?![A-Za-z])|"
    r"(?<![A-Za-z\\])(?:g|L|l|h|hr|min|kWh|percent|hours?|minutes?|days?|grams?|lit(?:er|re)s?|kilo\w+|milli\w+|centi\w+|"
    r"km|micro\w+|nano\w+|mega\w+|cents?|dozens?)(?![A-Za-z])|%"
)
"""A unit that is not the SI's own, by which a value may differ by a power of ten or sixty."""
_FACTORS = frozenset(
    Fraction(10) ** power * factor
    for power in range(-12, 13)
    for factor in (Fraction(1), Fraction(60), Fraction(36), Fraction(1, 60), Fraction(1, 36))
)
"""What a prefix or an hour can make of a value whose unit was left out."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """What a chain comes to: its value, and the exact value before it that it rounds, if it does."""

    value: Node
    exact: Node | None
    normal: str


def read_chain(normal: str, read_member: Reader) -> Chain | None:
    """The chain that an answer is; None for what is none, has no value at its end, or contradicts itself."""
    members = _members(normal)
    if members is None or _DOUBT.search(normal) or set(members) == {members[-1]}:
        return None
    last = read_member(members[-1])
    if last is None or not _is_closed(last):
        return None
    checked, rounded, told = [last], None, True
    scaled = _SCALED.search(normal) is not None
    for text in reversed(members[:-1]):
        node = read_member(text)
        if node is None or _is_measured(text, node) or Op.DOTS in {part.op for part in walk(node)}:
            bare = None if _DOTS.search(text) else _without_units(text, read_member)
            if bare is not None and not any(_is_multiple(bare, other, scaled) for other in checked):
                return None
            if bare is not None or _DOTS.search(text):
                checked.append(last)
            told = told and (bare is not None or not re.search(r"\d", text))
        elif _is_closed(node):
            if not any(_agrees(node, other) for other in checked):
                if not _rounds(last, node):
                    return None
                rounded = rounded or (node if _decadic(node) == node else None)
            checked.append(node)
    if len(checked) == 1 and not (told and (len(members) > 2 or normal.startswith("="))):
        return None
    head = "=".join(members[:-1])
    return Chain(value=last, exact=rounded, normal=normal if rounded is None else f"{head}\\approx {members[-1]}")


def _is_measured(text: str, node: Node) -> bool:
    """Whether letters behind the numbers of a member are units, `3 N × 2 m`, all that it has of unknowns."""
    return not _is_closed(node) and _LETTER_UNIT.search(text) is not None


def _members(normal: str) -> list[str] | None:
    """The members of a chain; None if there is another sign of relation between them, or only one of them."""
    if len(normal) > _LONGEST:
        return None
    cuts: list[tuple[int, int]] = []
    depth = at = 0
    while at < len(normal):
        sign = normal[at]
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif not depth and (cut := _SIGN.match(normal, at)) is not None:
            cuts.append(cut.span())
        elif not depth and (_OTHER_SIGN.match(normal, at) or sign == ";"):
            return None
        at += 1
    if depth or not cuts or len(cuts) > _MOST_MEMBERS:
        return None
    starts = [0, *(end for _, end in cuts)]
    ends = [*(start for start, _ in cuts), len(normal)]
    members = [normal[start:end].strip() for start, end in zip(starts, ends, strict=True)]
    if not members[0] and len(members) > 1:
        members = members[1:] if len(members) > 2 else ["\\text{value}", members[1]]
    if not all(members) or any(_top_comma(member) for member in members[:-1]):
        return None
    return members


def _top_comma(text: str) -> bool:
    depth = 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and not depth:
            return True
    return False


def _is_closed(node: Node) -> bool:
    """Whether a tree is a value without unknowns; a last letter may be its unit."""
    return not free_names(_without_letter(node)) and node.op not in (Op.TEXT, Op.RELATION, Op.NAMED)


def _without_letter(node: Node) -> Node:
    core = split_unit(node)[0]
    if core.op is not Op.MUL or core.args[1].op is not Op.SYMBOL or free_names(core.args[0]):
        return core
    return core.args[0] if core.args[1].name in _LETTER_UNITS else core


def _plain(node: Node) -> Node:
    """The number of a value: without its unit, a number in a base as what it counts, a ratio as its quotient."""
    core = _without_letter(node)
    if core.op is Op.BASED:
        base = int(core.args[0].value) if isinstance(core.args[0].value, Fraction) else 0
        try:
            return number(int(str(core.value), base)) if 2 <= base <= 36 else core
        except ValueError:
            return core
    return Node(Op.DIV, core.args) if core.op is Op.RATIO and len(core.args) == 2 else core


def _agrees(one: Node, last: Node) -> bool:
    """Whether a member has the value of the last one: with its unit, without one, or as a percentage."""
    if compare(one, last).outcome is Outcome.CORRECT:
        return True
    units = [split_unit(node)[1] for node in (one, last)]
    if None not in units and units[0] != units[1]:
        return False
    one = _plain(one)
    return any(compare(read, _plain(last)).outcome is Outcome.CORRECT for read in (one, _decadic(one)))


def _decadic(node: Node) -> Node:
    """A tree with its logarithms without a base in base ten, as calculators have them."""
    args = tuple(_decadic(arg) for arg in node.args)
    if node.op is Op.FUNCTION and node.value == "log" and len(args) == 1:
        return node.over((*args, number(10)))
    return node.over(args) if args else node


def _rounds(last: Node, one: Node) -> bool:
    """Whether the last member is a decimal, and what the other one rounds to."""
    units = [split_unit(node)[1] for node in (one, last)]
    if None not in units and units[0] != units[1]:
        return False
    value = _decimal(_plain(last))
    if value is None or not value[0]:
        return False
    rounded, step, digits = value
    if rounded.denominator == 1 and step >= 1 and _plain(last).op is Op.NUMBER and digits < 3:
        return False
    plain = _plain(one)
    if rounded.denominator == 1 and plain.op is Op.NUMBER:
        return False
    share = abs(rounded) * (Fraction(1, 50) if digits > 1 else Fraction(1, 200))
    space = min(step * Fraction(51, 100), share)
    return any(within(read, _plain(last), space) for read in (plain, _decadic(plain)))


def _decimal(node: Node) -> tuple[Fraction, Fraction, int] | None:
    """A decimal number, the value of its last digit and how many digits it has; None for any other value."""
    if node.op is Op.NEG:
        found = _decimal(node.args[0])
        return None if found is None else (-found[0], *found[1:])
    if node.op is Op.NUMBER and isinstance(node.value, Fraction):
        value, power = node.value, 0
    elif node.op is Op.MUL and (raised := _power_of_ten(node.args[1])) is not None:
        inner = node.args[0]
        if inner.op is not Op.NUMBER or not isinstance(inner.value, Fraction):
            return None
        value, power = inner.value, raised
    else:
        return None
    places = 0
    while value.denominator != 1 and places < 12:
        value, places = value * 10, places + 1
    if value.denominator != 1:
        return None
    digits = int(value)
    if not places:
        while digits and digits % 10 == 0:
            digits, places = digits // 10, places - 1
    step = Fraction(10) ** (power - places)
    return digits * step, step, len(str(abs(digits)))


def _power_of_ten(node: Node) -> int | None:
    if node.op is not Op.POW or node.args[0] != number(10):
        return None
    exponent = node.args[1]
    sign = -1 if exponent.op is Op.NEG else 1
    inner = exponent.args[0] if exponent.op is Op.NEG else exponent
    small = isinstance(inner.value, Fraction) and inner.value.denominator == 1 and abs(inner.value) <= 60
    return sign * int(inner.value) if small and isinstance(inner.value, Fraction) else None


def _without_units(text: str, read_member: Reader) -> Node | None:
    """The number that a calculation with several units comes to without them; None if it is no such calculation."""
    bare = _UNIT_TEXT.sub("", text)
    if bare == text or not re.search(r"\d", bare):
        return None
    node = read_member(bare)
    return node if node is not None and _is_closed(node) else None


def _is_multiple(bare: Node, last: Node, scaled: bool) -> bool:
    """Whether a calculation without its units comes to the last member.

    `scaled`: one of its units has a prefix or is another measure of time, so that a power of ten or sixty may differ.
    """
    if _agrees(bare, last) or _rounds(last, bare):
        return True
    if not scaled:
        return False
    try:
        value, wanted = exact(_plain(bare)), exact(_plain(last))
    except Refused:
        return False
    digits = _decimal(_plain(last))
    space = Fraction(0) if digits is None else min(digits[1] * Fraction(51, 100), abs(wanted) / 100)
    return any(abs(value * factor - wanted) <= space for factor in _FACTORS)
