"""One node type for everything an answer can be.

An answer is read into a tree of `Node`: an operator (`Op`), the nodes it works on, and the operator's own value. A
tree can be compared, hashed and printed. There is no behaviour here: reading is in `parse`, meaning in `exact`,
`identity`, `evaluate` and `compare`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from selfimprove.answer.limits import MAX_LEVELS


class Op(StrEnum):
    """What a node is; the string is its name in `show`. A comment says what `Node.value` holds, where it isn't None.

    Stages look operators up in tables and sets: in Python 3.11 a member costs more to name than a table to search.
    """

    NUMBER = "num"  # a Fraction
    SYMBOL = "sym"  # a name
    CONSTANT = "const"  # a Constant
    ADD = "add"
    MUL = "mul"
    DIV = "div"
    POW = "pow"
    NEG = "neg"
    FUNCTION = "func"  # the name of a known function
    APPLY = "apply"  # the name of an unknown function: f(x)
    SUM = "sum"  # of body, variable, low and high
    PRODUCT = "prod"  # likewise
    INTEGRAL = "int"  # likewise
    LIMIT = "lim"  # of body, variable and point
    DEGREES = "deg"
    PERCENT = "pct"
    PLUS_MINUS = "pm"
    MINUS_PLUS = "mp"
    UNIT = "unit"  # a Unit
    RELATION = "rel"  # a tuple of signs, one between each two members
    LIST = "list"  # a Join
    SET = "set"
    SEQUENCE = "seq"  # Brackets: a tuple or an interval
    UNION = "union"
    INTERSECTION = "inter"
    DIFFERENCE = "minus"
    RATIO = "ratio"
    BASED = "based"  # the digits of a number written in the base that is its argument
    CASES = "cases"  # of rows of a value and its condition
    MATRIX = "matrix"  # of rows
    ROW = "row"
    DOTS = "dots"
    EMPTY = "empty"
    DOMAIN = "domain"  # R, Z, N, Q or C
    TEXT = "text"  # the words
    NAMED = "named"  # a name and its value, once `shape` has settled a chain of equalities


BINDERS = frozenset((Op.SUM, Op.PRODUCT, Op.INTEGRAL, Op.LIMIT))
"""The operators whose second argument is a variable that only their body sees."""


class Constant(StrEnum):
    """A number with a name of its own."""

    PI = "pi"
    E = "e"
    I = "i"  # noqa: E741 - its name
    INFINITY = "inf"


class Join(StrEnum):
    """What stands between the items of a list."""

    COMMA = ","
    SEMICOLON = ";"
    AND = "and"
    OR = "or"


class Sign(StrEnum):
    """What stands between two members of a relation; `MODULO` stands before the modulus of a congruence."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    GREATER = ">"
    AT_MOST = "<="
    AT_LEAST = ">="
    NEAR = "~"
    CONGRUENT = "=="
    MODULO = "mod"
    IN = "in"
    ARROW = "->"
    IMPLIES = "=>"


MIRRORED = {
    Sign.LESS: Sign.GREATER,
    Sign.GREATER: Sign.LESS,
    Sign.AT_MOST: Sign.AT_LEAST,
    Sign.AT_LEAST: Sign.AT_MOST,
    Sign.UNEQUAL: Sign.UNEQUAL,
}
"""The sign of an inequality read from right to left."""


@dataclass(frozen=True, slots=True)
class Brackets:
    """The two brackets of a tuple or interval."""

    opening: str
    closing: str

    def __str__(self) -> str:
        return self.opening + self.closing


ROUND, SQUARE = Brackets("(", ")"), Brackets("[", "]")


@dataclass(frozen=True, slots=True)
class Unit:
    """The words of a unit, each in its canonical spelling."""

    words: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.words)


@dataclass(slots=True, unsafe_hash=True)  # never changed; a frozen one takes three times as long to make
class Node:
    """An operator, what it works on, and the operator's own value if it has one."""

    op: Op
    args: tuple[Node, ...] = ()
    value: Fraction | str | tuple[Sign, ...] | Brackets | Unit | None = None

    @property
    def name(self) -> str:
        """The value as text: a name, words or digits."""
        return str(self.value)

    @property
    def signs(self) -> tuple[Sign, ...]:
        """The signs of a relation; empty for any other node."""
        return self.value if isinstance(self.value, tuple) else ()

    def over(self, args: tuple[Node, ...]) -> Node:
        """The same operator over other arguments."""
        return Node(self.op, args, self.value)


