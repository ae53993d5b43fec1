"""Whether two trees have the same value, seen by the digits of their difference.

Two trees are evaluated at 50 and at 150 digits (more, if the constants in them are long). Their difference is zero
if it shrinks with the precision, and not zero if it stays the same: no tolerance is involved, so 0.6667 is
not 2/3 and e^(pi sqrt 163) is not an integer. What is absorbed is not zero either: 2 + e^-1000 and 2 agree in their
first 400 digits. So the sizes of all values on the way decide how many digits a zero takes; where that is more than
`MAX_DIGITS`, the question stays open. A size that changes with the precision is that of a rounding error.

Trees with variables are compared at fixed points, positive and negative, in the real domain: a point where one side
is not real is no evidence.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fractions import Fraction

from selfimprove.answer.evaluate import OF_INTEGERS, Context, Value, context_of, evaluate
from selfimprove.answer.exact import Values, exact
from selfimprove.answer.identity import residue_of
from selfimprove.answer.tree import IMAGINARY, Node, Op, Refused, free_names, walk

DIGITS = (50, 150, 400)
MAX_DIGITS = 3_000
POINTS = 14
_LOCK = threading.Lock()  # an mpmath context changes its own precision while it works


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
            if part.op is Op.FUNCTION and part.value in OF_INTEGERS:
                found |= free_names(part)
            elif part.op in _SERIES:
                found |= free_names(part.args[2]) | free_names(part.args[3])
            elif part.op is Op.POW and part.args[0].op is Op.NEG and not free_names(part.args[0]):
                found |= free_names(part.args[1])
    return frozenset(found)


@dataclass(frozen=True, kw_only=True)
class _Gap:
    """The difference of two values at one precision, the larger of them, and the sizes of all values on the way."""

    width: Value
    size: Value
    digits: int
    sizes: list[int]


def _differs(left: Node, right: Node, env: Values, extra: int, *, real: bool) -> bool | None:
    """Whether the trees differ at one point; None if one of them has no (real) value there."""
    gaps: list[_Gap] = []
    levels = [digits + extra for digits in DIGITS]
    for digits in levels:
        ctx = context_of(digits)
        ctx.sizes.clear()
        first, second = evaluate(left, env, ctx), evaluate(right, env, ctx)
        if real and (_is_complex(first, ctx) or _is_complex(second, ctx)):
            return None
        size = max(abs(first), abs(second))
        gaps.append(_Gap(width=abs(first - second), size=size, digits=digits, sizes=list(ctx.sizes)))
        if len(gaps) == 1:
            if gaps[0].width > size * ctx.mpf(10) ** -20 and size > ctx.mpf(10) ** -20:
                return True
            continue
        needed = _digits_needed(gaps[0], gaps[1])
        if needed > MAX_DIGITS:
            raise Refused("the digits do not settle it")
        if needed > levels[-1]:
            levels.append(needed)
        verdict = _is_zero(gaps, ctx, needed)
        if verdict is not None:
            return not verdict
    raise Refused("the digits do not settle it")


def _digits_needed(one: _Gap, two: _Gap) -> int:
    """How many digits show a difference that the largest and smallest values on the way can make or hide."""
    stable = [abs(size) for size, other in zip(one.sizes, two.sizes, strict=False) if abs(size - other) <= 2]
    return 100 + 4 * int(max(stable, default=0) * 0.302)


def _is_zero(gaps: list[_Gap], ctx: Context, needed: int) -> bool | None:
    """True for a difference that is zero, False for one that is not, None while it is open."""
    gap, before = gaps[-1], gaps[-2]
    noise = ctx.mpf(10)
    shrinks = gap.width <= gap.size * noise ** -(2 * gap.digits // 3) or (
        gap.width <= before.width * noise ** -((gap.digits - before.digits) * 6 // 10)
    )
    if shrinks or gap.width == 0:
        return True if needed <= gap.digits else None
    return False if abs(gap.width - before.width) <= gap.width / 1000 else None


def _is_complex(value: Value, ctx: Context) -> bool:
    return bool(abs(ctx.im(value)) > abs(value) * ctx.mpf(10) ** -30)


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
        ctx = context_of(DIGITS[1] + digits_of(left, right))
        ctx.sizes.clear()
        gap = evaluate(left, {}, ctx) - evaluate(right, {}, ctx)
        if _is_complex(gap, ctx):
            raise Refused("an order of complex numbers")
        if abs(gap) <= ctx.mpf(10) ** -(DIGITS[1] // 2):
            raise Refused("an order that the digits do not settle")
        return int(ctx.sign(ctx.re(gap)))


def within(left: Node, right: Node, distance: Fraction) -> bool:
    """Whether two constants are at most this far apart; False if that can't be seen."""
    left, right = (node.args[0] if node.op in (Op.UNIT, Op.NAMED) else node for node in (left, right))
    try:
        with _LOCK:
            ctx = context_of(DIGITS[0])
            ctx.sizes.clear()
            return bool(
                abs(evaluate(left, {}, ctx) - evaluate(right, {}, ctx))
                <= ctx.mpf(distance.numerator) / distance.denominator
            )
    except Refused:
        return False


def near(left: Node, right: Node) -> bool:
    """Whether two constants are within 5 % of each other, as around ≈ they must be; True if that can't be seen."""
    try:
        with _LOCK:
            ctx = context_of(DIGITS[0])
            ctx.sizes.clear()
            first, second = evaluate(left, {}, ctx), evaluate(right, {}, ctx)
            return bool(abs(first - second) <= max(abs(first), abs(second)) / 20)
    except Refused:
        return True
