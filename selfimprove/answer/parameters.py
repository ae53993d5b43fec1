"""Arbitrary constants, whose names mean nothing: x^2 + C is x^2 + K, and π/4 + kπ is π/4 + nπ.

A prediction's constant takes the name of the reference's only where both have exactly one of a kind: declared by the
answer itself (`k ∈ R`, "where k is a constant"), an integer times π, or a constant of integration: added to the rest,
in front of a power of e, or with an index (C_1, C_2). Any other letter is a quantity of the question, a/b is not a/c.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import permutations

from selfimprove.answer.tree import Constant, Node, Op, free_names, renamed, walk

_INTEGERS = frozenset("klmn")
_ADDED = frozenset(("C", "c", "K", "k", "D", "A", "C_0", "C_1", "c_0", "c_1", "k_1"))
_INDEXED = re.compile(r"([CcAKk])_?\{?([12])\}?|[AB]")
_DECLARED = re.compile(
    r"(?<![A-Za-z\\])([a-z])\s?\\in\s?\\mathbb\s?\{?\s?[ZNRQC]|"
    r"(?:where|for (?:any|some|every|all)|with)[^a-z]{0,12}(?:(?:real|arbitrary|nonnegative|non-negative|positive|"
    r"constant|integer|number|natural|fixed)[ }\\]{1,6}(?:text\s?\{ ?)?){0,3}\$?(?<![A-Za-z\\])([a-z])(?![A-Za-z(])"
)


def in_same_constants(reference: Node, prediction: Node, written: str) -> Iterator[Node]:
    """The prediction with its arbitrary constants called as the reference's, in each way that is possible.

    `written` is the prediction's text, which may declare a constant.
    """
    theirs, ours = free_names(_value(reference)), free_names(_value(prediction))
    wanted, own = sorted(theirs - ours), sorted(ours - theirs)
    if not wanted or len(wanted) != len(own):
        return
    if len(own) == 1 and not _is_arbitrary(own[0], wanted[0], prediction, reference, written):
        return
    if len(own) > 1 and not all(_INDEXED.fullmatch(name) for name in (*own, *wanted)):
        return
    for names in permutations(wanted) if len(own) <= _MOST else ():
        yield renamed(prediction, dict(zip(own, names, strict=True)))


_MOST = 2  # constants


def _is_arbitrary(own: str, wanted: str, prediction: Node, reference: Node, written: str) -> bool:
    """Whether both names stand for an arbitrary constant, and for one of the same kind."""
    if any(own in found.groups() for found in _DECLARED.finditer(written)):
        return True
    if own in _INTEGERS and wanted in _INTEGERS:
        return _beside_pi(prediction, own) and _beside_pi(reference, wanted)
    if wanted not in ("C", "c", "K", "C_1", "c_1"):
        return False
    return own in _ADDED and any(
        holds(prediction, own) and holds(reference, wanted) for holds in (_is_added, _scales_exponential)
    )


def _beside_pi(node: Node, name: str) -> bool:
    """Whether the value is a sum of numbers and the name times π."""
    value = _value(node)
    if value.op is not Op.ADD or free_names(value) != {name}:
        return False
    inside = [term for term in _terms(value) if name in free_names(term)]
    return len(inside) == 1 and any(part.value is Constant.PI for part in walk(inside[0]))


def _value(node: Node) -> Node:
    return node.args[1] if node.op is Op.NAMED else node


def _is_added(node: Node, name: str) -> bool:
    """Whether the name is a term of the sum, and no part of its other terms."""
    terms = [*_terms(_value(node))]
    inside = [term for term in terms if name in free_names(term)]
    return len(terms) > 1 and len(inside) == 1 and inside[0].op is Op.SYMBOL


def _terms(node: Node) -> Iterator[Node]:
    for part in node.args if node.op is Op.ADD else ():
        yield from _terms(part)
    if node.op is not Op.ADD:
        yield node.args[0] if node.op is Op.NEG else node


def _scales_exponential(node: Node, name: str) -> bool:
    """Whether the name is a factor of e to a power."""
    value = _value(node)
    if value.op is not Op.MUL or name in free_names(value.args[1]):
        return False
    power = value.args[1]
    return (
        value.args[0].op is Op.SYMBOL
        and value.args[0].name == name
        and power.op is Op.POW
        and power.args[0].value is Constant.E
    )
