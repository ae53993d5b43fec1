"""Units of the grammar: the words behind a term, with their powers and quotients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfimprove.answer.tree import Node, Op
from selfimprove.answer.words import UNITS, canonical_unit

if TYPE_CHECKING:
    from selfimprove.answer.parse import Parser

CURRENCY = ("\\dollar", "\\euro", "\\pound", "\\yen", "\\cent")


def read_unit(parser: Parser, node: Node) -> Node:
    """The term with the words behind it as its unit, or the term."""
    words: list[str] = []
    while parser.peek().kind == "text" or parser.peek().text in CURRENCY:
        words.append(parser.take().text.removeprefix("\\").strip("() "))
        if parser.accept("^"):
            words[-1] += f"^{_power(parser.exponent())}"
        if parser.peek().text == "/" and (parser.peek(1).kind == "text" or parser.peek(1).text in UNITS):
            parser.at += 1
            words.append(f"/{parser.take().text}")
    return Node(Op.UNIT, (node,), canonical_unit(" ".join(words))) if words else node


def _power(node: Node) -> str:
    """The exponent of a unit as written."""
    return f"-{_power(node.args[0])}" if node.op is Op.NEG else str(node.value)
