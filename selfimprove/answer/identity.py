"""Identities proved by evaluation modulo large primes.

A tree is evaluated at fixed points modulo two Mersenne primes; the points depend on the names of the variables only.
Anything that is no rational operation (a root, a sine, pi, a tower of powers too big to write down) becomes a
pseudo-random residue that depends on the function and on the residues of its arguments. Equal residues modulo both
primes mean that the two trees are the same rational function of the same pieces, up to a chance of about 2^-140
(Schwartz and Zippel): that is an acceptance. For trees of rational operations alone, different residues prove the
difference. It costs microseconds and can't blow up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from fractions import Fraction

from selfimprove.answer.exact import exact, series_range
from selfimprove.answer.steps import spend
from selfimprove.answer.tree import INFINITY, Node, Op, Refused, walk

PRIMES = (2**61 - 1, 2**89 - 1)
MAX_TERMS = 200  # of a sum or product that is written out
Values = Mapping[str, int]
_EMPTY: Values = {}


def residue_of(seed: str, prime: int) -> int:
    """A fixed pseudo-random residue for a name."""
    digest = hashlib.blake2b(seed.encode("utf-8", "replace"), digest_size=16).digest()
    return int.from_bytes(digest, "big") % prime


def residue(node: Node, prime: int, env: Values = _EMPTY) -> int:
    """The value of the tree modulo the prime; raises `Refused` on infinity or a division by zero."""
    spend()
    if node.op in _BINARY:
        left, right = node.args
        return _BINARY[node.op](residue(left, prime, env), residue(right, prime, env), prime) % prime
    if node.op in _UNARY:
        return _UNARY[node.op](residue(node.args[0], prime, env), prime) % prime
    operation = _OPERATIONS.get(node.op)
    if operation is None:
        raise Refused(f"{node.op} is not a number")
    return operation(node, prime, env)


def _inverse(value: int, prime: int) -> int:
    if value % prime == 0:
        raise Refused("it divides by zero")
    return pow(value, -1, prime)


_BINARY: dict[Op, Callable[[int, int, int], int]] = {
    Op.ADD: lambda left, right, prime: left + right,
    Op.MUL: lambda left, right, prime: left * right,
    Op.DIV: lambda left, right, prime: left * _inverse(right, prime),
}
_UNARY: dict[Op, Callable[[int, int], int]] = {
    Op.NEG: lambda value, prime: -value,
    Op.PERCENT: lambda value, prime: value * _inverse(100, prime),
}


def _of_fraction(value: Fraction, prime: int) -> int:
    return value.numerator * _inverse(value.denominator, prime) % prime


def _number(node: Node, prime: int, env: Values) -> int:
    return _of_fraction(exact(node), prime)


def _variable(node: Node, prime: int, env: Values) -> int:
    return env[node.name] if node.name in env else residue_of(f"sym {node.name}", prime)


def _power(node: Node, prime: int, env: Values) -> int:
    base, exponent = node.args
    value = residue(base, prime, env)
    if value == 1 and base.op is Op.NUMBER:
        residue(exponent, prime, env)
        return 1
    try:
        power = exact(exponent)
    except Refused:
        return residue_of(f"pow {value} {residue(exponent, prime, env)}", prime)
    if power.denominator != 1:
        value = residue_of(f"root {value} {power.denominator:x}", prime)
    if value == 0 and power <= 0:
        raise Refused("zero to a power that is not positive")
    return pow(value, int(power.numerator), prime)


def _root(node: Node, prime: int, env: Values) -> int:
    order = exact(node.args[1])
    if order.denominator != 1 or order < 1:
        raise Refused("a root of an order that is no positive integer")
    return residue_of(f"root {residue(node.args[0], prime, env)} {int(order):x}", prime)


def _opaque(node: Node, prime: int, env: Values) -> int:
    """Of what is no rational operation: its exact value, or a residue that stands for it and its arguments."""
    if node == INFINITY:
        raise Refused("infinity in a computation")
    if node.value == "root":
        return _root(node, prime, env)
    try:
        value = exact(node)
    except Refused:
        args = [residue(arg, prime, env) for arg in node.args]
        return residue_of(f"{node.op} {node.value} {args}", prime)
    return _of_fraction(value, prime)


def _series(node: Node, prime: int, env: Values) -> int:
    body, index, low, high = node.args
    name = index.name
    try:
        steps = series_range(exact(low), exact(high))
    except Refused:
        bounds = [residue(arg, prime, env) for arg in (low, high)]
        inner = residue(body, prime, {**env, name: residue_of("bound", prime)})
        return residue_of(f"{node.op} {inner} {bounds}", prime)
    if len(steps) > MAX_TERMS:
        raise Refused("a long sum")
    is_product = node.op is Op.PRODUCT
    total = int(is_product)
    for step in steps:
        term = residue(body, prime, {**env, name: step % prime})
        total = (total * term if is_product else total + term) % prime
    return total


def _bound(node: Node, prime: int, env: Values) -> int:
    """Of an integral or limit: a residue that stands for its body, whatever its variable is called, and its bounds."""
    body, index = node.args[:2]
    bounds = [_end(arg, prime, env) for arg in node.args[2:]]
    inner = residue(body, prime, {**env, index.name: residue_of("bound", prime)})
    return residue_of(f"{node.op} {inner} {bounds}", prime)


def _end(node: Node, prime: int, env: Values) -> int | str:
    inner = node.args[0] if node.op is Op.NEG else node
    return f"{node.op} infinity" if inner == INFINITY else residue(node, prime, env)


_OPERATIONS: dict[Op, Callable[[Node, int, Values], int]] = {
    Op.NUMBER: _number,
    Op.SYMBOL: _variable,
    Op.POW: _power,
    Op.CONSTANT: _opaque,
    Op.FUNCTION: _opaque,
    Op.APPLY: _opaque,
    Op.DEGREES: _opaque,
    Op.SUM: _series,
    Op.PRODUCT: _series,
    Op.INTEGRAL: _bound,
    Op.LIMIT: _bound,
}
_RATIONAL = frozenset((*_BINARY, *_UNARY, Op.NUMBER, Op.SYMBOL, Op.POW))


def is_rational(node: Node) -> bool:
    """Whether the tree has rational operations only, so that different residues prove a difference."""
    power = Op.POW
    for part in walk(node):
        if part.op not in _RATIONAL:
            return False
        if part.op is power:
            try:
                if exact(part.args[1]).denominator != 1:
                    return False
            except Refused:
                return False
    return True


def same_residues(left: Node, right: Node) -> bool:
    """Whether the trees agree modulo both primes."""
    return all(residue(left, prime) == residue(right, prime) for prime in PRIMES)


def proportional(left: Node, right: Node) -> bool | None:
    """Whether left = c · right with one non-zero constant c; None where that is not a question of rational trees."""
    if not (is_rational(left) and is_rational(right)):
        return None
    names = {part.name for tree in (left, right) for part in walk(tree) if part.op is Op.SYMBOL}
    prime = PRIMES[1]
    ratios = set()
    for point in range(4):
        env = {name: residue_of(f"{point} {name}", prime) for name in names}
        first, second = residue(left, prime, env), residue(right, prime, env)
        if not first or not second:
            return False
        ratios.add(first * _inverse(second, prime) % prime)
    return len(ratios) == 1
