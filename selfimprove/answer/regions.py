"""Sets of real numbers: intervals, inequalities, unions and differences, compared cell by cell.

All end points of both sides are put in order once; between and on them lie finitely many cells. Each side is asked
for each cell whether it belongs to it, so (0, 36) without 9 equals (0, 9) ∪ (9, 36), and x > 2 equals (2, ∞). Two
sides that name different variables are different.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cmp_to_key

from selfimprove.answer.evaluate import sign_of
from selfimprove.answer.exact import exact
from selfimprove.answer.expressions import same_expression
from selfimprove.answer.finding import Finding
from selfimprove.answer.tree import Node, Refused, free_names, number

_FLIP = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}
MAX_ENDS = 40


@dataclass(frozen=True, slots=True)
class Piece:
    """An interval by its two end points (None: unbounded) and whether they belong to it."""

    low: Node | None
    high: Node | None
    low_in: bool
    high_in: bool


@dataclass(frozen=True, slots=True)
class Region:
    """`piece`, `union`, `inter` or `minus` of regions; `names`: the variables the text named."""

    op: str
    parts: tuple[Region, ...] = ()
    piece: Piece | None = None
    names: frozenset[str] = frozenset()


NOTHING = Region("union")
EVERYTHING = Region("piece", (), Piece(None, None, False, False))


def is_region(node: Node) -> bool:
    """Whether the tree can only mean a set of real numbers."""
    if node.op in ("union", "inter", "minus", "empty", "domain"):
        return True
    if node.op == "rel":
        return set(str(node.value).split()) <= {"<", ">", "<=", ">=", "!=", "in"}
    return node.op == "list" and bool(node.args) and all(is_region(arg) for arg in node.args)


_REGIONS = frozenset(["union", "inter", "minus", "empty", "domain", "seq", "set", "rel", "named", "list"])


def may_be_region(node: Node) -> bool:
    """Whether the tree can be read as a set of real numbers in company of one."""
    return node.op in _REGIONS


def read_region(node: Node) -> Region:
    """The region a tree means; raises `Refused` if it means none."""
    if node.op in ("union", "inter", "minus"):
        parts = tuple(read_region(arg) for arg in node.args)
        return Region(node.op, parts, names=_names(parts))
    if node.op == "empty":
        return NOTHING
    if node.op == "domain" and node.value == "R":
        return EVERYTHING
    if node.op == "seq" and len(node.args) == 2:
        return _interval(node)
    if node.op == "set":
        return Region("union", tuple(_point(arg) for arg in node.args))
    if node.op == "rel":
        return _relation(node)
    if node.op == "named":
        return Region("union", (_point(node.args[1]),), names=free_names(node.args[0]))
    if node.op == "list":
        parts = tuple(read_region(arg) for arg in node.args)
        return Region("inter" if node.value == "and" else "union", parts, names=_names(parts))
    raise Refused("not a set of real numbers")


def _names(parts: tuple[Region, ...]) -> frozenset[str]:
    return frozenset[str]().union(*(part.names for part in parts)) if parts else frozenset()


def _point(node: Node) -> Region:
    return Region("piece", (), Piece(node, node, True, True))


def _end(node: Node) -> Node | None:
    """An end point, None for an infinite one."""
    inner = node.args[0] if node.op == "neg" else node
    return None if inner == Node("const", (), "inf") else node


def _interval(node: Node) -> Region:
    low, high = node.args
    brackets = str(node.value)
    for end, negative in ((low, True), (high, False)):
        if _end(end) is None and (end.op == "neg") != negative:
            raise Refused("an infinite end on the wrong side")
    return Region("piece", (), Piece(_end(low), _end(high), brackets[0] == "[", brackets[1] == "]"))


def _relation(node: Node) -> Region:
    signs = str(node.value).split()
    if signs == ["in"]:
        inner = read_region(node.args[1])
        return Region("inter", (inner,), names=inner.names | free_names(node.args[0]))
    parts = tuple(_half_line(node.args[at], sign, node.args[at + 1]) for at, sign in enumerate(signs))
    return parts[0] if len(parts) == 1 else Region("inter", parts, names=_names(parts))


def _half_line(left: Node, sign: str, right: Node) -> Region:
    """The solutions of one linear inequality in one variable."""
    names = free_names(left) | free_names(right)
    if left.op == "func" and left.value == "abs" and not free_names(right):
        return _distance(left.args[0], sign, right)
    if right.op == "func" and right.value == "abs" and not free_names(left):
        return _distance(right.args[0], _FLIP[sign], left)
    if len(names) != 1 or sign not in _FLIP:
        raise Refused("not an inequality in one variable")
    name = next(iter(names))
    if left.op != "sym" and right.op == "sym":
        left, sign, right = right, _FLIP[sign], left
    if left.op == "sym" and not free_names(right):
        bound: Node = right
    else:
        bound, rising = _linear_root(Node("add", (left, Node("neg", (right,)))), name)
        sign = sign if rising else _FLIP[sign]
    return _side(bound, sign, frozenset((name,)))


def _distance(inner: Node, sign: str, bound: Node) -> Region:
    """The solutions of |u| < c and its like."""
    low, high = _half_line(inner, _FLIP[sign], Node("neg", (bound,))), _half_line(inner, sign, bound)
    if sign not in ("<", "<=", ">", ">="):
        raise Refused("an absolute value that is not bounded")
    return Region("inter" if sign in ("<", "<=") else "union", (low, high), names=low.names)


def _side(bound: Node, sign: str, names: frozenset[str]) -> Region:
    end = _end(bound)
    if sign == "!=":
        return Region("minus", (EVERYTHING, _point(bound)), names=names)
    closed = sign in ("<=", ">=", "=")
    low, high = (end if sign in (">", ">=", "=") else None), (end if sign in ("<", "<=", "=") else None)
    return Region("piece", (), Piece(low, high, closed and low is not None, closed and high is not None), names)


def _linear_root(tree: Node, name: str) -> tuple[Node, bool]:
    """The root of a linear expression with rational coefficients, and whether it rises."""
    values = [exact(tree, {name: Fraction(at)}) for at in (0, 1, 2, 5)]
    slope = values[1] - values[0]
    if not slope or values[2] - values[1] != slope or values[3] - values[2] != 3 * slope:
        raise Refused("an inequality that is not linear")
    return number(-values[0] / slope), slope > 0


def _ends(region: Region) -> list[Node]:
    found = [end for end in (region.piece.low, region.piece.high) if end is not None] if region.piece else []
    return found + [end for part in region.parts for end in _ends(part)]


def _ordered(ends: list[Node]) -> list[list[Node]]:
    """The end points in order, equal ones together."""
    if len(ends) > MAX_ENDS:
        raise Refused(f"more than {MAX_ENDS} end points")
    classes: list[list[Node]] = []
    for end in ends:
        for group in classes:
            found = same_expression(group[0], end).outcome
            if found == "unparsed":
                raise Refused("end points that can't be compared")
            if found == "correct":
                group.append(end)
                break
        else:
            classes.append([end])
    return sorted(classes, key=cmp_to_key(_order))


def _order(one: list[Node], two: list[Node]) -> int:
    return sign_of(one[0], two[0])


def _holds(region: Region, cell: int, rank: dict[Node, int], top: int) -> bool:
    if region.piece is not None:
        piece = region.piece
        low = rank[piece.low] if piece.low is not None else -1
        high = rank[piece.high] if piece.high is not None else top
        return (
            low < cell < high
            or (cell == low and piece.low_in and low <= high)
            or (cell == high and piece.high_in and low <= high)
        )
    inside = [_holds(part, cell, rank, top) for part in region.parts]
    if region.op == "minus":
        return inside[0] and not inside[1]
    return all(inside) if region.op == "inter" else any(inside)


def same_region(left: Node, right: Node) -> Finding:
    """Whether two trees mean the same set of real numbers; symmetric; `unparsed` if one means none."""
    try:
        one, two = read_region(left), read_region(right)
        if one.names and two.names and one.names != two.names:
            return Finding("wrong", "structure", "different variables")
        classes = _ordered(_ends(one) + _ends(two))
    except Refused as refusal:
        return Finding("unparsed", "structure", str(refusal))
    rank = {end: 2 * at + 1 for at, group in enumerate(classes) for end in group}
    top = 2 * len(classes) + 1
    same = all(_holds(one, cell, rank, top) == _holds(two, cell, rank, top) for cell in range(top))
    return Finding("correct" if same else "wrong", "structure", f"{'the same' if same else 'different'} sets of reals")
