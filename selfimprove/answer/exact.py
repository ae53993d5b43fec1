"""Exact rational arithmetic on trees, within bounds on the size of every integer.

Most answers are rational, and `Fraction` decides them in microseconds with a proof. What is not rational, or would
need an integer of more than `MAX_BITS` bits, is refused and left to the next stage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from selfimprove.answer.limits import MAX_BITS
from selfimprove.answer.steps import spend
from selfimprove.answer.tree import Node, Refused, walk

MAX_TERMS = 2_000  # of a finite sum or product
MAX_FACTORIAL = 5_000
_EMPTY: Mapping[str, Fraction] = {}


def exact(node: Node, env: Mapping[str, Fraction] = _EMPTY) -> Fraction:
    """The rational value of the tree; raises `Refused` if it has none or is too large."""
    if node.op == "num":
        return node.value if isinstance(node.value, Fraction) else Fraction(0)
    if node.op == "sym":
        if str(node.value) not in env:
            raise Refused("it has variables")
        return env[str(node.value)]
    return _bounded(_operation(node, env))


def _bounded(value: Fraction) -> Fraction:
    bits = value.numerator.bit_length() + value.denominator.bit_length()
    spend(1 + (bits >> 6))
    if value.numerator.bit_length() > MAX_BITS or value.denominator.bit_length() > MAX_BITS:
        raise Refused(f"a number has more than {MAX_BITS} bits")
    return value


def _operation(node: Node, env: Mapping[str, Fraction]) -> Fraction:
    op = node.op
    if op in ("add", "mul", "div"):
        return _arithmetic(op, exact(node.args[0], env), exact(node.args[1], env))
    if op == "neg":
        return -exact(node.args[0], env)
    if op == "pow":
        return _power(node.args[0], node.args[1], env)
    if op == "pct":
        return exact(node.args[0], env) / 100
    if op == "func":
        return _function(node, env)
    if op in ("sum", "prod"):
        return _series(node, env)
    raise Refused("it is not rational")


def _arithmetic(op: str, left: Fraction, right: Fraction) -> Fraction:
    if op == "add":
        return left + right
    if op == "mul":
        return left * right
    if not right:
        raise Refused("it divides by zero")
    return left / right


def _power(base_node: Node, exponent_node: Node, env: Mapping[str, Fraction]) -> Fraction:
    base = exact(base_node, env)
    if base == 1 and not any(n.op == "const" and n.value == "inf" for n in walk(exponent_node)):
        return base
    return power(base, exact(exponent_node, env))


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


def _function(node: Node, env: Mapping[str, Fraction]) -> Fraction:
    name = str(node.value)
    if name not in _FUNCTIONS and name not in ("min", "max", "gcd", "lcm"):
        raise Refused("it is not rational")
    args = [exact(arg, env) for arg in node.args]
    if name in ("gcd", "lcm", "factorial", "factorial2", "binom") and any(arg.denominator != 1 for arg in args):
        raise Refused(f"{name} of a fraction")
    if name in ("min", "max"):
        return min(args) if name == "min" else max(args)
    if name in ("gcd", "lcm"):
        ints = [int(arg) for arg in args]
        return Fraction(math.gcd(*ints) if name == "gcd" else math.lcm(*ints))
    if len(args) != (2 if name in ("binom", "root") else 1):
        raise Refused(f"{name} with {len(args)} arguments")
    return _named(name, args)


_FUNCTIONS = frozenset(("abs", "floor", "ceil", "factorial", "factorial2", "binom", "root", "sgn"))


def _named(name: str, args: list[Fraction]) -> Fraction:
    first = args[0]
    if name == "abs":
        return abs(first)
    if name in ("floor", "ceil"):
        return Fraction(math.floor(first) if name == "floor" else math.ceil(first))
    if name == "sgn":
        return Fraction((first > 0) - (first < 0))
    if name == "root":
        if args[1].denominator != 1 or args[1] < 1:
            raise Refused("a root of an order that is no positive integer")
        return _root(first, int(args[1]))
    if first < 0 or first > MAX_FACTORIAL:
        raise Refused(f"a factorial above {MAX_FACTORIAL}")
    if name == "factorial2":
        return Fraction(math.prod(range(int(first), 0, -2)))
    return Fraction(math.factorial(int(first)) if name == "factorial" else _binomial(first, args[1]))


def _binomial(top: Fraction, bottom: Fraction) -> int:
    return math.comb(int(top), int(bottom)) if 0 <= bottom <= top else 0


def series_range(low: Fraction, high: Fraction) -> range:
    """The index values of a finite sum or product; raises `Refused` over `MAX_TERMS`."""
    if low.denominator != 1 or high.denominator != 1 or high - low > MAX_TERMS:
        raise Refused(f"a sum without integer bounds or of more than {MAX_TERMS} terms")
    return range(int(low), int(high) + 1)


def _series(node: Node, env: Mapping[str, Fraction]) -> Fraction:
    body, index, low, high = node.args
    total = Fraction(node.op == "prod")
    for step in series_range(exact(low, env), exact(high, env)):
        term = exact(body, {**env, str(index.value): Fraction(step)})
        total = _bounded(total + term if node.op == "sum" else total * term)
    return total
