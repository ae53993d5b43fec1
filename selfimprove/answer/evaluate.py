"""The real or complex value of a tree with many digits.

Odd roots of negative numbers are real. Arguments that would overflow are refused before they are computed. While a
value is computed the sizes of all values on the way to it are noted (`sizes`): `precision` takes from them how many
digits a comparison needs.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from selfimprove.answer.exact import BINARY, UNARY, Values, exact, series_range
from selfimprove.answer.identity import residue_of
from selfimprove.answer.steps import spend
from selfimprove.answer.tree import IMAGINARY, INFINITY, Node, Op, Refused, number

MAX_EXPONENT = 100_000  # of e in a result
MAX_ANGLE = 1e30

Context = Any  # mpmath has no types
Value = Any  # a real or complex number of a context


@lru_cache(maxsize=64)
def context_of(digits: int) -> Context:
    """An mpmath context that works with this many decimal digits; `sizes` is its list of sizes in bits."""
    import mpmath

    context = mpmath.MPContext()
    context.dps = digits
    context.sizes = []
    return context


def evaluate(node: Node, env: Values, ctx: Context) -> Value:
    """The value of the tree in the context; raises `Refused` where it has none or would be too large."""
    spend(ctx.dps // 10 if ctx.dps <= 400 else ctx.dps * ctx.dps // 4_000)
    operation = _OPERATIONS.get(node.op)
    if operation is not None:
        value = operation(node, env, ctx)
    else:
        args = [evaluate(arg, env, ctx) for arg in node.args]
        if node.op in BINARY:
            value = BINARY[node.op](*args)
        else:
            value = UNARY[node.op](*args) if node.op in UNARY else _refuse(node, env, ctx)
    ctx.sizes.append(ctx.mag(value) if value else 0)
    return value


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
    if name in OF_INTEGERS or name == "Gamma":
        return _gamma(name, args, ctx)
    if name == "abs":
        return abs(args[0])
    if name in _ORDERED:
        return _ordered(name, args, ctx)
    return _trigonometric(name, args, ctx)


_OF_TWO = frozenset(("root", "binom"))
_LOGARITHMS = frozenset(("log", "ln", "lg"))
OF_INTEGERS = frozenset(("factorial", "factorial2", "binom", "gcd", "lcm"))


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
        ctx.sizes.append(int(abs(args[0]) * 3))  # e to twice the argument, in bits: how close to 1 a tangent is
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
