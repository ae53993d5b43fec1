"""The comparison of two settled trees, chosen by what they are.

The core is symmetric: swapping the sides changes no verdict. Structure comes first (sets and lists without order,
tuples by position, ratios, bases, matrices entry by entry, equations up to a constant factor, sets of reals by
`regions`) and each entry is compared as an expression. What does not fit is different: the comparison fails closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from selfimprove.answer.congruences import CONGRUENCE, OTHER_RELATIONS, residue, same_congruences, same_residues
from selfimprove.answer.definitions import as_point, in_order, in_same_variables, in_variable_of
from selfimprove.answer.equality import EXPRESSION, same_expression
from selfimprove.answer.exact import exact
from selfimprove.answer.identity import proportional
from selfimprove.answer.pieces import same_pieces
from selfimprove.answer.regions import is_region, may_be_region, same_region
from selfimprove.answer.scales import goes_on_in_measures, in_radians, ratio, with_letter
from selfimprove.answer.shape import DEGREE, PERCENT, split_unit
from selfimprove.answer.tree import (
    MIRRORED,
    ROUND,
    SQUARE,
    Node,
    Op,
    Refused,
    Sign,
    Unit,
    difference,
    free_names,
    number,
    substitute,
)
from selfimprove.answer.verdict import Finding, Outcome

_RADIAN, _HEAT = Unit(("radian",)), frozenset((Unit(("celsius",)), Unit(("fahrenheit",))))
SAME_ITEMS = "the same items"
_DIFFERENT = Finding(Outcome.WRONG, "structure", "answers of different kinds")
_STRUCTURES = frozenset((Op.LIST, Op.SET, Op.SEQUENCE, Op.MATRIX, Op.RATIO, Op.BASED, Op.TEXT, Op.RELATION))


def compare(left: Node, right: Node) -> Finding:
    """Whether two settled trees are the same answer; symmetric; never raises `Refused` or `Unreadable`."""
    if left == right:
        return Finding(Outcome.CORRECT, "string", "the same after normalisation")
    kinds = {left.op, right.op}
    if kinds <= _PLAIN:
        return same_expression(left, right)
    if kinds == _INTERVAL_AND_SET and _interval_like(left) and _interval_like(right):
        return same_region(left, right)
    if kinds == _RELATION_AND_SET and is_region(left if left.op is Op.RELATION else right):
        return same_region(left, right)
    left, right = _single(left), _single(right)
    kinds = {left.op, right.op}
    if kinds in _POINT_AND_NAME:
        return _structures(as_point(left), as_point(right))
    if Op.NAMED in kinds and Op.RELATION not in kinds:
        return _named(left, right) if left.op is Op.NAMED else _named(right, left)
    if kinds <= _EQUATIONS:
        return _relations(left, right)
    if (remainder := residue(left, right) or residue(right, left)) is not None:
        return remainder
    if Op.CASES in kinds:
        return same_pieces(left, right) if kinds <= _PIECES else _DIFFERENT
    left, right = _collapsed(left), _collapsed(right)
    if is_region(left) or is_region(right):
        return same_region(left, right) if may_be_region(left) and may_be_region(right) else _DIFFERENT
    if left.op in _STRUCTURES or right.op in _STRUCTURES:
        return _structures(left, right)
    return _quantities(left, right)


_PIECES = EXPRESSION | {Op.CASES}
_PLAIN = EXPRESSION - {Op.NEG, Op.DEGREES, Op.PERCENT}  # what can have no unit at its root
_INTERVAL_AND_SET = {Op.SEQUENCE, Op.SET}
_POINT_AND_NAME = ({Op.SEQUENCE, Op.MUL}, {Op.SEQUENCE, Op.ADD})
_RELATION_AND_SET = {Op.RELATION, Op.SET}
_EQUATIONS = frozenset((Op.RELATION, Op.NAMED))


def _single(node: Node) -> Node:
    """A set or list of one element as that element."""
    return node.args[0] if len(node.args) == 1 and node.op in (Op.SET, Op.LIST) else node


def _collapsed(node: Node) -> Node:
    """A list of equal answers as one of them."""
    if node.op is not Op.LIST or any(item.op is Op.DOTS for item in node.args):
        return node
    first = node.args[0]
    return first if all(_equal(first, other) for other in node.args[1:]) else node


def _equal(left: Node, right: Node) -> bool:
    return compare(left, right).outcome is Outcome.CORRECT


def _named(named: Node, other: Node) -> Finding:
    """A value with a name against one without, or with a name of its own."""
    name, value = named.args
    if other.op is not Op.NAMED:
        return compare(in_variable_of(named, other), other) if name.op is Op.APPLY else compare(value, other)
    if name == other.args[0]:
        return compare(value, other.args[1])
    if Op.APPLY in (name.op, other.args[0].op) and (functions := in_same_variables(named, other)) is not None:
        return compare(*functions)
    return _equations(_equation_of(named), _equation_of(other))


def _equation_of(node: Node) -> Node:
    """The difference of the two sides of an equation or a named value."""
    return difference(*node.args)


def _relations(left: Node, right: Node) -> Finding:
    signs = [node.signs or (Sign.EQUAL,) for node in (left, right)]  # a named value is an equation
    if signs == [(Sign.EQUAL,), (Sign.EQUAL,)]:
        return _equations(_equation_of(left), _equation_of(right))
    if signs == [CONGRUENCE, CONGRUENCE]:
        return same_congruences(left, right)
    if is_region(left) and is_region(right):
        found = same_region(left, right)
        return found if found.outcome is not Outcome.UNPARSED else _inequalities(left, right)
    if signs[0] == signs[1] and len(left.args) == len(right.args):
        return _by_position(left, right)
    return OTHER_RELATIONS


def _equations(left: Node, right: Node) -> Finding:
    """Two equations are the same if one is the other times a constant that is not zero."""
    try:
        known = proportional(left, right)
    except Refused:
        known = None
    if known is None:
        return _scaled_equations(left, right)
    return Finding(Outcome.of(known), "identity", f"{'the same' if known else 'different'} equations")


def _scaled_equations(left: Node, right: Node) -> Finding:
    """Equations with roots or functions in them: the quotient of the two is the same at three points."""
    names = sorted(free_names(left) | free_names(right))
    points = [{name: Fraction(7 * at + 3 * k + 2, 5 + 4 * at) for k, name in enumerate(names)} for at in range(4)]
    ours = [substitute(left, point) for point in points]
    theirs = [substitute(right, point) for point in points]
    if any(same_expression(side[0], number(0)).outcome is not Outcome.WRONG for side in (ours, theirs)):
        return Finding(Outcome.UNPARSED, "evaluation", "an equation that may be empty")
    return _all(
        (Node(Op.MUL, (ours[at], theirs[0])), Node(Op.MUL, (ours[0], theirs[at]))) for at in range(1, len(points))
    )


def _inequalities(left: Node, right: Node) -> Finding:
    """Inequalities in several variables: the same, or turned round."""
    if len(left.args) != len(right.args):
        return OTHER_RELATIONS
    if left.signs == right.signs:
        found = _by_position(left, right)
        if found.outcome is Outcome.CORRECT or len(left.signs) > 1:
            return found
    if tuple(MIRRORED.get(sign) for sign in reversed(left.signs)) == right.signs:
        return _all(zip(left.args, reversed(right.args), strict=True))
    return OTHER_RELATIONS


def _structures(left: Node, right: Node) -> Finding:
    kinds = {left.op, right.op}
    if kinds <= {Op.LIST, Op.SET}:
        named = _ordered_names(left, right)
        return _by_position(in_order(left), in_order(right)) if named else _unordered(left, right)
    if kinds == {Op.LIST, Op.SEQUENCE}:
        return _list_and_tuple(in_order(left), in_order(right))
    if kinds == {Op.SEQUENCE}:
        return _sequences(left, right)
    if kinds == {Op.MATRIX}:
        return _matrices(left, right)
    if kinds == {Op.MATRIX, Op.SYMBOL}:
        return _identity_matrix(left, right)
    if kinds == {Op.MATRIX, Op.SEQUENCE}:
        return _rows(left, right)
    if kinds == {Op.RATIO}:
        return _ratios(left, right)
    if Op.RATIO in kinds and (shares := _as_share(left, right)) is not None:
        return shares
    return _bases(left, right) if Op.BASED in kinds else _DIFFERENT


def _as_share(left: Node, right: Node) -> Finding | None:
    """A fraction for a reference that is a ratio of two numbers, 3/4 for 3:4; None for anything else."""
    if left.op is not Op.RATIO or len(left.args) != 2 or right.op is not Op.DIV:
        return None
    if free_names(left) or free_names(right):
        return None
    return same_expression(Node(Op.DIV, left.args), right)


def _interval_like(node: Node) -> bool:
    return node.op is Op.SET or (len(node.args) == 2 and node.value != ROUND)


def _ordered_names(left: Node, right: Node) -> bool:
    """Whether one side is a list of named values with names of different letters and the other is not named."""
    named = [all(item.op is Op.NAMED for item in node.args) for node in (left, right)]
    if named == [True, True]:
        return False
    for node, is_named in ((left, named[0]), (right, named[1])):
        if is_named and len({item.args[0].name[:1] or "?" for item in node.args}) == len(node.args):
            return True
    return False


def _by_position(left: Node, right: Node, unequal: str = "a different number of items") -> Finding:
    """Argument by argument; `unequal` is the reason where there are more on one side."""
    if len(left.args) != len(right.args):
        return Finding(Outcome.WRONG, "structure", unequal)
    return _all(zip(left.args, right.args, strict=True))


def _list_and_tuple(left: Node, right: Node) -> Finding:
    """3, 4 against (3, 4): by position; a list of tuples is no tuple."""
    sequence = left if left.op is Op.SEQUENCE else right
    if sequence.value not in (ROUND, SQUARE) or any(arg.op in (Op.SEQUENCE, Op.LIST) for arg in sequence.args):
        return _DIFFERENT
    return _by_position(left, right)


def _sequences(left: Node, right: Node) -> Finding:
    if len(left.args) == len(right.args) == 2 and left.value != right.value:
        return Finding(Outcome.WRONG, "structure", "different brackets")
    return _by_position(left, right, "a different number of entries")


def _all(pairs: Iterable[tuple[Node, Node]]) -> Finding:
    """Correct if every pair is; wrong if one is."""
    doubt: Finding | None = None
    for left, right in pairs:
        found = compare(left, right)
        if found.outcome is Outcome.WRONG:
            return Finding(Outcome.WRONG, found.stage, f"a part differs: {found.reason}")
        doubt = found if found.outcome is Outcome.UNPARSED else doubt
    return doubt or Finding(Outcome.CORRECT, "structure", "every part is equal")


def _unordered(left: Node, right: Node) -> Finding:
    """Each item of one side has its equal on the other; an item written twice counts once."""
    if any(item.op is Op.DOTS for item in (*left.args, *right.args)):
        return _by_position(left, right)
    ours, theirs = _distinct(left), _distinct(right)
    if len(ours) != len(theirs):
        return Finding(Outcome.WRONG, "structure", "a different number of items")
    return _matched(ours, theirs)


def _distinct(node: Node) -> list[Node]:
    """The items, each value once."""
    kept: list[Node] = []
    for item in node.args:
        if not any(_equal(item, other) for other in kept):
            kept.append(item)
    return kept


def in_other_order(left: Node, right: Node, *, parts: bool) -> bool:
    """Whether two lists, of three or more words each or of answers to parts, have the same items in other orders."""
    if left.op is not Op.LIST or right.op is not Op.LIST:
        return False
    if not parts and not _are_words(left, right):
        return False
    return _unordered(left, right).outcome is Outcome.CORRECT and _by_position(left, right).outcome is Outcome.WRONG


def _are_words(left: Node, right: Node) -> bool:
    """Whether these are lists of three or more words."""
    if min(len(left.args), len(right.args)) < _RANKED:
        return False
    kinds = [item.op for item in left.args]
    return kinds.count(Op.TEXT) >= _RANKED - 1 and Op.NUMBER not in kinds


_RANKED = 3


def _matched(ours: Sequence[Node], theirs: Sequence[Node]) -> Finding:
    left = list(theirs)
    doubt: Finding | None = None
    for item in ours:
        for at, other in enumerate(left):
            found = compare(item, other)
            if found.outcome is Outcome.CORRECT:
                del left[at]
                break
            doubt = found if found.outcome is Outcome.UNPARSED else doubt
        else:
            return doubt or Finding(Outcome.WRONG, "structure", "an item has no equal")
    if left:
        return Finding(Outcome.WRONG, "structure", "a different number of items")
    return Finding(Outcome.CORRECT, "structure", SAME_ITEMS)


def _matrices(left: Node, right: Node) -> Finding:
    if [len(row.args) for row in left.args] != [len(row.args) for row in right.args]:
        return Finding(Outcome.WRONG, "structure", "matrices of different size")
    rows = zip(left.args, right.args, strict=True)
    return _all(pair for one, two in rows for pair in zip(one.args, two.args, strict=True))


def _identity_matrix(left: Node, right: Node) -> Finding:
    """A matrix against the letter I, with or without its size."""
    matrix, letter = (left, right) if left.op is Op.MATRIX else (right, left)
    size = len(matrix.args)
    if letter.name not in ("I", f"I_{size}"):
        return _DIFFERENT
    rows = tuple(Node(Op.ROW, tuple(number(int(at == to)) for to in range(size))) for at in range(size))
    return _matrices(matrix, Node(Op.MATRIX, rows))


def _rows(left: Node, right: Node) -> Finding:
    """A matrix against rows in brackets, [[1, 2], [3, 4]]; a column against its entries, (1, 2, 5)."""
    matrix, rows = (left, right) if left.op is Op.MATRIX else (right, left)
    if all(len(row.args) == 1 for row in matrix.args) and not any(row.op is Op.SEQUENCE for row in rows.args):
        column = Node(Op.SEQUENCE, tuple(row.args[0] for row in matrix.args))
        return _by_position(column, rows, "a different number of entries")
    if not all(row.op is Op.SEQUENCE for row in rows.args):
        return _DIFFERENT
    return _matrices(matrix, Node(Op.MATRIX, tuple(Node(Op.ROW, row.args) for row in rows.args)))


def _ratios(left: Node, right: Node) -> Finding:
    """Part by part, or proportional; times of day are not proportional."""
    if len(left.args) != len(right.args):
        return Finding(Outcome.WRONG, "structure", "ratios of different length")
    found = _by_position(left, right)
    if found.outcome is Outcome.CORRECT or (len(left.args) == 2 and _is_time(left) and _is_time(right)):
        return found
    crossed = [
        (Node(Op.MUL, (one, right.args[0])), Node(Op.MUL, (two, left.args[0])))
        for one, two in zip(left.args[1:], right.args[1:], strict=True)
    ]
    return _all(crossed)


def _is_time(node: Node) -> bool:
    """Whether a ratio could be a time of day: hours up to 24, minutes of two digits below 60."""
    try:
        hours, minutes = (exact(arg) for arg in node.args)
    except Refused:
        return False
    return hours.denominator == minutes.denominator == 1 and 0 <= hours <= 24 and (minutes == 0 or 10 <= minutes < 60)


def _bases(left: Node, right: Node) -> Finding:
    """The same digits in the same base; a base that is left out is taken from the other side."""
    if left.op is right.op:
        same = left.args == right.args and left.name.lstrip("0") == right.name.lstrip("0")
    else:
        based, other = (left, right) if left.op is Op.BASED else (right, left)
        same = other == number(int(based.name))
    reason = f"{'the same' if same else 'different'} digits and base"
    return Finding(Outcome.of(same), "structure", reason)


def _quantities(left: Node, right: Node) -> Finding:
    """Two expressions with units: the values must be equal, and the first words of the units if both have one."""
    (one, unit), (two, other) = split_unit(left), split_unit(right)
    if unit != other and PERCENT in (unit, other):
        return _percent(one, two, unit, other)
    if DEGREE in (unit, other) and not _HEAT.isdisjoint((unit, other)):
        return same_expression(one, two)
    if unit is not None and other is not None and unit.words[0] == other.words[0] == "mod":
        return same_residues(one, two, unit, other)
    if {unit, other} == {DEGREE, _RADIAN}:
        angle, plain = (one, two) if unit == DEGREE else (two, one)
        return same_expression(Node(Op.DEGREES, (angle,)), plain)
    if {unit, other} == {DEGREE, None} and in_radians(one if unit is None else two):
        return same_expression(left, right)
    if (unit is None) != (other is None):
        (one, unit), (two, other) = with_letter(one, unit, other), with_letter(two, other, unit)
    if unit != other and unit is not None and other is not None:
        if (share := ratio(unit, other)) is not None:
            return same_expression(Node(Op.MUL, (one, number(share))), two)
        if unit.words[:1] != other.words[:1] or goes_on_in_measures(unit) or goes_on_in_measures(other):
            return Finding(Outcome.WRONG, "units", f"{unit} against {other}")
    if one.op in _STRUCTURES or two.op in _STRUCTURES:
        return compare(one, two) if (one, two) != (left, right) else _DIFFERENT
    return same_expression(one, two)


def _percent(one: Node, two: Node, unit: Unit | None, other: Unit | None) -> Finding:
    """28 % is 0.28; a percent sign that is only left out is no other answer."""
    if unit is not None and other is not None:
        return Finding(Outcome.WRONG, "units", f"{unit} against {other}")
    share, plain = (one, two) if unit == PERCENT else (two, one)
    if same_expression(Node(Op.DIV, (share, number(100))), plain).outcome is Outcome.CORRECT:
        return Finding(Outcome.CORRECT, "units", "equal as a share of one hundred")
    return same_expression(share, plain)
