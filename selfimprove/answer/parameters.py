"""Arbitrary constants, whose names mean nothing: x^2 + C is x^2 + K, and π/4 + kπ is π/4 + nπ.

Most letters of an answer are quantities of the question: a/b is not a/c. So a prediction's constant takes the name of
the reference's only where both have the same number of constants of one kind:

- *declared*: the answer itself says that the letter is any number of a domain (`k ∈ Z`, "where k is a real constant"),
  and the reference declares its own for the same domain, or is a formula for a function or a variable;
- *periods*: an integer times π, added to a number;
- *of integration*: one `C` added to terms in one variable, one in front of a power of e in `y = …`, or two (C_1, C_2)
  in front of terms in one variable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import permutations

from selfimprove.answer.identity import same_residues
from selfimprove.answer.tree import Constant, Node, Op, Refused, free_names, renamed, walk

_INTEGERS = frozenset("klmn")
_ADDED = frozenset(("C", "c", "K", "C_0", "C_1", "c_1"))
_SCALING = frozenset(("C", "c", "A", "K", "k", "C_0", "C_1", "c_1"))
_PAIRS = frozenset((frozenset(("A", "B")), *(frozenset((f"{name}_1", f"{name}_2")) for name in "CcKkAa")))
_MEMBER = re.compile(r"(?<![A-Za-z\\])([a-zA-Z])\s?\\in\s?\\mathbb\s?\{?\s?([ZNRQC])")
_TEXT = r"[\s}~]*\\?(?:text\s?\{\s?)?\$?\s?"
_KIND = (
    r"(?P<kind>(?:(?:arbitrary|any|real|nonnegative|non-negative|positive|fixed|natural)\s){0,2}"
    r"(?:constant|integer|number|real|natural)s?)"
)
_NAME = r"\$?(?<![A-Za-z\\])(?P<name>[a-zA-Z])(?![A-Za-z(])"
_SAID = (
    re.compile(rf"where{_TEXT}{_NAME}{_TEXT}is (?:an?\s)?{_KIND}\b(?!\sof)"),
    re.compile(rf"for (?:any|some|every|all) {_KIND}{_TEXT}{_NAME}"),
)


_COUNTED = re.compile("non-?negative integer|integer|natural")
_DOMAINS = {"": "R", "integer": "Z", "natural": "N", "nonnegative integer": "N", "non-negative integer": "N"}


def same_but_for_constants(reference: Node, prediction: Node, texts: tuple[str, str]) -> bool:
    """Whether the prediction is the reference up to the names of arbitrary constants.

    `texts` are those of both answers, which may declare constants. Compared by `identity` alone, which is quick.
    """
    return any(_identical(_value(reference), other) for other in _in_same_constants(reference, prediction, texts))


def _identical(one: Node, two: Node) -> bool:
    try:
        return one == two or same_residues(one, two)
    except Refused:
        return False


def _in_same_constants(reference: Node, prediction: Node, texts: tuple[str, str]) -> Iterator[Node]:
    """The value of the prediction with its constants called as the reference's, in each way that is possible."""
    value, known = _value(prediction), _value(reference)
    ours, theirs = free_names(value), free_names(known)
    own, wanted = sorted(ours - theirs), sorted(theirs - ours)
    if len(own) == len(wanted) == 1:
        if _is_declared(own[0], wanted[0], (reference, prediction), texts) or _is_alike(
            own[0], wanted[0], prediction, reference
        ):
            yield renamed(value, {own[0]: wanted[0]})
    elif (
        frozenset(own) in _PAIRS
        and frozenset(wanted) in _PAIRS
        and _scale_terms(value, own)
        and _scale_terms(known, wanted)
    ):
        for names in permutations(wanted):
            yield renamed(value, dict(zip(own, names, strict=True)))


