"""The last stage: closed forms of sums, products, integrals and limits, and factors of polynomials, by sympy.

Trees become sympy objects through a closed list of constructors; no text reaches sympy. The work is counted in
Python calls, so that load does not change a verdict; over the budget the stage declines.
"""

from __future__ import annotations

import inspect
import operator
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from types import FrameType
from typing import Any, TypeVar

from selfimprove.answer.exact import BINARY, UNARY, exact
from selfimprove.answer.loading import load_sympy
from selfimprove.answer.precision import digits_of
from selfimprove.answer.tree import BINDERS, Constant, Node, Op, Refused, free_names, walk
from selfimprove.answer.verdict import Finding, Outcome

MAX_CALLS = 600_000
MAX_DIGITS = 60  # of a number in a tree; sympy computes powers and factorials in one long step
MAX_POWER = 60
T = TypeVar("T")
Expression = Any  # sympy has no types


class _OverBudget(BaseException):
    """Raised out of sympy when the budget is spent; not an Exception, so that sympy can't swallow it."""


def same_closed_forms(left: Node, right: Node) -> Finding:
    """Whether two trees agree once sympy has found their closed forms; never raises."""
    load_sympy()
    try:
        gap = _budgeted(lambda: _equal(left, right))
    except _OverBudget:
        return Finding(Outcome.UNPARSED, "algebra", "sympy's budget of calls is spent")
    except Refused as refusal:
        return Finding(Outcome.UNPARSED, "algebra", str(refusal))
    except Exception as error:  # noqa: BLE001 - sympy raises anything on hostile input, and all of it means "not decided"
        return Finding(Outcome.UNPARSED, "algebra", f"sympy declined: {type(error).__name__}")
    if gap is None:
        return Finding(Outcome.UNPARSED, "algebra", "no closed form")
    return Finding(Outcome.of(gap), "algebra", f"{'equal' if gap else 'different'} in closed form")


def real_factors(coefficients: Sequence[Fraction]) -> list[list[Fraction]]:
    """The factors of degree one and two of a polynomial with rational coefficients, each once; the constant first.

    Raises `Refused` where another factor has a real root, or the budget is spent.
    """
    load_sympy()
    import sympy

    def factored() -> list[list[Fraction]]:
        terms = [sympy.Rational(value.numerator, value.denominator) for value in reversed(coefficients)]
        found: list[list[Fraction]] = []
        for factor, _ in sympy.Poly(terms, sympy.Symbol("x")).factor_list()[1]:
            if factor.degree() <= 2:
                found.append([Fraction(int(value.p), int(value.q)) for value in reversed(factor.all_coeffs())])
            elif factor.count_roots():
                raise Refused("roots of a degree above two")
        return found

    if max(value.numerator.bit_length() + value.denominator.bit_length() for value in coefficients) > 200:
        raise Refused("an inequality with long numbers")
    try:
        return _budgeted(factored)
    except _OverBudget:
        raise Refused("sympy's budget of calls is spent") from None


def _budgeted(work: Callable[[], T]) -> T:
    """The result of the work; raises `_OverBudget` where it takes more calls than the budget."""
    calls = 0

    def count(frame: FrameType, event: str, arg: object) -> None:
        nonlocal calls
        calls += 1
        code = frame.f_code
        if calls <= MAX_CALLS or event != "call" or "sympy" not in code.co_filename:
            return
        if code.co_name[0] not in "<_" and not code.co_flags & inspect.CO_GENERATOR:
            raise _OverBudget  # never in a generator or finaliser that is being closed, which would swallow it

    import sympy.core.cache

    sympy.core.cache.clear_cache()  # what was computed before must not change what this costs
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        return work()
    finally:
        sys.setprofile(before)


def _equal(left: Node, right: Node) -> bool | None:
    import sympy

    difference = to_sympy(left).doit() - to_sympy(right).doit()
    if difference.has(sympy.Sum, sympy.Product, sympy.Integral, sympy.Limit, sympy.nan, sympy.zoo, sympy.oo):
        return None
    if difference == 0 or sympy.simplify(difference) == 0:
        return True
    if difference.free_symbols:
        return None
    value = difference.evalf(60, maxn=200)
    return False if value.is_number and abs(value) > sympy.Float("1e-40") else None


def to_sympy(node: Node) -> Expression:
    """The tree as a sympy object, through a closed list of constructors; raises `Refused` at anything else."""
    import sympy

    if node.op is Op.POW:
        _small_power(node)
    if node.op is Op.NUMBER:
        if digits_of(node) > MAX_DIGITS:
            raise Refused("a long number")
        value = exact(node)
        return sympy.Rational(value.numerator, value.denominator)
    if node.op is Op.SYMBOL:
        return sympy.Symbol(node.name, real=True)
    if isinstance(node.value, Constant):
        return getattr(sympy, _CONSTANTS[node.value])
    args = [to_sympy(arg) for arg in node.args]
    if node.op in BINDERS:
        return _bounded(node.op, args)
    if node.op is Op.FUNCTION:
        return _function(node.name, args)
    if node.op not in _ARITHMETIC:
        raise Refused(f"{node.op} has no closed form")
    return _ARITHMETIC[node.op](*args)


def _small_power(node: Node) -> None:
    """Raise `Refused` unless a constant exponent is small: sympy would write the power out."""
    if free_names(node.args[1]):
        return
    try:
        small = abs(exact(node.args[1])) <= MAX_POWER
    except Refused:
        small = not any(part.op in _GROWING for part in walk(node.args[1]))
    if not small:
        raise Refused("a large power")


_GROWING = frozenset((Op.POW, Op.FUNCTION))
_CONSTANTS = {Constant.PI: "pi", Constant.E: "E", Constant.I: "I", Constant.INFINITY: "oo"}
_ARITHMETIC: dict[Op, Callable[..., Expression]] = BINARY | UNARY | {Op.DIV: operator.truediv, Op.POW: operator.pow}
_BOUNDED = {Op.SUM: "Sum", Op.PRODUCT: "Product", Op.INTEGRAL: "Integral"}
_FUNCTIONS = {name: name for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "exp")} | {
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "ln": "log", "log": "log", "abs": "Abs",
    "factorial": "factorial", "binom": "binomial", "root": "root", "floor": "floor", "ceil": "ceiling",
}  # fmt: skip


def _bounded(op: Op, args: list[Expression]) -> Expression:
    import sympy

    if op is Op.LIMIT:
        return sympy.Limit(*args)
    body, variable, low, high = args
    if high.is_Integer and low.is_Integer and op is not Op.INTEGRAL:
        raise Refused("a finite sum or product that the earlier stages declined")
    if body.has(sympy.Sum, sympy.Product):
        raise Refused("sums within sums")
    return getattr(sympy, _BOUNDED[op])(body, (variable, low, high))


def _function(name: str, args: list[Expression]) -> Expression:
    import sympy

    if name not in _FUNCTIONS:
        raise Refused(f"{name} has no closed form")
    if name in ("factorial", "binom") and not all(arg.is_Symbol or (arg.is_Integer and arg < 200) for arg in args):
        raise Refused("a factorial of what is not small")
    return getattr(sympy, _FUNCTIONS[name])(*args)
