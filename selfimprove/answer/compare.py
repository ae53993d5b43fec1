"""The comparison of two settled trees, chosen by what they are.

The core is symmetric: swapping the sides changes no verdict. Structure comes first (sets and lists without order,
tuples by position, ratios, bases, matrices entry by entry, equations up to a constant factor, sets of reals by
`regions`) and each entry is compared as an expression. What does not fit is different: the comparison fails closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from selfimprove.answer.exact import exact
from selfimprove.answer.expressions import same_expression
from selfimprove.answer.finding import Finding
from selfimprove.answer.identity import proportional
from selfimprove.answer.regions import is_region, may_be_region, same_region
from selfimprove.answer.shape import split_unit
from selfimprove.answer.tree import Node, Refused, free_names, number, substitute

_DIFFERENT = Finding("wrong", "structure", "answers of different kinds")


def compare(left: Node, right: Node) -> Finding:
    """Whether two settled trees are the same answer; symmetric; never raises `Refused` or `Unreadable`."""
    if left == right:
        return Finding("correct", "string", "the same after normalisation")
    if {left.op, right.op} == {"seq", "set"} and _interval_like(left) and _interval_like(right):
        return same_region(left, right)
    left, right = _single(left), _single(right)
    for one, two in ((left, right), (right, left)):
        if one.op == "named" and two.op != "rel":
            return _named(one, two)
    if (left.op == "rel" and right.op in ("rel", "named")) or (right.op == "rel" and left.op == "named"):
        return _relations(left, right)
    left, right = _collapsed(left), _collapsed(right)
    if is_region(left) or is_region(right):
        return same_region(left, right) if may_be_region(left) and may_be_region(right) else _DIFFERENT
    if left.op in _KINDS or right.op in _KINDS:
        return _structures(left, right)
    return _quantities(left, right)


_KINDS = frozenset(("list", "set", "seq", "matrix", "ratio", "based", "text", "rel"))


def _single(node: Node) -> Node:
    """A set or list of one element as that element."""
    return node.args[0] if node.op in ("set", "list") and len(node.args) == 1 else node


def _collapsed(node: Node) -> Node:
    """A list whose items are all the same answer as that answer."""
    if node.op != "list" or any(item.op == "dots" for item in node.args):
        return node
    first = node.args[0]
    return first if all(compare(first, other).outcome == "correct" for other in node.args[1:]) else node


def _named(named: Node, other: Node) -> Finding:
    """A value with a name against one without, or with a name of its own."""
    name, value = named.args
    if other.op != "named":
        return compare(value, other)
    if name == other.args[0]:
        return compare(value, other.args[1])
    return _equations(_equation_of(named), _equation_of(other))


def _equation_of(node: Node) -> Node:
    """The difference of the two sides of an equation or a named value."""
    return Node("add", (node.args[0], Node("neg", (node.args[1],))))


def _relations(left: Node, right: Node) -> Finding:
    signs = [str(node.value) if node.op == "rel" else "=" for node in (left, right)]
    if signs == ["=", "="]:
        return _equations(_equation_of(left), _equation_of(right))
    if signs == ["== mod", "== mod"]:
        return _congruences(left, right)
    if is_region(left) and is_region(right):
        found = same_region(left, right)
        return found if found.outcome != "unparsed" else _inequalities(left, right)
    if signs[0] == signs[1] and len(left.args) == len(right.args):
        return _all(zip(left.args, right.args, strict=True))
    return Finding("wrong", "structure", "different relations")


def _equations(left: Node, right: Node) -> Finding:
    """Two equations are the same if one is the other times a constant that is not zero."""
    try:
        known = proportional(left, right)
    except Refused:
        known = None
    if known is None:
        return _scaled_equations(left, right)
    return Finding("correct" if known else "wrong", "identity", f"{'the same' if known else 'different'} equations")


def _scaled_equations(left: Node, right: Node) -> Finding:
    """Equations with roots or functions in them: the quotient of the two is the same at three points."""
    names = sorted(free_names(left) | free_names(right))
    points = [{name: Fraction(7 * at + 3 * k + 2, 5 + 4 * at) for k, name in enumerate(names)} for at in range(4)]
    ours = [substitute(left, point) for point in points]
    theirs = [substitute(right, point) for point in points]
    if (
        same_expression(ours[0], number(0)).outcome != "wrong"
        or same_expression(theirs[0], number(0)).outcome != "wrong"
    ):
        return Finding("unparsed", "evaluation", "an equation that may be empty")
    return _all(
        (Node("mul", (ours[at], theirs[0])), Node("mul", (ours[0], theirs[at]))) for at in range(1, len(points))
    )


def _congruences(left: Node, right: Node) -> Finding:
    try:
        modulus = exact(left.args[2])
        same = modulus != 0 and modulus == exact(right.args[2])
        same = same and (exact(left.args[1]) - exact(right.args[1])) % modulus == 0
    except Refused as refusal:
        return Finding("unparsed", "structure", str(refusal))
    same = same and same_expression(left.args[0], right.args[0]).outcome == "correct"
    return Finding("correct" if same else "wrong", "structure", f"{'the same' if same else 'different'} residues")


_FLIP = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "!=": "!="}


def _inequalities(left: Node, right: Node) -> Finding:
    """Inequalities in several variables: the same, or turned round."""
    first, second = str(left.value).split(), str(right.value).split()
    if len(left.args) != len(right.args):
        return Finding("wrong", "structure", "different relations")
    if first == second:
        found = _all(zip(left.args, right.args, strict=True))
        if found.outcome == "correct" or len(first) > 1:
            return found
    if [_FLIP.get(sign) for sign in reversed(first)] == second:
        return _all(zip(left.args, reversed(right.args), strict=True))
    return Finding("wrong", "structure", "different relations")


def _structures(left: Node, right: Node) -> Finding:
    kinds = {left.op, right.op}
    if kinds <= {"list", "set"}:
        return _unordered(left, right) if not _ordered_names(left, right) else _all_named(left, right)
    if kinds == {"list", "seq"}:
        return _list_and_tuple(left, right)
    if kinds == {"seq"}:
        return _sequences(left, right)
    if kinds == {"matrix"}:
        return _matrices(left, right)
    if kinds == {"matrix", "seq"}:
        return _rows(left, right)
    if kinds == {"ratio"}:
        return _ratios(left, right)
    if "based" in kinds:
        return _bases(left, right)
    return _DIFFERENT


def _interval_like(node: Node) -> bool:
    return node.op == "set" or (len(node.args) == 2 and node.value != "()")


def _ordered_names(left: Node, right: Node) -> bool:
    """Whether one side is a list of named values with names of different letters and the other is not named."""
    named = [all(item.op == "named" for item in node.args) for node in (left, right)]
    if named == [True, True]:
        return False
    for node, is_named in ((left, named[0]), (right, named[1])):
        if is_named and len({str(item.args[0].value)[:1] or "?" for item in node.args}) == len(node.args):
            return True
    return False


def _all_named(left: Node, right: Node) -> Finding:
    if len(left.args) != len(right.args):
        return Finding("wrong", "structure", "a different number of items")
    return _all(zip(left.args, right.args, strict=True))


def _list_and_tuple(left: Node, right: Node) -> Finding:
    """3, 4 against (3, 4): by position; a list of tuples is no tuple."""
    tuple_ = left if left.op == "seq" else right
    if tuple_.value not in ("()", "[]") or any(arg.op in ("seq", "list") for arg in tuple_.args):
        return _DIFFERENT
    return _all_named(left, right)


def _sequences(left: Node, right: Node) -> Finding:
    if len(left.args) != len(right.args):
        return Finding("wrong", "structure", "a different number of entries")
    if len(left.args) == 2 and left.value != right.value:
        return Finding("wrong", "structure", "different brackets")
    return _all(zip(left.args, right.args, strict=True))


def _all(pairs: object) -> Finding:
    """Correct if every pair is; wrong if one is; by position."""
    doubt: Finding | None = None
    last = Finding("correct", "structure", "every part is equal")
    for left, right in pairs:  # type: ignore[attr-defined]
        found = compare(left, right)
        if found.outcome == "wrong":
            return Finding("wrong", found.stage, f"a part differs: {found.reason}")
        doubt = found if found.outcome == "unparsed" else doubt
    return doubt or last


def _unordered(left: Node, right: Node) -> Finding:
    """Each item of one side has its equal on the other; an item written twice counts once."""
    if any(item.op == "dots" for item in (*left.args, *right.args)):
        return _all_named(left, right)
    ours, theirs = _distinct(left), _distinct(right)
    if len(ours) != len(theirs):
        return Finding("wrong", "structure", "a different number of items")
    return _matched(ours, theirs)


def _distinct(node: Node) -> list[Node]:
    """The items, each value once."""
    kept: list[Node] = []
    for item in node.args:
        if not any(compare(item, other).outcome == "correct" for other in kept):
            kept.append(item)
    return kept


def _matched(ours: Sequence[Node], theirs: Sequence[Node]) -> Finding:
    left = list(theirs)
    doubt: Finding | None = None
    for item in ours:
        for at, other in enumerate(left):
            found = compare(item, other)
            if found.outcome == "correct":
                del left[at]
                break
            doubt = found if found.outcome == "unparsed" else doubt
        else:
            return doubt or Finding("wrong", "structure", "an item has no equal")
    if left:
        return Finding("wrong", "structure", "a different number of items")
    return Finding("correct", "structure", "the same items")


def _matrices(left: Node, right: Node) -> Finding:
    if [len(row.args) for row in left.args] != [len(row.args) for row in right.args]:
        return Finding("wrong", "structure", "matrices of different size")
    cells = [
        pair for one, two in zip(left.args, right.args, strict=True) for pair in zip(one.args, two.args, strict=True)
    ]
    return _all(cells)


def _rows(left: Node, right: Node) -> Finding:
    """A matrix against rows in brackets, [[1, 2], [3, 4]]."""
    matrix, rows = (left, right) if left.op == "matrix" else (right, left)
    if not all(row.op == "seq" for row in rows.args):
        return _DIFFERENT
    return _matrices(matrix, Node("matrix", tuple(Node("row", row.args) for row in rows.args)))


def _ratios(left: Node, right: Node) -> Finding:
    """Part by part, or proportional; times of day are not proportional."""
    if len(left.args) != len(right.args):
        return Finding("wrong", "structure", "ratios of different length")
    found = _all(zip(left.args, right.args, strict=True))
    if found.outcome == "correct" or (len(left.args) == 2 and _is_time(left) and _is_time(right)):
        return found
    crossed = [
        (Node("mul", (one, right.args[0])), Node("mul", (two, left.args[0])))
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
    if left.op == right.op == "based":
        same = left.args == right.args and str(left.value).lstrip("0") == str(right.value).lstrip("0")
    else:
        based, other = (left, right) if left.op == "based" else (right, left)
        same = other == number(int(str(based.value)))
    return Finding(
        "correct" if same else "wrong", "structure", f"{'the same' if same else 'different'} digits and base"
    )


def _quantities(left: Node, right: Node) -> Finding:
    """Two expressions with units: the values must be equal, and the units if both have one."""
    (one, unit), (two, other) = split_unit(left), split_unit(right)
    if "percent" in (unit, other) and unit != other:
        return _percent(one, two, unit, other)
    if unit is not None and other is not None and not _units_agree(unit, other):
        return Finding("wrong", "units", f"{unit} against {other}")
    if one.op in _KINDS or two.op in _KINDS:
        return compare(one, two) if (one, two) != (left, right) else _DIFFERENT
    return same_expression(one, two)


def _units_agree(unit: str, other: str) -> bool:
    """Whether two units are the same, one of them perhaps with more words behind it."""
    return unit == other or unit.split()[0] == other.split()[0]


def _percent(one: Node, two: Node, unit: str | None, other: str | None) -> Finding:
    """28 % is 0.28; a percent sign that is only left out is no other answer."""
    if unit is not None and other is not None:
        return Finding("wrong", "units", f"{unit} against {other}")
    share, plain = (one, two) if unit == "percent" else (two, one)
    if same_expression(Node("div", (share, number(100))), plain).outcome == "correct":
        return Finding("correct", "units", "equal as a share of one hundred")
    return same_expression(share, plain)
