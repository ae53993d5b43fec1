"""Units of the grammar: the words behind a term, with their powers and quotients."""

from __future__ import annotations

from typing import Protocol

from selfimprove.answer.tokens import Token
from selfimprove.answer.tree import Node, Op
from selfimprove.answer.words import UNITS, canonical_unit

CURRENCY = ("\\dollar", "\\euro", "\\pound", "\\yen", "\\cent")


class Reader(Protocol):
    """What units need of the parser: its position, and its next tokens."""

    at: int

    def peek(self, ahead: int = 0) -> Token:
        """The token `ahead` of the position."""

    def take(self) -> Token:
        """The next token, consumed."""

    def accept(self, *texts: str) -> bool:
        """Consume the next token if it is one of these signs."""

    def exponent(self) -> Node:
        """The exponent after `^`."""


def read_unit(parser: Reader, node: Node) -> Node:
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
