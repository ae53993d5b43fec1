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
from collections.abc import Mapping

from selfimprove.answer.exact import exact, series_range
from selfimprove.answer.steps import spend
from selfimprove.answer.tree import Node, Refused, walk

PRIMES = (2**61 - 1, 2**89 - 1)
_RATIONAL = frozenset(("num", "sym", "add", "mul", "div", "neg", "pow", "pct"))
_EMPTY: Mapping[str, int] = {}


def residue_of(seed: str, prime: int) -> int:
    """A fixed pseudo-random residue for a name."""
    digest = hashlib.blake2b(seed.encode("utf-8", "replace"), digest_size=16).digest()
    return int.from_bytes(digest, "big") % prime


def residue(node: Node, prime: int, env: Mapping[str, int] = _EMPTY) -> int:
    """The value of the tree modulo the prime; raises `Refused` on infinity or a division by zero."""
    op = node.op
    spend()
    if op == "num":
        value = exact(node)
        return value.numerator * _inverse(value.denominator, prime) % prime
    if op == "sym":
        name = str(node.value)
        return env[name] if name in env else residue_of(f"sym {name}", prime)
    if op in ("add", "mul", "div", "neg", "pct"):
        return _arithmetic(op, [residue(arg, prime, env) for arg in node.args], prime)
    if op == "pow":
        return _power(node.args[0], node.args[1], prime, env)
    if op == "const" and node.value == "inf":
        raise Refused("infinity in a computation")
    if op == "func" and node.value == "root":
        return _root(node, prime, env)
    return _opaque(node, prime, env)


def _inverse(value: int, prime: int) -> int:
    if value % prime == 0:
        raise Refused("it divides by zero")
    return pow(value, -1, prime)


def _arithmetic(op: str, values: list[int], prime: int) -> int:
    if op == "neg":
        return -values[0] % prime
    if op == "pct":
        return values[0] * _inverse(100, prime) % prime
    left, right = values
    if op == "add":
        return (left + right) % prime
    return left * (right if op == "mul" else _inverse(right, prime)) % prime


def _power(base: Node, exponent: Node, prime: int, env: Mapping[str, int]) -> int:
    value = residue(base, prime, env)
    if value == 1 and base.op == "num":
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


def _root(node: Node, prime: int, env: Mapping[str, int]) -> int:
    order = exact(node.args[1])
    if order.denominator != 1 or order < 1:
        raise Refused("a root of an order that is no positive integer")
    return residue_of(f"root {residue(node.args[0], prime, env)} {int(order):x}", prime)


def _opaque(node: Node, prime: int, env: Mapping[str, int]) -> int:
    if node.op in ("sum", "prod") and len(node.args) == 4:
        return _series(node, prime, env)
    if node.op not in ("func", "apply", "const", "deg"):
        raise Refused(f"{node.op} is not a number")
    try:
        value = exact(node)
    except Refused:
        args = [residue(arg, prime, env) for arg in node.args]
        return residue_of(f"{node.op} {node.value} {args}", prime)
    return value.numerator * _inverse(value.denominator, prime) % prime


def _series(node: Node, prime: int, env: Mapping[str, int]) -> int:
    body, index, low, high = node.args
    name = str(index.value)
    try:
        steps = series_range(exact(low), exact(high))
    except Refused:
        bounds = [residue(arg, prime, env) for arg in (low, high)]
        inner = residue(body, prime, {**env, name: residue_of("bound", prime)})
        return residue_of(f"{node.op} {inner} {bounds}", prime)
    if len(steps) > 200:
        raise Refused("a long sum")
    total = int(node.op == "prod")
    for step in steps:
        term = residue(body, prime, {**env, name: step % prime})
        total = (total + term if node.op == "sum" else total * term) % prime
    return total


def is_rational(node: Node) -> bool:
    """Whether the tree has rational operations only, so that different residues prove a difference."""
    for part in walk(node):
        if part.op not in _RATIONAL:
            return False
        if part.op == "pow":
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
    ratios = set()
    prime = PRIMES[1]
    for point in range(4):
        env = {
            str(n.value): residue_of(f"{point} {n.value}", prime)
            for tree in (left, right)
            for n in walk(tree)
            if n.op == "sym"
        }
        first, second = residue(left, prime, env), residue(right, prime, env)
        if not first or not second:
            return False
        ratios.add(first * _inverse(second, prime) % prime)
    return len(ratios) == 1
