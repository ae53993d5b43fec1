"""Atoms of the grammar: numbers, brackets, commands.

The list of commands is closed: each has a function here, and one that is not listed is unreadable. A letter before a
bracket is a product, except `f`, `g` and `h`, which are unknown functions.
"""

from __future__ import annotations

import re
from fractions import Fraction

from selfimprove.answer.environments import big, environment
from selfimprove.answer.parse import Parser, subscript
from selfimprove.answer.tokens import Token
from selfimprove.answer.tree import (
    ROUND,
    Brackets,
    Constant,
    Join,
    Node,
    Op,
    Unit,
    Unreadable,
    call,
    negative,
    number,
    symbol,
)
from selfimprove.answer.words import CONSTANTS, FUNCTIONS, GREEK, TRIG

_UNKNOWN_FUNCTIONS = frozenset("fghFGH")
_CLOSERS = {"(": (")", "]"), "[": ("]", ")"), "\\langle": ("\\rangle",), "\\lbrack": ("]", ")")}
_REPEATING = re.compile(r"(\d*)\.(\d*)\\(?:overline|bar|dot)\s?\{?(\d+)\}?")
_SEGMENTS = ("overline", "overrightarrow", "vec", "hat", "bar", "widehat", "tilde", "angle", "triangle", "underline")


def read_atom(parser: Parser) -> Node:
    """The atom at the parser's position; raises `Unreadable` if none starts there."""
    token = parser.peek()
    if token.kind == "num":
        return _number(parser)
    if token.kind == "rep":
        return _repeating(parser.take())
    if token.kind == "sym":
        return _variable(parser)
    if token.kind == "cmd":
        return _command(parser)
    if token.kind == "env":
        return environment(parser)
    if token.kind == "domain":
        return Node(Op.DOMAIN, (), parser.take().text)
    if token.kind == "text":
        return Node(Op.TEXT, (), parser.take().text)
    if token.kind == "op":
        return _bracket(parser)
    raise Unreadable(f"unexpected {token.text[:20]!r}" if token.text else "the answer breaks off")


def _number(parser: Parser) -> Node:
    token = parser.take()
    if parser.peek().text == "_" and token.text.isdigit():
        parser.take()
        base = subscript(parser)
        if not base.isdigit():
            raise Unreadable("a number with a subscript that is no base")
        return Node(Op.BASED, (number(int(base)),), token.text)
    if token.text.isdigit():
        return number(int(token.text))
    mantissa, _, exponent = token.text.lower().partition("e")
    if len(exponent) > 4 or abs(int(exponent or "0")) > 1000:
        raise Unreadable("a power of ten that is too large")
    return number(Fraction(mantissa) * Fraction(10) ** int(exponent or "0"))


def _repeating(token: Token) -> Node:
    match = _REPEATING.fullmatch(token.text)
    if match is None:
        raise Unreadable("a repeating decimal that is not one")
    whole, fixed, cycle = match.groups()
    scale = 10 ** len(fixed)
    head = Fraction(int((whole or "0") + fixed), scale)
    return number(head + Fraction(int(cycle), scale * (10 ** len(cycle) - 1)))


def _variable(parser: Parser) -> Node:
    token = parser.peek()
    follows = parser.peek(1).text
    if _heads_definition(parser):
        name, inner = parser.name(), _sequence(parser, "(")
        return Node(Op.APPLY, inner.args if inner.op is Op.SEQUENCE else (inner,), name.value)
    if token.text == "C" and _chooses(parser):
        parser.take()
        return call("binom", *_sequence(parser, "(").args)
    if token.text in _UNKNOWN_FUNCTIONS and (follows == "(" or (follows == "'" and parser.peek(2).text == "(")):
        name = parser.name()
        inner = _sequence(parser, "(")
        return Node(Op.APPLY, inner.args if inner.op is Op.SEQUENCE else (inner,), name.value)
    name = parser.name()
    return Node(Op.CONSTANT, (), Constant(name.name)) if name.value in ("e", "i") else name


def _chooses(parser: Parser) -> bool:
    """Whether `C(10, 3)` stands here, ten choose three."""
    signs = [parser.peek(at) for at in range(1, 6)]
    return (
        [sign.text for sign in signs[::2]] == ["(", ",", ")"]
        and signs[1].text.isdigit()
        and signs[3].text.isdigit()
        and int(signs[1].text) > int(signs[3].text)
    )


