"""The last stage: closed forms of sums, products, integrals and limits by sympy.

Trees become sympy objects through a closed list of constructors; no text reaches sympy. The work is counted in
Python calls, so that load does not change a verdict; over the budget the stage declines.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import sys
from functools import lru_cache
from types import FrameType
from typing import Any

from selfimprove.answer.evaluate import digits_of
from selfimprove.answer.exact import exact
from selfimprove.answer.finding import Finding
from selfimprove.answer.tree import Node, Refused, free_names, walk

MAX_CALLS = 1_000_000
MAX_DIGITS = 60  # of a number in a tree; sympy computes powers and factorials in one long step
MAX_POWER = 60


class _OverBudget(BaseException):
    """Raised out of sympy when the budget is spent; not an Exception, so that sympy can't swallow it."""


def same_closed_forms(left: Node, right: Node) -> Finding:
    """Whether two trees agree once sympy has found their closed forms; never raises."""
    try:
        gap = _budgeted(left, right)
    except _OverBudget:
        return Finding("unparsed", "algebra", "sympy's budget of calls is spent")
    except Refused as refusal:
        return Finding("unparsed", "algebra", str(refusal))
    except Exception as error:  # noqa: BLE001 - sympy raises anything on hostile input, and all of it means "not decided"
        return Finding("unparsed", "algebra", f"sympy declined: {type(error).__name__}")
    if gap is None:
        return Finding("unparsed", "algebra", "no closed form")
    return Finding("correct" if gap else "wrong", "algebra", f"{'equal' if gap else 'different'} in closed form")


def _budgeted(left: Node, right: Node) -> bool | None:
    calls = 0

    def count(frame: FrameType, event: str, arg: object) -> None:
        nonlocal calls
        calls += 1
        code = frame.f_code
        if calls > MAX_CALLS and event == "call" and "sympy" in code.co_filename and code.co_name[0] not in "<_":
            raise _OverBudget  # never in a generator or finaliser that is being closed, which would swallow it

    import sympy.core.cache

    _warm()
    sympy.core.cache.clear_cache()  # what was computed before must not change what this costs
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        return _equal(left, right)
    finally:
        sys.setprofile(before)


@lru_cache(maxsize=1)
def _warm() -> None:
    """Make sympy import what it imports late, so that the first verdict costs no more calls than the next."""
    import sympy

    x = sympy.Symbol("x", real=True)
    sympy.Limit(sympy.sin(x) / x, x, 0).doit()
    sympy.Integral(sympy.exp(-(x**2)), (x, 0, sympy.oo)).doit()
    sympy.Sum(1 / x**2, (x, 1, sympy.oo)).doit()
    sympy.simplify(sympy.sin(x) ** 2 + sympy.cos(x) ** 2 - 1)


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


def to_sympy(node: Node) -> Any:  # noqa: ANN401 - sympy has no types
    """The tree as a sympy object, through a closed list of constructors; raises `Refused` at anything else."""
    import sympy

    if node.op == "pow":
        _small_power(node)
    if node.op == "num":
        value = node.value
        if digits_of(node) > MAX_DIGITS:
            raise Refused("a long number")
        return sympy.Rational(value.numerator, value.denominator)  # type: ignore[union-attr]
    if node.op == "sym":
        return sympy.Symbol(str(node.value), real=True)
    if node.op == "const":
        return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "inf": sympy.oo}[str(node.value)]
    args = [to_sympy(arg) for arg in node.args]
    if node.op in ("sum", "prod", "int", "lim"):
        return _bounded(node.op, args)
    if node.op == "func":
        return _function(str(node.value), args)
    if node.op not in _OPERATIONS:
        raise Refused(f"{node.op} has no closed form")
    return _OPERATIONS[node.op](*args)


def _small_power(node: Node) -> None:
    """Raise `Refused` unless a constant exponent is small: sympy would write the power out."""
    if free_names(node.args[1]):
        return
    try:
        small = abs(exact(node.args[1])) <= MAX_POWER
    except Refused:
        small = not any(part.op in ("pow", "func") for part in walk(node.args[1]))
    if not small:
        raise Refused("a large power")


_OPERATIONS: dict[str, Any] = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "pct": lambda a: a / 100,
    "pow": lambda a, b: a**b,
}
_SAME_NAME = frozenset("sin cos tan cot sec csc sinh cosh tanh exp".split())
_NAMES = {
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "ln": "log", "log": "log", "abs": "Abs",
    "factorial": "factorial", "binom": "binomial", "root": "root", "floor": "floor", "ceil": "ceiling",
}  # fmt: skip


def _bounded(op: str, args: list[Any]) -> Any:  # noqa: ANN401 - sympy has no types
    import sympy

    if op == "lim":
        return sympy.Limit(*args)
    body, variable, low, high = args
    maker = {"sum": sympy.Sum, "prod": sympy.Product, "int": sympy.Integral}[op]
    if high.is_Integer and low.is_Integer and op != "int":
        raise Refused("a finite sum or product that the earlier stages declined")
    if body.has(sympy.Sum, sympy.Product):
        raise Refused("sums within sums")
    return maker(body, (variable, low, high))


def _function(name: str, args: list[Any]) -> Any:  # noqa: ANN401 - sympy has no types
    import sympy

    if name not in _SAME_NAME and name not in _NAMES:
        raise Refused(f"{name} has no closed form")
    if name in ("factorial", "binom") and not all(arg.is_Symbol or (arg.is_Integer and arg < 200) for arg in args):
        raise Refused("a factorial of what is not small")
    return getattr(sympy, _NAMES.get(name, name))(*args)
