"""Answers that say one thing twice: a count before its list, a quantity in two units, a sum behind its terms.

"There are 5 solutions: 0, 1, 2, 3, and 4" states 5 as well as the list; "3 weeks, or 21 days" states 21 for a reference
without a unit as well as 3; "a = 4, b = 5, a + b = 9" states 9. Each counts only if the two parts agree: as many items
as the count says, equal quantities, the sum that the terms have.
"""

from __future__ import annotations

import re

from selfimprove.answer.equality import same_expression
from selfimprove.answer.reading import read
from selfimprove.answer.scales import ratio
from selfimprove.answer.shape import split_unit
from selfimprove.answer.tree import Join, Node, Op, Sign, free_names, substitute_all
from selfimprove.answer.verdict import Finding, Outcome
from selfimprove.answer.words import spoken_number

_WORDS = "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_COUNT = re.compile(
    rf"\b(?:there (?:are|is)|has|have|is|are|be|equals|total of|=)\s(?:exactly |only |just |a total of )?[$*]{{0,3}}"
    rf"(\d{{1,3}}|{_WORDS})[$*]{{0,3}}(?:(?:\s(?!and\b|or\b)[A-Za-z-]+){{1,8}},|"
    r"(?:\s(?!and\b|or\b)[A-Za-z-]+){0,8}\s?[:–—])"
    r"\s?(?:(?:namely|they are|these are)[,:]?\s)?(?=[$({\[*-]{0,4}\d)",
    re.IGNORECASE,
)
_MOST_ITEMS = 60


def count_before(text: str, listed: str) -> str | None:
    """The count that the last sentence of a text states before this list of as many items; None without one."""
    node = read(listed).node
    last = text.rstrip().rpartition("\n")[2][-600:]
    for count in reversed(list(_COUNT.finditer(last))):
        items = node.args if node is not None and node.op in (Op.LIST, Op.SET) else _points(last[count.end() :])
        value = count[1] if count[1].isdigit() else spoken_number(count[1])
        if last.rfind(listed) < count.end() - 1:
            continue
        if items is not None and 1 < len(items) < _MOST_ITEMS and int(value or 0) == len(items):
            return str(value)
    return None


def _points(text: str) -> list[str] | None:
    """The pairs or triples that a text consists of: "(1,6), (2,5), (3,4)."."""
    return _POINT.findall(text) if _ONLY_POINTS.fullmatch(text.strip()) else None


_POINT = re.compile(r"\([-\d., /]{1,30}\)")
_ONLY_POINTS = re.compile(r"(?:\([-\d., /]{1,30}\)[,;\s$.]{0,4}(?:and\s)?){2,60}")


def either_measure(reference: Node, node: Node) -> Finding | None:
    """The verdict on a quantity in two units for a reference without one: "3 weeks, or 21 days"; else None."""
    if reference.op is not Op.NUMBER or node.op is not Op.LIST or node.value is not Join.OR or len(node.args) != _TWO:
        return None
    (one, unit), (other, second) = map(split_unit, node.args)
    share = None if unit is None or second is None or unit == second else ratio(unit, second)
    if share is None or not same_measure(*node.args):
        return None
    found = [same_expression(reference, value) for value in (one, other)]
    return found[0] if found[0].outcome is Outcome.CORRECT else found[1]


def same_measure(one: Node, other: Node) -> bool:
    """Whether two quantities in different units are equal."""
    (value, unit), (second, theirs) = split_unit(one), split_unit(other)
    share = None if unit is None or theirs is None else ratio(unit, theirs)
    if share is None:
        return False
    scaled = Node(Op.MUL, (value, Node(Op.NUMBER, (), share)))
    return same_expression(scaled, second).outcome is Outcome.CORRECT


def total_of_named(reference: Node, node: Node) -> Finding | None:
    """The verdict on a sum that follows from the values before it: "a = 4, b = 5, a + b = 9"; None for other lists."""
    if reference.op is not Op.NUMBER or node.op is not Op.LIST or len(node.args) < _TWO + 1:
        return None
    *terms, last = node.args
    if last.op is not Op.RELATION or last.signs != (Sign.EQUAL,) or len(last.args) != _TWO:
        return None
    values = {term.args[0].name: term.args[1] for term in terms if _is_value(term)}
    left, right = last.args
    if len(values) != len(terms) or not free_names(left) <= set(values) or free_names(right) or not free_names(left):
        return None
    known = same_expression(substitute_all(left, values), right)
    return same_expression(reference, right) if known.outcome is Outcome.CORRECT else None


def _is_value(node: Node) -> bool:
    return node.op is Op.NAMED and node.args[0].op is Op.SYMBOL and not free_names(node.args[1])


_TWO = 2
