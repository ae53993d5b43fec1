"""Exact rational arithmetic on trees, within bounds on the size of every integer.

Most answers are rational, and `Fraction` decides them in microseconds with a proof. What is not rational, or would
need an integer of more than `MAX_BITS` bits, is refused and left to the next stage.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from selfimprove.answer.limits import MAX_BITS
from selfimprove.answer.steps import spend
from selfimprove.answer.tree import INFINITY, Node, Op, Refused, walk

MAX_TERMS = 2_000  # of a finite sum or product
MAX_FACTORIAL = 5_000
Values = Mapping[str, Fraction]
_EMPTY: Values = {}


def exact(node: Node, env: Values = _EMPTY) -> Fraction:
    """The rational value of the tree; raises `Refused` if it has none or is too large."""
    if isinstance(node.value, Fraction):
        return node.value
    if node.op in BINARY:
        left, right = node.args
        return _bounded(BINARY[node.op](exact(left, env), exact(right, env)))
    if node.op in UNARY:
        return _bounded(UNARY[node.op](exact(node.args[0], env)))
    operation = _OPERATIONS.get(node.op)
    if operation is None:
        raise Refused("it is not rational")
    return operation(node, env)


def _quotient(dividend: Any, divisor: Any) -> Any:  # noqa: ANN401 - of fractions or of mpmath's numbers
    if divisor == 0:
        raise Refused("it divides by zero")
    return dividend / divisor


BINARY: dict[Op, Callable[[Any, Any], Any]] = {Op.ADD: operator.add, Op.MUL: operator.mul, Op.DIV: _quotient}
UNARY: dict[Op, Callable[[Any], Any]] = {Op.NEG: operator.neg, Op.PERCENT: lambda value: value / 100}
"""The operators that need no more than the values of their arguments, for numbers of any kind."""


def _bounded(value: Fraction) -> Fraction:
    bits = value.numerator.bit_length() + value.denominator.bit_length()
    spend(1 + (bits >> 6))
    if value.numerator.bit_length() > MAX_BITS or value.denominator.bit_length() > MAX_BITS:
        raise Refused(f"a number has more than {MAX_BITS} bits")
    return value


def _variable(node: Node, env: Values) -> Fraction:
    if node.name not in env:
        raise Refused("it has variables")
    return env[node.name]


def _power(node: Node, env: Values) -> Fraction:
    base, exponent = exact(node.args[0], env), node.args[1]
    if base == 1 and not any(part == INFINITY for part in walk(exponent)):
        return _bounded(base)
    return _bounded(power(base, exact(exponent, env)))


def power(base: Fraction, exponent: Fraction) -> Fraction:
    """base to the exponent if that is rational and small enough; odd roots of negative numbers are negative."""
    if exponent.denominator != 1:
        base, exponent = _root(base, exponent.denominator), Fraction(exponent.numerator)
    if base in (0, 1, -1) and exponent > 0:
        return base if base != -1 or exponent % 2 else Fraction(1)
    if base == 0:
        raise Refused("zero to a power that is not positive")
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if bits * abs(exponent) > MAX_BITS:
        raise Refused(f"a power has more than {MAX_BITS} bits")
    return Fraction(base ** int(exponent))


def _root(base: Fraction, order: int) -> Fraction:
    if order > 64:
        raise Refused("a root of high order")
    if base < 0:
        if order % 2 == 0:
            raise Refused("it is not real")
        return -_root(-base, order)
    return Fraction(_integer_root(base.numerator, order), _integer_root(base.denominator, order))


def _integer_root(value: int, order: int) -> int:
    if value < 2 or order == 1:
        return value
    if value.bit_length() > 4_000:
        raise Refused("a root of a large number")
    if order == 2:
        guess = math.isqrt(value)
    else:
        low, high = 1, 1 << (value.bit_length() // order + 1)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if middle**order <= value else (low, middle - 1)
        guess = low
    if guess**order != value:
        raise Refused("it is not rational")
    return guess


def _function(node: Node, env: Values) -> Fraction:
    name = node.name
    if name not in _FUNCTIONS:
        raise Refused("it is not rational")
    args = [exact(arg, env) for arg in node.args]
    if name in _OF_INTEGERS and any(arg.denominator != 1 for arg in args):
        raise Refused(f"{name} of a fraction")
    if len(args) != (2 if name in _OF_TWO else 1) and not (args and name in _OF_MANY):
        raise Refused(f"{name} with {len(args)} arguments")
    return _bounded(Fraction(_FUNCTIONS[name](*args)))


def _integer_order_root(base: Fraction, order: Fraction) -> Fraction:
    if order.denominator != 1 or order < 1:
        raise Refused("a root of an order that is no positive integer")
    return _root(base, int(order))


def _small(value: Fraction) -> int:
    if value < 0 or value > MAX_FACTORIAL:
        raise Refused(f"a factorial above {MAX_FACTORIAL}")
    return int(value)


def _binomial(top: Fraction, bottom: Fraction) -> int:
    size = _small(top)
    return math.comb(size, int(bottom)) if 0 <= bottom <= size else 0


def _remainder(value: Fraction, modulus: Fraction) -> Fraction:
    if modulus <= 0:
        raise Refused("a remainder of a division by what is not positive")
    return value % modulus


_FUNCTIONS: dict[str, Callable[..., Fraction | int]] = {
    "abs": abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "sgn": lambda value: (value > 0) - (value < 0),
    "root": _integer_order_root,
    "factorial": lambda value: math.factorial(_small(value)),
    "factorial2": lambda value: math.prod(range(_small(value), 0, -2)),
    "binom": _binomial,
    "gcd": lambda *values: math.gcd(*map(int, values)),
    "lcm": lambda *values: math.lcm(*map(int, values)),
    "mod": _remainder,
    "min": lambda *values: min(values),
    "max": lambda *values: max(values),
}
_OF_INTEGERS = frozenset(("gcd", "lcm", "factorial", "factorial2", "binom", "mod"))
_OF_TWO = frozenset(("root", "binom", "mod"))
_OF_MANY = frozenset(("gcd", "lcm", "min", "max"))


def series_range(low: Fraction, high: Fraction) -> range:
    """The index values of a finite sum or product; raises `Refused` over `MAX_TERMS`."""
    if low.denominator != 1 or high.denominator != 1 or high - low > MAX_TERMS:
        raise Refused(f"a sum without integer bounds or of more than {MAX_TERMS} terms")
    return range(int(low), int(high) + 1)


def _series(node: Node, env: Values) -> Fraction:
    body, index, low, high = node.args
    is_product = node.op is Op.PRODUCT
    total = Fraction(is_product)
    for step in series_range(exact(low, env), exact(high, env)):
        term = exact(body, {**env, index.name: Fraction(step)})
        total = _bounded(total * term if is_product else total + term)
    return _bounded(total)


_OPERATIONS: dict[Op, Callable[[Node, Values], Fraction]] = {
    Op.SYMBOL: _variable,
    Op.POW: _power,
    Op.FUNCTION: _function,
    Op.SUM: _series,
    Op.PRODUCT: _series,
}
