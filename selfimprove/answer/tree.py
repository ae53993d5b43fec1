"""One node type for everything an answer can be.

An answer is read into a tree of `Node`; the operations are plain strings, so that a tree is a value that can be
compared, hashed and printed. There is no behaviour here: reading is in `parse`, meaning in `exact`, `identity`,
`evaluate` and `compare`.

Numbers and expressions: `num` (value: Fraction), `sym` (value: name), `const` (pi, e, i, inf), `add`, `mul`, `div`,
`pow`, `neg`, `func` (value: name), `apply` (an unknown function f(x)), `sum`, `prod`, `int` (body, variable, low,
high), `lim` (body, variable, point), `deg`, `pct`, `pm`, `mp`.
Around them: `unit` (value: canonical unit), `rel` (value: relation signs, one between each two members), `list`
(value: the joining word), `set`, `seq` (value: its two brackets), `union`, `inter`, `minus`, `ratio`, `based`
(value: digits), `matrix` of `row`, `builder`, `dots`, `empty`, `domain` (value: R, Z, ...), `text`, and
after `shape` has settled a chain of equalities `named` (name, value).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Node:
    """An operation, what it works on, and its own value if it has one."""

    op: str
    args: tuple[Node, ...] = ()
    value: Fraction | str | None = None


class Unreadable(Exception):  # noqa: N818 - it is a finding about a text, used as a verdict's reason
    """The text is not an answer this grammar reads; the message says why in a few words."""


class Refused(Exception):  # noqa: N818 - a stage declines, the next one may know more
    """A stage can't decide within its bounds; the message says which bound."""


def number(value: int | Fraction) -> Node:
    """The node of a rational number."""
    return Node("num", (), Fraction(value))


def symbol(name: str) -> Node:
    """The node of a variable."""
    return Node("sym", (), name)


def call(name: str, *args: Node) -> Node:
    """The node of a known function."""
    return Node("func", args, name)


def walk(node: Node) -> Iterator[Node]:
    """Every node of the tree, parents first, without recursion."""
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(reversed(top.args))


def depth(node: Node) -> int:
    """Levels of the tree, without recursion."""
    deepest = 0
    stack = [(node, 1)]
    while stack:
        top, level = stack.pop()
        deepest = max(deepest, level)
        stack.extend((arg, level + 1) for arg in top.args)
    return deepest


def free_names(node: Node) -> frozenset[str]:
    """The variables of the tree that no sum, product, integral or limit binds."""
    if node.op == "sym":
        return frozenset((str(node.value),))
    inner = frozenset[str]().union(*(free_names(arg) for arg in node.args)) if node.args else frozenset[str]()
    return inner - {str(node.args[1].value)} if node.op in ("sum", "prod", "int", "lim") else inner


def substitute(node: Node, env: Mapping[str, Fraction]) -> Node:
    """The tree with its free variables replaced by numbers."""
    if node.op == "sym":
        return number(env[str(node.value)]) if str(node.value) in env else node
    if node.op in ("sum", "prod", "int", "lim"):
        env = {name: value for name, value in env.items() if name != node.args[1].value}
    return Node(node.op, tuple(substitute(arg, env) for arg in node.args), node.value)


def show(node: Node) -> str:
    """A short unambiguous spelling of the tree, the normal form that `explain` prints."""
    if node.op in ("num", "sym", "const", "text", "domain"):
        return str(node.value)
    inner = ", ".join(show(arg) for arg in node.args)
    name = node.op if node.value is None else f"{node.op}[{node.value}]"
    return f"{node.value}({inner})" if node.op in ("func", "apply") else f"{name}({inner})"
