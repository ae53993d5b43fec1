"""Sets of real numbers: intervals, inequalities, unions and differences, compared cell by cell.

All end points of both sides are put in order once; between and on them lie finitely many cells. Each side is asked
for each cell whether it belongs to it, so (0, 36) without 9 equals (0, 9) ∪ (9, 36), and x > 2 equals (2, ∞). Two
sides that name different variables are different.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cmp_to_key

from selfimprove.answer.equality import same_expression
from selfimprove.answer.exact import exact
from selfimprove.answer.inequalities import solutions
from selfimprove.answer.precision import sign_of
from selfimprove.answer.tree import (
    INFINITY,
    MIRRORED,
    Brackets,
    Join,
    Node,
    Op,
    Refused,
    Sign,
    difference,
    free_names,
    negative,
    number,
)
from selfimprove.answer.verdict import Finding, Outcome

MAX_ENDS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An interval by its two end points (None: unbounded) and whether they belong to it."""

    low: Node | None
    high: Node | None
    low_in: bool
    high_in: bool
    names: frozenset[str] = frozenset()

    @property
    def ends(self) -> list[Node]:
        """The end points that are not infinite."""
        return [end for end in (self.low, self.high) if end is not None]


@dataclass(frozen=True, slots=True)
class Combination:
    """Regions joined by `Op.UNION`, `Op.INTERSECTION` or `Op.DIFFERENCE`; `names`: the variables the text named."""

    op: Op
    parts: tuple[Region, ...]
    names: frozenset[str] = frozenset()

    @property
    def ends(self) -> list[Node]:
        """The end points of all parts."""
        return [end for part in self.parts for end in part.ends]


Region = Interval | Combination
NOTHING = Combination(Op.UNION, ())
EVERYTHING = Interval(low=None, high=None, low_in=False, high_in=False)

_COMBINING = frozenset((Op.UNION, Op.INTERSECTION, Op.DIFFERENCE))
_ALWAYS = _COMBINING | {Op.EMPTY, Op.DOMAIN}
_IN_COMPANY = _ALWAYS | {Op.SEQUENCE, Op.SET, Op.RELATION, Op.NAMED, Op.LIST}
_SIGNS = frozenset(MIRRORED) | {Sign.IN}
_UPPER = frozenset((Sign.LESS, Sign.AT_MOST))
_LOWER = frozenset((Sign.GREATER, Sign.AT_LEAST))


def is_region(node: Node) -> bool:
    """Whether the tree can only mean a set of real numbers."""
    if node.op in _ALWAYS:
        return True
    if not may_be_region(node):
        return False
    if node.op is Op.RELATION:
        return _SIGNS.issuperset(node.signs)
    return node.op is Op.LIST and bool(node.args) and all(is_region(arg) for arg in node.args)


def may_be_region(node: Node) -> bool:
    """Whether the tree can be read as a set of real numbers in company of one."""
    return node.op in _IN_COMPANY


def read_region(node: Node) -> Region:
    """The region a tree means; raises `Refused` if it means none."""
    if node.op in _COMBINING:
        return _combined(node.op, node.args)
    if node.op is Op.EMPTY:
        return NOTHING
    if node.op is Op.DOMAIN and node.value == "R":
        return EVERYTHING
    if isinstance(node.value, Brackets) and len(node.args) == 2:
        return _interval(node.value, *node.args)
    if node.op is Op.SET:
        return Combination(Op.UNION, tuple(_point(arg) for arg in node.args))
    if node.op is Op.RELATION:
        return _relation(node)
    if node.op is Op.NAMED:
        return Combination(Op.UNION, (_point(node.args[1]),), free_names(node.args[0]))
    if node.op is Op.LIST:
        return _listed(node)
    raise Refused("not a set of real numbers")


def _combined(op: Op, nodes: tuple[Node, ...]) -> Combination:
    return _joined(op, tuple(read_region(node) for node in nodes))


def _listed(node: Node) -> Combination:
    """Conditions joined by `and`, or by a comma where all of them can hold: `x > 0, x < 5`, and not `x < 1, x > 3`."""
    both = _combined(Op.INTERSECTION, node.args)
    if node.value is Join.AND or (
        node.value is Join.COMMA and all(arg.op is Op.RELATION for arg in node.args) and not _is_empty(both)
    ):
        return both
    return _joined(Op.UNION, both.parts)


def _is_empty(region: Region) -> bool:
    rank, ends = cells_of([region])
    top = 2 * len(ends) + 1
    return not any(holds(region, cell, rank, top) for cell in range(top))


def _joined(op: Op, parts: tuple[Region, ...]) -> Combination:
    return Combination(op, parts, frozenset[str]().union(*(part.names for part in parts)))


def _point(node: Node) -> Interval:
    return Interval(low=node, high=node, low_in=True, high_in=True)


def _end(node: Node) -> Node | None:
    """An end point, None for an infinite one."""
    inner = node.args[0] if node.op is Op.NEG else node
    return None if inner == INFINITY else node


def _interval(brackets: Brackets, low: Node, high: Node) -> Interval:
    for end, is_low in ((low, True), (high, False)):
        if _end(end) is None and (end.op is Op.NEG) != is_low:
            raise Refused("an infinite end on the wrong side")
    return Interval(low=_end(low), high=_end(high), low_in=brackets.opening == "[", high_in=brackets.closing == "]")


def _relation(node: Node) -> Region:
    signs = node.signs
    if signs == (Sign.IN,):
        inner = read_region(node.args[1])
        return Combination(Op.INTERSECTION, (inner,), inner.names | free_names(node.args[0]))
    parts = tuple(_half_line(node.args[at], sign, node.args[at + 1]) for at, sign in enumerate(signs))
    return parts[0] if len(parts) == 1 else _joined(Op.INTERSECTION, parts)


