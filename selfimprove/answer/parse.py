"""The grammar: tokens to one tree, by recursive descent, for plain text and TeX alike.

No text is ever evaluated: the parser builds `Node`s from a closed list of operations and raises `Unreadable` at
anything else, so that what is not mathematics can't become an answer by accident. Levels, from loose to tight:
answer (items joined by commas, semicolons, and, or), relation, ratio, set operation, sum, product, power, atom.
Commands and brackets are in `atoms`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from selfimprove.answer.limits import MAX_DEPTH, MAX_ITEMS
from selfimprove.answer.tokens import Token
from selfimprove.answer.tree import (
    Join,
    Node,
    Op,
    Sign,
    Unit,
    Unreadable,
    call,
    difference,
    negative,
    number,
    show,
    symbol,
)
from selfimprove.answer.units import CURRENCY, read_unit
from selfimprove.answer.words import RELATIONS, SET_SIGNS

_END = Token("end", "")
_PLUS_MINUS = {"\\pm": Op.PLUS_MINUS, "\\mp": Op.MINUS_PLUS}
_JOINS = {
    "and": Join.AND, "\\wedge": Join.AND, "\\land": Join.AND, "\\&": Join.AND,
    "or": Join.OR, "\\vee": Join.OR, "\\lor": Join.OR,
}  # fmt: skip
_TIMES = ("*", "\\cdot", "\\times", "\\ast")
_SIGNS = frozenset(("op", "cmd"))
_ADDING = frozenset(("+", "-", *_PLUS_MINUS))
_STOP_SIGNS = (
    ", ; ) ] } \\} & \\\\ + - * / : | % ! = ^ _ ' ? @ \\rangle \\rfloor \\rceil \\rbrace \\rbrack \\pm \\mp \\mid "
    "\\over \\vee \\lor \\& \\wedge \\land \\pmod \\mod \\bmod \\choose \\div \\colon \\# \\deg"
)
_STOPS = frozenset((*_STOP_SIGNS.split(), *_TIMES, *CURRENCY, *RELATIONS, *SET_SIGNS))


class Parser:
    """A position in a list of tokens; each method reads one level of the grammar and moves on."""

    def __init__(self, tokens: list[Token], read_atom: Callable[[Parser], Node]) -> None:
        self.tokens = tokens
        self._read_atom = read_atom
        self.at = 0
        self.depth = 0
        self.bars = 0
        self.integrals = 0
        texts = {token.text for token in tokens}
        self.has_remainder = ("\\bmod" in texts or "mod" in texts) and "\\equiv" not in texts

    # -- tokens ------------------------------------------------------------------------------------------------

    def peek(self, ahead: int = 0) -> Token:
        """The token `ahead` of the position, an `end` token past the last."""
        try:
            return self.tokens[self.at + ahead]
        except IndexError:
            return _END

    def take(self) -> Token:
        """The next token, consumed."""
        token = self.peek()
        self.at += 1
        return token

    def accept(self, *texts: str) -> bool:
        """Consume the next token if it is a sign or command of one of these spellings."""
        token = self.peek()
        if token.text in texts and token.kind in _SIGNS:
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        """Consume this sign or raise `Unreadable`."""
        if not self.accept(text):
            raise Unreadable(f"expected {text!r}, found {self.peek().text[:20]!r}")

    def nested(self, rule: Callable[[], Node]) -> Node:
        """Run a rule one level deeper, within the bound on nesting."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable(f"the answer is nested deeper than {MAX_DEPTH}")
        try:
            return rule()
        finally:
            self.depth -= 1

    # -- levels ------------------------------------------------------------------------------------------------

    def answer(self) -> Node:
        """The whole answer; raises `Unreadable` if anything is left over."""
        node = self.items()
        if self.accept("\\over"):
            node = Node(Op.DIV, (node, self.items()))
        if self.peek().kind != "end":
            raise Unreadable(f"unexpected {self.peek().text[:20]!r}")
        return node

    def joiner(self) -> Join | None:
        """Consume what joins two items (`,`, `;`, and, or) and return it, or None; a word tells more than a sign."""
        found: Join | None = None
        while True:
            token = self.peek()
            if token.text in _JOINS and token.kind != "text":
                found = _JOINS[token.text]
            elif token.text in (",", ";") and token.kind == "op":
                found = found or Join(token.text)
            else:
                return found
            self.at += 1

    def items(self) -> Node:
        """One item, or a `list` of several; semicolons group what commas separate."""
        groups: list[list[Node]] = [[self.relation()]]
        joins: list[Join] = []
        while (join := self.joiner()) is not None:
            if self.peek().kind == "end":
                if join in (Join.AND, Join.OR):
                    raise Unreadable("the answer breaks off")
                break
            joins.append(join)
            item = self.relation()
            if join is Join.SEMICOLON:
                groups.append([item])
            else:
                groups[-1].append(item)
        if sum(len(group) for group in groups) > MAX_ITEMS:
            raise Unreadable(f"more than {MAX_ITEMS} items")
        if not joins:
            return groups[0][0]
        if len(groups) > 1 and any(len(group) > 1 for group in groups):
            lists = (group[0] if len(group) == 1 else Node(Op.LIST, tuple(group), Join.COMMA) for group in groups)
            return Node(Op.LIST, tuple(lists), Join.COMMA)
        join = Join.OR if Join.OR in joins else Join.AND if Join.AND in joins else Join.COMMA
        return Node(Op.LIST, tuple(item for group in groups for item in group), join)

    def relation(self) -> Node:
        """Expressions joined by relation signs, or a single one; a sign of nearness in front says nothing."""
        if RELATIONS.get(self.peek().text) is Sign.NEAR:
            self.take()
        members = [self.ratio()]
        signs: list[Sign] = []
        while self.peek().text in RELATIONS and self.peek().kind in _SIGNS:
            signs.append(RELATIONS[self.take().text])
            members.append(self.ratio())
        if Sign.CONGRUENT in signs and (self.accept("\\pmod", "\\mod", "\\bmod") or self._plain_mod()):
            members.append(self.atom())
            if self.at and self.peek().text == ")" and self._opened_mod:
                self.take()
            signs.append(Sign.MODULO)
        if not signs:
            return self._modulo(members[0])
        return Node(Op.RELATION, tuple(members), tuple(signs))

    def _modulo(self, node: Node) -> Node:
        """A residue with its modulus behind it, as a unit, or the tree itself."""
        if not (self.accept("\\pmod", "\\mod", "\\bmod") or self._plain_mod()):
            return node
        modulus = self.atom()
        if self._opened_mod and self.peek().text == ")":
            self.take()
        return Node(Op.UNIT, (node,), Unit(("mod", show(modulus))))

    _opened_mod = False

    def _plain_mod(self) -> bool:
        """Consume `(\\mod`, `(mod` or `mod` after a congruence."""
        self._opened_mod = self.peek().text == "("
        ahead = 1 if self._opened_mod else 0
        if self.peek(ahead).text in ("\\mod", "\\bmod", "mod"):
            self.at += ahead + 1
            return True
        return False

    def ratio(self) -> Node:
        """Parts joined by colons or the word to, or a single one."""
        parts = [self.sets()]
        while self.accept(":", "\\colon") or (self.peek().kind == "join" and self.peek().text == "to"):
            if self.peek().kind == "join":
                self.at += 1
            parts.append(self.sets())
        return parts[0] if len(parts) == 1 else Node(Op.RATIO, tuple(parts))

    def sets(self) -> Node:
        """Unions, intersections and differences, from left to right."""
        node = self.remainder()
        while self.peek().text in SET_SIGNS and self.peek().kind in _SIGNS:
            node = Node(SET_SIGNS[self.take().text], (node, self.remainder()))
        return node

    def remainder(self) -> Node:
        """A sum, or what it leaves when divided: `17 \\bmod 5`."""
        node = self.sum()
        while self.has_remainder and (self.accept("\\bmod") or self._word_mod()):
            node = call("mod", node, self.sum())
        return node

    def _word_mod(self) -> bool:
        """Consume the word mod, unless brackets make it a modulus."""
        if self.peek().kind == "text" and self.peek().text == "mod":
            self.at += 1
            return True
        return False

    def sum(self) -> Node:
        """Terms with +, -, ± and ∓ between them."""
        node = self.signed()
        while (sign := self.peek().text) in _ADDING:
            if self.accept("+"):
                node = Node(Op.ADD, (node, self.signed()))
            elif self.accept("-"):
                node = difference(node, self.signed())
            elif sign in _PLUS_MINUS:
                node = Node(_PLUS_MINUS[self.take().text], (node, self.signed()))
            else:
                break
        return node

    def signed(self) -> Node:
        """A term with its signs in front."""
        if self.peek().text not in _ADDING:
            return self.term()
        if self.accept("-"):
            return negative(self.nested(self.signed))
        if self.accept("+"):
            return self.nested(self.signed)
        if self.peek().text in _PLUS_MINUS:
            return Node(_PLUS_MINUS[self.take().text], (number(0), self.nested(self.signed)))
        return self.term()

    def term(self) -> Node:
        """Factors multiplied, divided or side by side, then a unit in words if there is one."""
        node = self.mixed()
        while True:
            if self.accept(*_TIMES):
                node = Node(Op.MUL, (node, self._factor_signed()))
            elif self.accept("/", "\\div"):
                node = Node(Op.DIV, (node, self._factor_signed()))
            elif self.starts_factor():
                node = Node(Op.MUL, (node, self.factor()))
            else:
                break
        return read_unit(self, node)

    def _factor_signed(self) -> Node:
        """A factor after a multiplication or division sign, with its own sign if it has one."""
        if self.accept("-"):
            return negative(self.factor())
        self.accept("+")
        return self.factor()

    def starts_factor(self) -> bool:
        """Whether the next token begins a factor that is multiplied by being side by side."""
        token = self.peek()
        if token.kind == "num":
            before = self.tokens[self.at - 1] if self.at else _END
            if before.kind == "num" and not (token.gap and self._is_power_product()):
                raise Unreadable("two numbers side by side")
            return True
        if token.kind == "op" and token.text == "|":
            return self.bars == 0
        return (
            token.kind in ("sym", "cmd", "op", "env")
            and token.text not in _STOPS
            and not token.text.startswith("\\end")
        )

    def _is_power_product(self) -> bool:
        """Whether the number here multiplies what is before it in a product of powers: `2^6 3^5 7`."""
        powers = any(token.text == "^" for token in self.tokens[: self.at])
        return powers and (self.tokens[self.at - 2].text == "^" or self.peek(1).text == "^")

    def mixed(self) -> Node:
        """A factor; an integer directly before a proper fraction of integers is a mixed number."""
        whole = self.peek()
        if whole.kind == "num" and whole.text.isdigit():
            part = self._proper(1)
            if part is not None:
                return self.postfix(number(int(whole.text) + part))
        return self.factor()

    def _proper(self, ahead: int) -> Fraction | None:
        """The proper fraction of integer literals `ahead`, consumed with all before it, or None."""
        if self.peek(ahead).text != "\\frac" and self.peek(ahead + 1).text != "/":
            return None
        texts = [self.peek(ahead + k).text for k in range(7)]
        top = bottom = ""
        size = 0
        if texts[0] == "\\frac" and texts[1] == "{" and texts[3:5] == ["}", "{"] and texts[6] == "}":
            top, bottom, size = texts[2], texts[5], 7
        elif texts[0] == "\\frac" and len(texts[1]) == 2:
            top, bottom, size = texts[1][0], texts[1][1], 2
        elif texts[1] == "/" and self.peek(ahead).gap:
            top, bottom, size = texts[0], texts[2], 3
        if not (top.isdigit() and bottom.isdigit() and int(top) < int(bottom)):
            return None
        self.at += ahead + size
        return Fraction(int(top), int(bottom))

    def factor(self) -> Node:
        """An atom with its powers, factorials, degrees and percent signs."""
        return self.nested(lambda: self.postfix(self.atom()))

    def postfix(self, node: Node) -> Node:
        """What stands behind an atom: `^`, `!`, `%`, and `_` behind a number."""
        while self.peek().text in ("^", "_", "!", "%"):
            if self.peek().text == "^" and self.peek(1).text == "\\circ":
                self.at += 2
                temperature = self.peek().text in ("C", "F") and self.peek(1).kind == "end"
                unit = Unit((f"degree{self.take().text}",)) if temperature else None
                node = Node(Op.UNIT if unit else Op.DEGREES, (node,), unit)
            elif self.peek().text == "_" and node.op is Op.NUMBER:
                node = self._based(node)
            elif self.accept("^"):
                exponent = self.exponent()
                node = Node(Op.POW, (self._indexed(node), exponent))
            elif self.peek().text == "!" and self.peek().kind == "op":
                node = self._factorial(node)
            elif self.accept("%"):
                node = Node(Op.PERCENT, (node,))
            else:
                break
        return node

    def _indexed(self, node: Node) -> Node:
        """A variable with the subscript that stands behind its power: `v^2_0`; anything else as it is."""
        if self.peek().text != "_" or node.op is not Op.SYMBOL or "_" in node.name:
            return node
        self.take()
        return symbol(f"{node.name}_{subscript(self)}")

    def _based(self, node: Node) -> Node:
        """A number in brackets with its base behind it."""
        self.take()
        base = subscript(self)
        if not base.isdigit() or not isinstance(node.value, Fraction) or node.value.denominator != 1:
            raise Unreadable("a number with a subscript that is no base")
        return Node(Op.BASED, (number(int(base)),), str(node.value))

    def _factorial(self, node: Node) -> Node:
        """One or two factorial signs behind an atom."""
        marks = 0
        while self.accept("!"):
            marks += 1
        if marks > 2:
            raise Unreadable("more than two factorial signs")
        return call("factorial" if marks == 1 else "factorial2", node)

    def exponent(self) -> Node:
        """The exponent after `^`; powers group from the right."""
        if self.accept("-"):
            return negative(self.nested(self.exponent))
        self.accept("+")
        digits = self.peek().kind == "num" and self.peek(1).text == "_"  # of v^2_0, and no number in a base
        base = number(Fraction(self.take().text)) if digits else self.nested(self.atom)
        return Node(Op.POW, (base, self.nested(self.exponent))) if self.accept("^") else base

    def atom(self) -> Node:
        """The smallest piece: a number, a variable, a bracket or a command."""
        return self._read_atom(self)

    def name(self) -> Node:
        """A variable with its primes and subscript."""
        name, primes = self.take().text, ""
        while self.accept("'"):
            primes += "'"
        if self.accept("_"):
            name += "_" + subscript(self)
        while self.accept("'"):
            primes += "'"
        return symbol(name + primes)


def subscript(parser: Parser) -> str:
    """The spelling of a subscript, without its braces."""
    if not parser.accept("{"):
        return parser.take().text
    parts: list[str] = []
    level = 1
    while parser.peek().kind != "end":
        token = parser.take()
        level += (token.text == "{") - (token.text == "}")
        if level == 0:
            return "".join(parts)
        parts.append(token.text)
    raise Unreadable("a subscript is not closed")
