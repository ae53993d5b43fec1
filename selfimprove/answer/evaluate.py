"""Real and complex evaluation with many digits, where a zero shows by shrinking.

Two trees are evaluated at 50 and at 150 digits (more, if the constants in them are long). Their difference is zero
if it shrinks with the precision, and not zero if it stays the same: no tolerance is involved, so 0.6667 is
not 2/3 and e^(pi sqrt 163) is not an integer. Trees with variables are compared at fixed points, positive and
negative, in the real domain: a point where one side is not real is no evidence. Odd roots of negative numbers
are real. Arguments that would overflow are refused before they are computed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from selfimprove.answer.exact import BINARY, UNARY, Values, exact, series_range
from selfimprove.answer.identity import residue_of
from selfimprove.answer.steps import spend
from selfimprove.answer.tree import IMAGINARY, INFINITY, Node, Op, Refused, free_names, number, walk

DIGITS = (50, 150, 400)
MAX_EXPONENT = 100_000  # of e in a result
MAX_ANGLE = 1e30
POINTS = 14
_LOCK = threading.Lock()  # an mpmath context changes its own precision while it works

Context = Any  # mpmath has no types
Value = Any  # a real or complex number of a context


@lru_cache(maxsize=16)
def _context(digits: int) -> Context:
    import mpmath

    context = mpmath.MPContext()
    context.dps = digits
    return context


def evaluate(node: Node, env: Values, ctx: Context) -> Value:
    """The value of the tree in the context; raises `Refused` where it has none or would be too large."""
    spend(ctx.dps // 10)
    operation = _OPERATIONS.get(node.op)
    if operation is not None:
        return operation(node, env, ctx)
    args = [evaluate(arg, env, ctx) for arg in node.args]
    if node.op in BINARY:
        return BINARY[node.op](*args)
    return UNARY[node.op](*args) if node.op in UNARY else _refuse(node, env, ctx)


def _refuse(node: Node, env: Values, ctx: Context) -> Value:
    raise Refused(f"{node.op} can't be evaluated")


def _rational(node: Node, env: Values, ctx: Context) -> Value:
    value = exact(node, env)
    return ctx.mpf(value.numerator) / value.denominator


def _constant(node: Node, env: Values, ctx: Context) -> Value:
    if node == INFINITY:
        raise Refused("infinity in a computation")
    return ctx.mpc(0, 1) if node == IMAGINARY else +getattr(ctx, node.name)


def _degrees(node: Node, env: Values, ctx: Context) -> Value:
    return evaluate(node.args[0], env, ctx) * ctx.pi / 180


def _power(node: Node, env: Values, ctx: Context) -> Value:
    base = evaluate(node.args[0], env, ctx)
    try:
        exponent = exact(node.args[1], env)
    except Refused:
        return _general_power(base, evaluate(node.args[1], env, ctx), ctx)
    if exponent.denominator == 1 and abs(exponent) <= 10_000 and base != 0:
        _bound(abs(ctx.log(abs(base)) * int(exponent)))
        return base ** int(exponent)
    if exponent.denominator % 2 and exponent.denominator > 1 and ctx.im(base) == 0 and ctx.re(base) < 0:
        root = -((-ctx.re(base)) ** (ctx.mpf(1) / exponent.denominator))
        return root ** int(exponent.numerator)
    return _general_power(base, ctx.mpf(exponent.numerator) / exponent.denominator, ctx)


def _general_power(base: Value, exponent: Value, ctx: Context) -> Value:
    if base == 0:
        if ctx.im(exponent) == 0 and ctx.re(exponent) > 0:
            return ctx.mpf(0)
        raise Refused("zero to a power that is not positive")
    _bound(abs(exponent * ctx.log(base)))
    return ctx.power(base, exponent)


def _bound(size: Value) -> None:
    if not size <= MAX_EXPONENT:
        raise Refused(f"a power above e^{MAX_EXPONENT}")


def _series(node: Node, env: Values, ctx: Context) -> Value:
    body, index, low, high = node.args
    is_product = node.op is Op.PRODUCT
    total = ctx.mpf(is_product)
    for step in series_range(exact(low, env), exact(high, env)):
        term = evaluate(body, {**env, index.name: Fraction(step)}, ctx)
        total = total * term if is_product else total + term
    return total


def _function(node: Node, env: Values, ctx: Context) -> Value:
    name = node.name
    args = [evaluate(arg, env, ctx) for arg in node.args]
    if len(args) < (2 if name in _OF_TWO else 1):
        raise Refused(f"{name} of too little")
    if name == "root":
        radicand, order = node.args
        return _power(Node(Op.POW, (radicand, Node(Op.DIV, (number(1), order)))), env, ctx)
    if name in _LOGARITHMS:
        return _logarithm(name, args, ctx)
    if name == "cis":
        return ctx.cos(args[0]) + ctx.mpc(0, 1) * ctx.sin(args[0])
    if name == "exp":
        _bound(abs(args[0]))
        return ctx.exp(args[0])
    if name in _OF_INTEGERS or name == "Gamma":
        return _gamma(name, args, ctx)
    if name == "abs":
        return abs(args[0])
    if name in _ORDERED:
        return _ordered(name, args, ctx)
    return _trigonometric(name, args, ctx)


_OF_TWO = frozenset(("root", "binom"))
_LOGARITHMS = frozenset(("log", "ln", "lg"))
_OF_INTEGERS = frozenset(("factorial", "factorial2", "binom", "gcd", "lcm"))


def _logarithm(name: str, args: list[Value], ctx: Context) -> Value:
    base = args[1] if len(args) == 2 else 10 if name == "lg" else None
    if args[0] == 0 or base in (0, 1):
        raise Refused("a logarithm without a value")
    return ctx.log(args[0]) if base is None else ctx.log(args[0]) / ctx.log(base)


def _gamma(name: str, args: list[Value], ctx: Context) -> Value:
    if any(ctx.im(arg) != 0 or not 0 <= ctx.re(arg) <= 100_000 for arg in args):
        raise Refused("a factorial out of bounds")
    if name == "Gamma":
        return ctx.gamma(args[0])
    if name in ("factorial", "factorial2"):
        return ctx.factorial(args[0]) if name == "factorial" else ctx.fac2(args[0])
    if name == "binom":
        return ctx.binomial(args[0], args[1])
    raise Refused(f"{name} of what is not an integer")


def _ordered(name: str, args: list[Value], ctx: Context) -> Value:
    if any(ctx.im(arg) != 0 for arg in args):
        raise Refused("an order of complex numbers")
    real = [ctx.re(arg) for arg in args]
    if name in ("min", "max"):
        return min(real) if name == "min" else max(real)
    return getattr(ctx, "sign" if name == "sgn" else name)(real[0])


_ORDERED = frozenset(("min", "max", "floor", "ceil", "sgn"))


def _trigonometric(name: str, args: list[Value], ctx: Context) -> Value:
    if len(args) != 1 or (name not in _CIRCULAR and name not in _HYPERBOLIC and name not in _INVERSES):
        raise Refused(f"{name} can't be evaluated")
    if name in _HYPERBOLIC:
        _bound(abs(args[0]))
    if not abs(args[0]) <= MAX_ANGLE or not abs(ctx.im(args[0])) <= 1000:
        raise Refused("an angle out of bounds")
    try:
        return getattr(ctx, _INVERSES.get(name, name))(args[0])
    except (ZeroDivisionError, ValueError):
        raise Refused(f"{name} has no value there") from None


_CIRCULAR = frozenset(("sin", "cos", "tan", "cot", "sec", "csc"))
_HYPERBOLIC = frozenset(("sinh", "cosh", "tanh", "coth"))
_INVERSES = {
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arccot": "acot", "arcsec": "asec", "arccsc": "acsc",
    "arsinh": "asinh", "arcosh": "acosh", "artanh": "atanh",
}  # fmt: skip


def _unknown(node: Node, env: Values, ctx: Context) -> Value:
    """A fixed smooth function in place of one that is not known."""
    total = ctx.mpf(0)
    args = [evaluate(arg, env, ctx) for arg in node.args]
    for at, arg in enumerate(args):
        if not abs(arg) <= 1000:
            raise Refused("an argument out of bounds")
        first, second = (1 + residue_of(f"apply {node.name} {at} {k}", 9973) / ctx.mpf(9973) for k in (0, 1))
        total += ctx.sin(first * arg) + second * arg**2
    return total


_OPERATIONS: dict[Op, Callable[[Node, Values, Context], Value]] = {
    Op.NUMBER: _rational,
    Op.SYMBOL: _rational,
    Op.CONSTANT: _constant,
    Op.DEGREES: _degrees,
    Op.POW: _power,
    Op.SUM: _series,
    Op.PRODUCT: _series,
    Op.FUNCTION: _function,
    Op.APPLY: _unknown,
    Op.INTEGRAL: _refuse,
    Op.LIMIT: _refuse,
}


def digits_of(*trees: Node) -> int:
    """Decimal digits of the constants in the trees, added to the working precision; raises `Refused` over 3,000."""
    size = 0
    for tree in trees:
        for part in walk(tree):
            if part.op in _SIZED:
                try:
                    value = exact(part)
                except Refused:
                    continue
                size += (value.numerator.bit_length() + value.denominator.bit_length()) // 4
    if size > 3_000:
        raise Refused("its constants are too long")
    return size


_SIZED = frozenset((Op.NUMBER, Op.POW))
_SCALES = (Fraction(1), Fraction(1), Fraction(1, 9), Fraction(4), Fraction(1, 3), Fraction(4), Fraction(1, 2))


def _reach(*trees: Node) -> Fraction:
    """How far out points must lie to reach both sides of every absolute value and step: beyond all constants."""
    parts = [part for tree in trees for part in walk(tree)]
    if not any(part.args and part.op is Op.FUNCTION and part.value in _STEPS for part in parts):
        return Fraction(1)
    sizes = [abs(part.value) for part in parts if isinstance(part.value, Fraction)]
    return min(max([Fraction(1), *sizes]), Fraction(10**6))


_STEPS = frozenset(("abs", "floor", "ceil", "min", "max", "sgn", "root"))


def _point(names: frozenset[str], whole: frozenset[str], at: int, reach: Fraction) -> dict[str, Fraction]:
    """The values of the variables at the `at`-th point."""
    env: dict[str, Fraction] = {}
    for name in names:
        draw = residue_of(f"point {at} {name}", 2**31 - 1)
        if name in whole:
            env[name] = Fraction(3 + at + draw % 9)
        else:
            size = Fraction(draw % 9_000 + 300, 9_973) * reach * _SCALES[at % len(_SCALES)]
            env[name] = -size if at % 2 and (at == 1 or draw & 64) else size
    return env


_SERIES = frozenset((Op.SUM, Op.PRODUCT))


def _integer_names(*trees: Node) -> frozenset[str]:
    """The variables that stand for integers: inside factorials, binomials and bounds of sums."""
    found: set[str] = set()
    for tree in trees:
        for part in walk(tree):
            if part.op is Op.FUNCTION and part.value in _OF_INTEGERS:
                found |= free_names(part)
            elif part.op in _SERIES:
                found |= free_names(part.args[2]) | free_names(part.args[3])
            elif part.op is Op.POW and part.args[0].op is Op.NEG and not free_names(part.args[0]):
                found |= free_names(part.args[1])
    return frozenset(found)


def _differs(left: Node, right: Node, env: Values, extra: int, *, real: bool) -> bool | None:
    """Whether the trees differ at one point; None if one of them has no (real) value there."""
    gaps: list[tuple[Value, Value]] = []
    for digits in DIGITS:
        ctx = _context(digits + extra)
        first, second = evaluate(left, env, ctx), evaluate(right, env, ctx)
        if real and (_is_complex(first, ctx) or _is_complex(second, ctx)):
            return None
        gaps.append((abs(first - second), max(abs(first), abs(second))))
        verdict = _shrinks(gaps, ctx, extra)
        if verdict is not None:
            return not verdict
    raise Refused("the digits do not settle it")


def _is_complex(value: Value, ctx: Context) -> bool:
    return bool(abs(ctx.im(value)) > abs(value) * ctx.mpf(10) ** -30)


def _shrinks(gaps: list[tuple[Value, Value]], ctx: Context, extra: int) -> bool | None:
    """True for a difference that is zero, False for one that is not, None while it is open."""
    gap, size = gaps[-1]
    if len(gaps) == 1:
        tiny = ctx.mpf(10) ** -20
        return False if gap > size * tiny and size > tiny else None
    if gap == 0 or gap <= size * ctx.mpf(10) ** -(100 + extra):
        return True
    before = gaps[-2][0]
    if gap <= before * ctx.mpf(10) ** -60:
        return True
    return False if abs(gap - before) <= gap / 1000 else None


def agree(left: Node, right: Node) -> bool:
    """Whether the trees have the same value at every point tried; raises `Refused` if too few points have a value."""
    names = free_names(left) | free_names(right)
    whole = _integer_names(left, right) & names
    complex_too = not names or any(n == IMAGINARY for tree in (left, right) for n in walk(tree))
    extra = digits_of(left, right)
    reach = _reach(left, right)
    seen = 0
    reason = "no point where both sides are real"
    with _LOCK:
        for at in range(POINTS if names else 1):
            try:
                differs = _differs(left, right, _point(names, whole, at, reach), extra, real=not complex_too)
            except Refused as refusal:
                reason = str(refusal)
                continue
            if differs:
                return False
            seen += differs is False
    if seen >= (3 if names else 1):
        return True
    raise Refused(reason)


def sign_of(left: Node, right: Node) -> int:
    """-1, 0 or 1 as left is below, at or above right; both are real constants that are known to differ."""
    try:
        first, second = exact(left), exact(right)
        return (first > second) - (first < second)
    except Refused:
        pass
    with _LOCK:
        ctx = _context(DIGITS[1] + digits_of(left, right))
        gap = evaluate(left, {}, ctx) - evaluate(right, {}, ctx)
        if _is_complex(gap, ctx):
            raise Refused("an order of complex numbers")
        return int(ctx.sign(ctx.re(gap)))


def near(left: Node, right: Node) -> bool:
    """Whether two constants are within 5 % of each other, as around ≈ they must be; True if that can't be seen."""
    try:
        with _LOCK:
            ctx = _context(DIGITS[0])
            first, second = evaluate(left, {}, ctx), evaluate(right, {}, ctx)
            return bool(abs(first - second) <= max(abs(first), abs(second)) / 20)
    except Refused:
        return True