def _half_line(left: Node, sign: Sign, right: Node) -> Region:
    """The solutions of one linear inequality or equation in one variable."""
    names = free_names(left) | free_names(right)
    mirrored = sign if sign is Sign.EQUAL else MIRRORED.get(sign)
    if mirrored is None:
        raise Refused("not an inequality in one variable")
    if sign is not Sign.EQUAL and sign is not Sign.UNEQUAL and _is_distance(left) and not free_names(right):
        return _within(left.args[0], sign, mirrored, right)
    if sign is not Sign.EQUAL and sign is not Sign.UNEQUAL and _is_distance(right) and not free_names(left):
        return _within(right.args[0], mirrored, sign, left)
    if len(names) != 1:
        raise Refused("not an inequality in one variable")
    (name,) = names
    if left.op is not Op.SYMBOL and right.op is Op.SYMBOL:
        left, sign, mirrored, right = right, mirrored, sign, left
    if left.op is Op.SYMBOL and not free_names(right):
        return _side(right, sign, names)
    try:
        root, rises = linear_root(difference(left, right), name)
    except Refused:
        return _solved(difference(left, right), name, sign)
    return _side(root, sign if rises else mirrored, names)


def _solved(gap: Node, name: str, sign: Sign) -> Region:
    """The solutions of a polynomial or rational inequality."""
    cells = solutions(gap, name, sign)
    parts = tuple(Interval(low=cell.low, high=cell.high, low_in=cell.is_point, high_in=cell.is_point) for cell in cells)
    return Combination(Op.UNION, parts, frozenset((name,)))


def _is_distance(node: Node) -> bool:
    return node.op is Op.FUNCTION and node.value == "abs"


def _within(inner: Node, sign: Sign, mirrored: Sign, bound: Node) -> Region:
    """The solutions of |u| < c and its like."""
    parts = (_half_line(inner, mirrored, negative(bound)), _half_line(inner, sign, bound))
    if sign not in _UPPER and sign not in _LOWER:
        raise Refused("an absolute value that is not bounded")
    return Combination(Op.INTERSECTION if sign in _UPPER else Op.UNION, parts, parts[0].names)


def _side(bound: Node, sign: Sign, names: frozenset[str]) -> Region:
    """All numbers that stand in this relation to the bound."""
    if sign is Sign.UNEQUAL:
        return Combination(Op.DIFFERENCE, (EVERYTHING, _point(bound)), names)
    end = _end(bound)
    low, high = (None if sign in _UPPER else end), (None if sign in _LOWER else end)
    closed = sign is not Sign.LESS and sign is not Sign.GREATER
    return Interval(
        low=low, high=high, low_in=closed and low is not None, high_in=closed and high is not None, names=names
    )


def linear_root(tree: Node, name: str) -> tuple[Node, bool]:
    """The root of a linear expression with rational coefficients, and whether it rises."""
    values = [exact(tree, {name: Fraction(at)}) for at in (0, 1, 2, 5)]
    slope = values[1] - values[0]
    if not slope or values[2] - values[1] != slope or values[3] - values[2] != 3 * slope:
        raise Refused("an inequality that is not linear")
    return number(-values[0] / slope), slope > 0


def _ordered(ends: list[Node]) -> list[list[Node]]:
    """The end points in order, equal ones together."""
    if len(ends) > MAX_ENDS:
        raise Refused(f"more than {MAX_ENDS} end points")
    classes: list[list[Node]] = []
    for end in ends:
        for group in classes:
            found = same_expression(group[0], end).outcome
            if found is Outcome.UNPARSED:
                raise Refused("end points that can't be compared")
            if found is Outcome.CORRECT:
                group.append(end)
                break
        else:
            classes.append([end])
    return sorted(classes, key=cmp_to_key(_order))


def _order(one: list[Node], two: list[Node]) -> int:
    return sign_of(one[0], two[0])


def holds(region: Region, cell: int, rank: dict[Node, int], top: int) -> bool:
    """Whether the cell belongs to the region; `rank` numbers the end points among the cells, `top` is past the last."""
    if isinstance(region, Interval):
        low = rank[region.low] if region.low is not None else -1
        high = rank[region.high] if region.high is not None else top
        return (
            low < cell < high
            or (cell == low and region.low_in and low <= high)
            or (cell == high and region.high_in and low <= high)
        )
    inside = [holds(part, cell, rank, top) for part in region.parts]
    if region.op is Op.DIFFERENCE:
        return inside[0] and not inside[1]
    return all(inside) if region.op is Op.INTERSECTION else any(inside)


def cells_of(regions: list[Region], more: Sequence[Node] = ()) -> tuple[dict[Node, int], list[Node]]:
    """The number of the cell that each end point is, and the end points in order, equal ones once; `more`: others."""
    classes = _ordered([*(end for region in regions for end in region.ends), *more])
    return {end: 2 * at + 1 for at, group in enumerate(classes) for end in group}, [group[0] for group in classes]


def same_region(left: Node, right: Node) -> Finding:
    """Whether two trees mean the same set of real numbers; symmetric; `unparsed` if one means none."""
    try:
        one, two = read_region(left), read_region(right)
        if one.names and two.names and one.names != two.names:
            return Finding(Outcome.WRONG, "structure", "different variables")
        rank, ends = cells_of([one, two])
    except Refused as refusal:
        return Finding(Outcome.UNPARSED, "structure", str(refusal))
    top = 2 * len(ends) + 1
    same = all(holds(one, cell, rank, top) == holds(two, cell, rank, top) for cell in range(top))
    return Finding(Outcome.of(same), "structure", f"{'the same' if same else 'different'} sets of reals")
