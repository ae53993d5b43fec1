"""Loading sympy, which takes seconds on a loaded machine, once and late; who keeps a deadline is told.

Most worker processes never need it, so it isn't loaded when they start; and no verdict may hang on how long it took.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache


class Waits:
    """What is called before sympy is loaded, and after; nothing by default."""

    before: Callable[[], None] = staticmethod(lambda: None)
    after: Callable[[], None] = staticmethod(lambda: None)


@lru_cache(maxsize=1)
def load_sympy() -> None:
    """Import sympy and what it imports late itself, so that the first verdict costs no more calls than the next."""
    Waits.before()
    import sympy

    x = sympy.Symbol("x", real=True)
    sympy.Limit(sympy.sin(x) / x, x, 0).doit()
    sympy.Integral(sympy.exp(-(x**2)), (x, 0, sympy.oo)).doit()
    for term in (1 / x**2, 1 / 2**x, 1 / sympy.factorial(x)):
        sympy.Sum(term, (x, 1, sympy.oo)).doit()
    sympy.simplify(sympy.sin(x) ** 2 + sympy.cos(x) ** 2 - 1)
    Waits.after()