INFINITY = Node(Op.CONSTANT, (), Constant.INFINITY)
IMAGINARY = Node(Op.CONSTANT, (), Constant.I)


class Unreadable(Exception):  # noqa: N818 - it is a finding about a text, used as a verdict's reason
    """The text is not an answer this grammar reads; the message says why in a few words."""


class Refused(Exception):  # noqa: N818 - a stage declines, the next one may know more
    """A stage can't decide within its bounds; the message says which bound."""


def number(value: int | Fraction) -> Node:
    """The node of a rational number."""
    return Node(Op.NUMBER, (), Fraction(value))


def symbol(name: str) -> Node:
    """The node of a variable."""
    return Node(Op.SYMBOL, (), name)


def call(name: str, *args: Node) -> Node:
    """The node of a known function."""
    return Node(Op.FUNCTION, args, name)


def negative(node: Node) -> Node:
    """The tree with a minus sign in front."""
    return Node(Op.NEG, (node,))


def difference(left: Node, right: Node) -> Node:
    """The first tree minus the second."""
    return Node(Op.ADD, (left, negative(right)))


def walk(node: Node) -> Iterator[Node]:
    """Every node of the tree, parents first, without recursion."""
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        if top.args:
            stack.extend(reversed(top.args))


def depth(node: Node) -> int:
    """Levels of the tree, without recursion."""
    deepest = 0
    stack = [(node, 1)]
    while stack:
        top, level = stack.pop()
        if level > deepest:
            deepest = level
        if top.args:
            stack.extend((arg, level + 1) for arg in top.args)
    return deepest


def shallow(node: Node) -> Node:
    """The tree, if it has few enough levels to be worked on by recursion; raises `Unreadable`."""
    if depth(node) > MAX_LEVELS:
        raise Unreadable(f"the answer has more than {MAX_LEVELS} levels")
    return node


def free_names(node: Node) -> frozenset[str]:
    """The variables of the tree that no sum, product, integral or limit binds."""
    if not node.args:
        return frozenset((node.name,)) if node.op is Op.SYMBOL else frozenset()
    inner = frozenset[str]().union(*(free_names(arg) for arg in node.args))
    return inner - {node.args[1].name} if node.op in BINDERS else inner


def substitute(node: Node, env: Mapping[str, Fraction]) -> Node:
    """The tree with its free variables replaced by numbers."""
    if node.op is Op.SYMBOL:
        return number(env[node.name]) if node.name in env else node
    if node.op in BINDERS:
        env = {name: value for name, value in env.items() if name != node.args[1].value}
    return node.over(tuple(substitute(arg, env) for arg in node.args))


def renamed(node: Node, names: Mapping[str, str]) -> Node:
    """The tree with its free variables renamed, all at once."""
    if node.op is Op.SYMBOL:
        return symbol(names.get(node.name, node.name))
    if node.op in BINDERS:
        names = {old: new for old, new in names.items() if old != node.args[1].value}
    return node.over(tuple(renamed(arg, names) for arg in node.args))


def substitute_all(node: Node, values: Mapping[str, Node]) -> Node:
    """The tree with other trees in the place of its variables."""
    if node.op is Op.SYMBOL:
        return values.get(node.name, node)
    return node.over(tuple(substitute_all(arg, values) for arg in node.args)) if node.args else node


def show(node: Node) -> str:
    """A short unambiguous spelling of the tree, the normal form that `explain` prints."""
    if node.op in _LEAVES:
        return node.name
    inner = ", ".join(show(arg) for arg in node.args)
    if node.value is None:
        return f"{node.op}({inner})"
    value = " ".join(node.signs) or node.name
    return f"{value}({inner})" if node.op in _CALLS else f"{node.op}[{value}]({inner})"


_LEAVES = frozenset((Op.NUMBER, Op.SYMBOL, Op.CONSTANT, Op.TEXT, Op.DOMAIN))
_CALLS = frozenset((Op.FUNCTION, Op.APPLY))