def _heads_definition(parser: Parser) -> bool:
    """Whether `y(t) =` stands here, a name with its arguments, first in its relation."""
    if parser.peek(1).text not in ("(", "_", "'") or (parser.at and parser.tokens[parser.at - 1].text not in _STARTS):
        return False
    at = 1
    while parser.peek(at).text == "'":
        at += 1
    if parser.peek(at).text == "_":
        at += 2
    while parser.peek(at).text == "'":
        at += 1
    if parser.peek(at).text != "(":
        return False
    while parser.peek(at).text in ("(", ",") and (
        parser.peek(at + 1).kind in ("sym", "num") or parser.peek(at + 1).text[1:] in GREEK
    ):
        at += 2
    return parser.peek(at).text == ")" and parser.peek(at + 1).text in ("=", ":=")


_STARTS = frozenset(("=", ",", ";", "and", "or", "{", "\\{", "&", "\\\\"))


def _bracket(parser: Parser) -> Node:
    text = parser.peek().text
    if text in ("(", "["):
        return _sequence(parser, text)
    if text in ("{", "\\{"):
        parser.take()
        return _braces(parser, "}" if text == "{" else "\\}")
    if text == "|":
        return _bars(parser)
    raise Unreadable(f"unexpected {text!r}")


def _braces(parser: Parser, closer: str) -> Node:
    if parser.accept(closer):
        if closer != "\\}":
            raise Unreadable("an empty group")
        return Node(Op.EMPTY)
    if parser.peek().kind == "env" and closer == "\\}":
        return _system(parser, closer)
    if closer != "}" and (skip := _builder(parser)):
        parser.at += skip
        node = parser.nested(parser.items)
        parser.expect(closer)
        return Node(Op.LIST, node.args, Join.AND) if node.value is Join.COMMA else node
    bars, parser.bars = parser.bars, 0
    node = parser.nested(parser.items)
    if parser.accept("\\choose"):
        node = call("binom", node, parser.nested(parser.items))
    elif parser.accept("\\over"):
        node = Node(Op.DIV, (node, parser.nested(parser.items)))
    if parser.peek().text in ("|", "\\mid", ":"):
        raise Unreadable("a set given by a condition")
    parser.bars = bars
    parser.expect(closer)
    if node.op is Op.LIST:
        return Node(Op.SET, node.args)
    if node.op is Op.EMPTY and closer == "\\}":
        raise Unreadable("a set of sets")
    return Node(Op.SET, (node,)) if closer == "\\}" else node


def _system(parser: Parser, closer: str) -> Node:
    """Equations under one brace, which may be left open."""
    node = parser.nested(parser.items)
    parser.accept(closer)
    return node if node.op in (Op.LIST, Op.RELATION) else Node(Op.SET, (node,))


def _builder(parser: Parser) -> int:
    """How many tokens of `x |` or `x in R |` open a set given by a condition; 0 if it is not one."""
    if parser.peek().kind != "sym":
        return 0
    at = 3 if parser.peek(1).text == "\\in" and parser.peek(2).kind == "domain" and "R" in parser.peek(2).text else 1
    return at + 1 if parser.peek(at).text in ("|", "\\mid", ":", "\\colon") else 0


def _sequence(parser: Parser, opener: str) -> Node:
    """A bracketed group, or a sequence with its two brackets as value."""
    parser.take()
    closers = _CLOSERS[opener]
    if parser.accept(*closers):
        return Node(Op.SEQUENCE, (), Brackets(opener, closers[0]))
    bars, parser.bars = parser.bars, 0
    node = parser.nested(parser.items)
    parser.bars = bars
    closer = parser.take().text
    if closer not in closers:
        raise Unreadable(f"expected {closers[0]!r}")
    brackets = ROUND if opener == "\\langle" else Brackets("(" if opener == "(" else "[", closer)
    if node.op is Op.LIST:
        return Node(Op.SEQUENCE, node.args, brackets)
    if str(brackets) in ("(]", "[)"):
        raise Unreadable("an interval with one end")
    return node


def _bars(parser: Parser) -> Node:
    parser.take()
    bars, parser.bars = parser.bars, 1
    inner = parser.nested(parser.sum)
    parser.bars = bars
    parser.expect("|")
    return call("det" if inner.op is Op.MATRIX else "abs", inner)


def _command(parser: Parser) -> Node:
    name = parser.peek().text[1:]
    if (name in FUNCTIONS and name not in ("sqrt", "Gamma")) or (name == "Gamma" and parser.peek(1).text == "("):
        parser.take()
        return _function(parser, name)
    if name in GREEK:
        token = parser.take()
        parser.tokens[parser.at - 1] = Token("sym", token.text, token.gap)
        parser.at -= 1
        return _variable(parser)
    if name in CONSTANTS:
        parser.take()
        return Node(Op.CONSTANT, (), CONSTANTS[name])
    parser.take()
    return _structure(parser, name)


