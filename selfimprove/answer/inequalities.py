"""The solutions of a polynomial or rational inequality in one variable, as intervals with exact end points.

The difference of the two sides becomes a quotient of two polynomials with rational coefficients, written out here.
Their real roots are end points: rational ones and those of quadratic factors exactly; sympy factors what has a degree
above two. A factor of a higher degree with a real root is refused. Between two end points the sign is that at a
rational point; roots of a denominator never belong to the solutions, even where they cancel.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

from selfimprove.answer.steps import spend
from selfimprove.answer.tree import Node, Op, Refused, Sign, call, negative, number

MAX_DEGREE = 12
Polynomial = list[Fraction]  # coefficients, the constant first


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A root, or the stretch between two neighbouring roots (None: unbounded)."""

    low: Node | None
    high: Node | None
    is_point: bool


def solutions(gap: Node, name: str, sign: Sign) -> list[Cell]:
    """The cells in which `gap` stands in the relation `sign` to zero; raises `Refused`."""
    top, bottom = _quotient(gap, name)
    if not any(bottom):
        raise Refused("it divides by zero")
    poles = _roots(bottom)
    ends = _sorted([*_roots(top), *poles])
    if not any(top):
        ends = _sorted(poles)
    found: list[Cell] = []
    for at in range(len(ends) + 1):
        low, high = (ends[at - 1] if at else None), (ends[at] if at < len(ends) else None)
        inside = _between(low, high)
        if _holds(_value(top, inside) * _value(bottom, inside), sign):
            found.append(Cell(low=low and low[1], high=high and high[1], is_point=False))
        if high is not None and high[1] not in [pole[1] for pole in poles] and _holds(Fraction(0), sign):
            found.append(Cell(low=high[1], high=high[1], is_point=True))
    return found


def _holds(value: Fraction, sign: Sign) -> bool:
    return _TESTS[sign](value)


_TESTS: dict[Sign, Callable[[Fraction], bool]] = {
    Sign.LESS: lambda value: value < 0,
    Sign.GREATER: lambda value: value > 0,
    Sign.AT_MOST: lambda value: value <= 0,
    Sign.AT_LEAST: lambda value: value >= 0,
    Sign.UNEQUAL: lambda value: value != 0,
    Sign.EQUAL: lambda value: value == 0,
}


def _quotient(node: Node, name: str) -> tuple[Polynomial, Polynomial]:
    """Numerator and denominator of a rational function; nothing is cancelled."""
    spend(5)
    if node.op is Op.NUMBER and isinstance(node.value, Fraction):
        return [node.value], [Fraction(1)]
    if node.op is Op.SYMBOL and node.name == name:
        return [Fraction(0), Fraction(1)], [Fraction(1)]
    if node.op is Op.NEG:
        top, bottom = _quotient(node.args[0], name)
        return [-value for value in top], bottom
    if node.op is Op.POW:
        return _powered(*_quotient(node.args[0], name), node.args[1])
    if node.op not in (Op.ADD, Op.MUL, Op.DIV):
        raise Refused("an inequality that is not rational")
    (one, under), (two, below) = (_quotient(arg, name) for arg in node.args)
    if node.op is Op.ADD:
        return _sum(_product(one, below), _product(two, under)), _product(under, below)
    if node.op is Op.MUL:
        return _product(one, two), _product(under, below)
    return _product(one, below), _product(_product(under, two), [Fraction(1)])


def _powered(top: Polynomial, bottom: Polynomial, exponent: Node) -> tuple[Polynomial, Polynomial]:
    negated = exponent.op is Op.NEG
    value = exponent.args[0].value if negated else exponent.value
    if not isinstance(value, Fraction) or value.denominator != 1 or not 0 <= value <= MAX_DEGREE:
        raise Refused("an inequality that is not rational")
    one, two = [Fraction(1)], [Fraction(1)]
    for _ in range(int(value)):
        one, two = _product(one, top), _product(two, bottom)
    return (two, one) if negated else (one, two)


def _sum(one: Polynomial, two: Polynomial) -> Polynomial:
    size = max(len(one), len(two))
    return [(one[at] if at < len(one) else 0) + (two[at] if at < len(two) else Fraction(0)) for at in range(size)]


def _product(one: Polynomial, two: Polynomial) -> Polynomial:
    if len(one) + len(two) - 2 > 2 * MAX_DEGREE:
        raise Refused(f"a degree above {MAX_DEGREE}")
    result = [Fraction(0)] * (len(one) + len(two) - 1)
    for at, left in enumerate(one):
        for to, right in enumerate(two):
            result[at + to] += left * right
    spend(len(one) * len(two))
    return result


def _value(polynomial: Polynomial, at: Fraction) -> Fraction:
    total = Fraction(0)
    for coefficient in reversed(polynomial):
        total = total * at + coefficient
    return total


Root = tuple[Fraction, Node]  # a rational near it, and its exact value
_CLOSE = 10**30


def _roots(polynomial: Polynomial) -> list[Root]:
    """The real roots, each once."""
    while polynomial and not polynomial[-1]:
        polynomial = polynomial[:-1]
    if len(polynomial) < 2:
        return []
    if len(polynomial) == 2:
        root = -polynomial[0] / polynomial[1]
        return [(root, number(root))]
    if len(polynomial) == 3:
        return _of_quadratic(*polynomial)
    from selfimprove.answer.closed_forms import real_factors

    return [root for factor in real_factors(polynomial) for root in _roots(factor)]


def _of_quadratic(free: Fraction, linear: Fraction, square: Fraction) -> list[Root]:
    discriminant = linear * linear - 4 * free * square
    if discriminant < 0:
        return []
    middle = -linear / (2 * square)
    if discriminant == 0:
        return [(middle, number(middle))]
    under = discriminant / (4 * square * square)
    near = _square_root(under)
    if near * near == under:
        return [(root, number(root)) for root in (middle - near, middle + near)]
    radical = call("root", number(under), number(2))
    exact = [Node(Op.ADD, (number(middle), part)) for part in (negative(radical), radical)]
    return [(middle - near, exact[0]), (middle + near, exact[1])]


def _square_root(value: Fraction) -> Fraction:
    """The root if it is rational, else a rational that is very close to it."""
    top, bottom = isqrt(value.numerator), isqrt(value.denominator)
    if top * top == value.numerator and bottom * bottom == value.denominator:
        return Fraction(top, bottom)
    return Fraction(isqrt(value.numerator * _CLOSE * _CLOSE // value.denominator), _CLOSE)


def _sorted(roots: list[Root]) -> list[Root]:
    kept: dict[Node, Root] = {root[1]: root for root in roots}
    ordered = sorted(kept.values(), key=lambda root: root[0])
    if any(two[0] - one[0] < Fraction(1, 10**12) for one, two in itertools.pairwise(ordered)):
        raise Refused("roots too close to be told apart")
    return ordered


def _between(low: Root | None, high: Root | None) -> Fraction:
    if low is None:
        return Fraction(0) if high is None else high[0] - 1
    return low[0] + 1 if high is None else (low[0] + high[0]) / 2