def _is_declared(own: str, wanted: str, sides: tuple[Node, Node], texts: tuple[str, str]) -> bool:
    """Whether both names are declared for the same domain, or the prediction's is one of a formula's.

    A function's argument is no constant, though it is declared in the same words.
    """
    if any(name in free_names(side.args[0]) for side in sides if side.op is Op.NAMED for name in (own, wanted)):
        return False
    theirs, ours = (_domains(text) for text in texts)
    if own not in ours:
        return False
    if wanted in theirs:
        return theirs[wanted] == ours[own]
    reference = sides[0]
    if reference.op is not Op.NAMED:
        return False
    counted = ours[own] in "ZN" and wanted in _INTEGERS and free_names(reference.args[1]) == {wanted}
    return reference.args[0].op is Op.APPLY or counted


def _domains(text: str) -> dict[str, str]:
    """The letters that a text declares to be any number of a domain, and that domain."""
    found = {member[1]: member[2] for member in _MEMBER.finditer(text)}
    for pattern in _SAID:
        for said in pattern.finditer(text):
            found.setdefault(said["name"], _DOMAINS[(_COUNTED.search(said["kind"]) or [""])[0]])
    return found


def _is_alike(own: str, wanted: str, prediction: Node, reference: Node) -> bool:
    """Whether both names stand for a period's integer, or for a constant of integration, in the same way."""
    if {own, wanted} <= _INTEGERS:
        return _counts_periods(prediction, own) and _counts_periods(reference, wanted)
    names = {own, wanted}
    if "C" in names and names <= _ADDED and _is_added(prediction, own) and _is_added(reference, wanted):
        return True
    if not names <= _SCALING or names.isdisjoint(("C", "A")) or not _is_solution(reference):
        return False
    return _scales_exponential(prediction, own) and _scales_exponential(reference, wanted)


def _value(node: Node) -> Node:
    return node.args[1] if node.op is Op.NAMED else node


def _is_solution(node: Node) -> bool:
    """Whether it gives a function: y = …, or x(t) = …."""
    return node.op is Op.NAMED and (node.args[0].op is Op.APPLY or node.args[0].value == "y")


def _counts_periods(node: Node, name: str) -> bool:
    """Whether the value is a sum of numbers and the name times π."""
    value = _value(node)
    inside = [term for term in _terms(value) if name in free_names(term)]
    if value.op is not Op.ADD or free_names(value) != {name} or len(inside) != 1:
        return False
    return any(part.value is Constant.PI for part in walk(inside[0]))


def _is_added(node: Node, name: str) -> bool:
    """Whether the name is added to terms in one variable, written as a small letter."""
    terms = list(_terms(_value(node)))
    others = [term for term in terms if name not in free_names(term)]
    alone = [term for term in terms if term.op is Op.SYMBOL and term.name == name]
    return len(alone) == 1 and len(others) == len(terms) - 1 and _in_one_variable(others)


def _in_one_variable(terms: list[Node]) -> bool:
    names = frozenset[str]().union(*map(free_names, terms))
    return len(names) == 1 and next(iter(names)) in _VARIABLES


_VARIABLES = frozenset("xyztuvswr") | {"\\theta", "theta"}


def _terms(node: Node) -> Iterator[Node]:
    """The terms of a sum, with the minus sign of a term that has one."""
    if node.op is not Op.ADD:
        yield node
    else:
        for part in node.args:
            yield from _terms(part)


def _scales_exponential(node: Node, name: str) -> bool:
    """Whether the value is the name times e to a multiple of a variable."""
    value = _value(node)
    if value.op is not Op.MUL or value.args[0].op is not Op.SYMBOL or value.args[0].name != name:
        return False
    power = value.args[1]
    return power.op is Op.POW and power.args[0].value is Constant.E and _in_one_variable([power.args[1]])


def _scale_terms(value: Node, names: list[str]) -> bool:
    """Whether each name stands in one term only, and the rest of the sum is in one variable."""
    terms = list(_terms(value))
    inside = [[name for name in names if name in free_names(term)] for term in terms]
    if sorted(name for found in inside for name in found) != names or any(len(found) > 1 for found in inside):
        return False
    others = free_names(value) - set(names)
    return len(others) == 1 and next(iter(others)) in _VARIABLES