def _structure(parser: Parser, name: str) -> Node:
    if name in ("frac", "binom"):
        top = _argument(parser)
        bottom = _argument(parser)
        return Node(Op.DIV, (top, bottom)) if name == "frac" else call("binom", top, bottom)
    if name in ("sqrt", "cbrt"):
        return _root(parser, 3 if name == "cbrt" else 2)
    if name in ("sum", "prod", "int", "lim"):
        return big(parser, Op(name))
    if name in ("emptyset", "varnothing"):
        return Node(Op.EMPTY)
    if name in ("ldots", "dots", "cdots", "dotsc"):
        return Node(Op.DOTS)
    if name in _SEGMENTS:
        return _segment(parser, name)
    if name in ("dollar", "euro", "pound", "yen"):
        return Node(Op.UNIT, (parser.factor(),), Unit((name,)))
    return _delimited(parser, name)


def _delimited(parser: Parser, name: str) -> Node:
    if name in ("langle", "lbrack"):
        parser.at -= 1
        return _sequence(parser, "\\" + name)
    if name == "lbrace":
        return _braces(parser, "\\rbrace")
    if name in ("lfloor", "lceil"):
        inner = parser.nested(parser.sum)
        parser.expect("\\r" + name[1:])
        return call(name[1:], inner)
    raise Unreadable(f"unexpected \\{name}")


def _argument(parser: Parser) -> Node:
    """The argument of a command: a group, one digit, one letter or one command, as TeX reads it."""
    token = parser.peek()
    if token.kind == "num" and len(token.text) > 1 and token.text.isdigit():
        parser.tokens[parser.at] = Token("num", token.text[1:])
        return number(int(token.text[0]))
    if token.kind == "op" and token.text == "{":
        parser.take()
        return _braces(parser, "}")
    return parser.nested(parser.atom)


def _root(parser: Parser, degree: int) -> Node:
    order = number(degree)
    if parser.peek().text == "[":
        parser.take()
        order = parser.nested(parser.sum)
        parser.expect("]")
    inner = parser.nested(parser.atom)
    return call("root", inner, order)


def _segment(parser: Parser, name: str) -> Node:
    """A name with a mark: `\\overline{AB}`, `\\angle ABC`, `\\vec a`."""
    if parser.accept("{"):
        parser.at -= 1
        return symbol(f"{name} {subscript(parser)}")
    letters = ""
    while parser.peek().kind == "sym":
        letters += parser.take().text
        if parser.accept("_"):
            letters += "_" + subscript(parser)
    if not letters:
        raise Unreadable(f"\\{name} of nothing")
    return symbol(f"{name} {letters}")


def _function(parser: Parser, name: str) -> Node:
    base: Node | None = None
    power: Node | None = None
    while parser.peek().text in ("_", "^"):
        if parser.accept("_"):
            base = _argument(parser)
        else:
            parser.take()
            power = parser.exponent()
    if power is not None and power == negative(number(1)):
        name, power = "arc" + name if name in TRIG else name, None
    args = _arguments(parser)
    if name == "log" and base is not None:
        args = (*args, base)
    elif base is not None:
        raise Unreadable(f"\\{name} with a subscript")
    node = call(name, *args)
    return node if power is None else Node(Op.POW, (node, power))


def _arguments(parser: Parser) -> tuple[Node, ...]:
    """The arguments of a function: what is in its bracket, or the factors up to the next sign or function."""
    if parser.peek().text in ("(", "["):
        inner = _sequence(parser, parser.peek().text)
        return inner.args if inner.op is Op.SEQUENCE else (inner,)
    if parser.peek().text in ("{", "\\{"):
        inner = _bracket(parser)
        return inner.args if inner.op is Op.SET else (inner,)
    node = parser.factor() if parser.peek().text != "-" else parser.nested(parser.signed)
    while parser.starts_factor() and parser.peek().text[1:] not in FUNCTIONS - {"sqrt"}:
        if parser.peek().text in ("(", "[") or _is_differential(parser):
            break
        node = Node(Op.MUL, (node, parser.factor()))
    return (node,)


def _is_differential(parser: Parser) -> bool:
    """Whether the dx of an integral stands here, which is no part of a function's argument."""
    return bool(parser.integrals) and parser.peek().text == "d" and parser.peek(1).kind in ("sym", "cmd")
