"""Answers that name what they state: f(t) = t^2 is f(x) = x^2 whatever the variable, and m + n = 115 states 115."""

from __future__ import annotations

from selfimprove.answer.equality import same_expression
from selfimprove.answer.shape import split_unit
from selfimprove.answer.tree import (
    ROUND,
    Constant,
    Node,
    Op,
    Sign,
    free_names,
    negative,
    number,
    renamed,
    substitute_all,
    symbol,
)
from selfimprove.answer.verdict import Finding, Outcome


def _variables(name: Node) -> list[str] | None:
    """The names of a function's arguments, if they are different variables."""
    names = [arg.name for arg in name.args if arg.op is Op.SYMBOL]
    return names if len(set(names)) == len(name.args) else None


def in_variable_of(function: Node, other: Node) -> Node:
    """The value of f(t) = t^2 in the variable of the other side, if that has one variable too."""
    name, value = function.args
    ours, theirs = _variables(name), sorted(free_names(other))
    if ours is None or len(ours) != 1 or len(theirs) != 1 or free_names(value) != {*ours}:
        return value
    return renamed(value, {ours[0]: theirs[0]})


def in_same_variables(left: Node, right: Node) -> tuple[Node, Node] | None:
    """The values of two definitions in the same variables: f(t) beside f(x), f(x) or y(x) beside y; else None."""
    if left.args[0].op is not Op.APPLY:
        left, right = right, left
    (name, value), (other, theirs) = left.args, right.args
    ours = _variables(name)
    if ours is None:
        return None
    if other.op is Op.APPLY:
        variables = _variables(other)
        if variables is None or name.value != other.value or len(ours) != len(variables):
            return None
        return renamed(value, dict(zip(ours, variables, strict=True))), theirs
    plain = other.op is Op.SYMBOL and other.name not in ours and (other.value == name.value or other.name == "y")
    return (value, theirs) if plain else None


def named_total(reference: Node, relation: Node) -> Finding | None:
    """An answer m + n = 115 for 115: the right side, where the left one is a sum or product of unknowns; else None.

    The unknowns are different ones, each once, and may be squared; the sum may be an absolute value.
    """
    if relation.signs not in ((), (Sign.EQUAL,)) or reference.op is not Op.NUMBER or len(relation.args) != _SIDES:
        return None
    left, right = relation.args
    left = left.args[0] if left.value == "abs" else left
    if _is_symmetric(left) and not free_names(right):
        return same_expression(reference, split_unit(right)[0])
    unknowns = _unknowns(left, left.op) if left.op in (Op.ADD, Op.MUL) else []
    if len(unknowns) < _SIDES or None in unknowns or len(set(unknowns)) < len(unknowns) or free_names(right):
        return None
    return same_expression(reference, split_unit(right)[0])


_SIDES = 2


def _is_symmetric(node: Node) -> bool:
    """Whether a sum stays the same if any two of its unknowns change places, or its only one with its reciprocal.

    Such a sum, `xy + yz + zx` or `x^2 + 1/x^2`, is a quantity of the question and no equation to be solved.
    """
    names = sorted(free_names(node))
    if node.op is not Op.ADD or not 0 < len(names) < _MOST_NAMES:
        return False
    if len(names) == 1:
        turned = substitute_all(node, {names[0]: Node(Op.DIV, (number(1), symbol(names[0])))})
        return same_expression(node, turned).outcome is Outcome.CORRECT
    swaps = ({names[0]: other, other: names[0]} for other in names[1:])
    return all(same_expression(node, renamed(node, swap)).outcome is Outcome.CORRECT for swap in swaps)


_MOST_NAMES = 6


def _unknowns(node: Node, op: Op) -> list[str | None]:
    """The names in a sum, or in a product; None for a part that is neither an unknown nor its square."""
    if node.op is op:
        return [name for part in node.args for name in _unknowns(part, op)]
    core = node.args[0] if node.op is Op.NEG or (node.op is Op.POW and node.args[1] == number(2)) else node
    return [core.name if core.op is Op.SYMBOL else None]


def as_point(node: Node) -> Node:
    """The coordinates of a named point, `A(1, 2)` or `A = (1, 2)`, or of a sum of unit vectors; else the node."""
    if node.op is Op.ADD:
        return _components(node) or node
    if node.op not in (Op.MUL, Op.NAMED) or node.args[1].op is not Op.SEQUENCE:
        return node
    name, point = node.args
    return point if name.op is Op.SYMBOL and name.name.isupper() and len(point.args) > 1 else node


def _components(node: Node) -> Node | None:
    """The tuple that `3i - 4j` is; None for any sum but one of multiples of different unit vectors."""
    found: dict[str, Node] = {}
    terms = [node]
    while terms:
        term = terms.pop()
        sign = term.op is Op.NEG
        term = term.args[0] if sign else term
        if term.op is Op.ADD and not sign:
            terms += term.args
            continue
        factor, axis = term.args if term.op is Op.MUL else (number(1), term)
        name = "i" if axis.value is Constant.I else axis.name if axis.op is Op.SYMBOL else ""
        if name not in _AXES or name in found:
            return None
        found[name] = negative(factor) if sign else factor
    axes = _AXES if "k" in found else _AXES[:2]
    return Node(Op.SEQUENCE, tuple(found.get(axis, number(0)) for axis in axes), ROUND) if len(found) > 1 else None


_AXES = ("i", "j", "k")


def in_order(node: Node) -> Node:
    """A list of values whose names follow one another in the alphabet (y = 1, x = 2), in that order; else the node."""
    if node.op is not Op.LIST or not all(item.op is Op.NAMED and item.args[0].op is Op.SYMBOL for item in node.args):
        return node
    items = sorted(node.args, key=lambda item: item.args[0].name)
    letters = "".join(item.args[0].name for item in items)
    return node.over(tuple(items)) if len(letters) == len(items) and letters in _ALPHABET else node


_ALPHABET = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ"
