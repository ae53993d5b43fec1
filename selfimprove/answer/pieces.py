"""Functions given piece by piece, compared with each other and with plain expressions.

The end points of all conditions cut the line into points and stretches; in each, the piece that applies on either side
must have the same value: as numbers at a point, as expressions on a stretch. Absolute values are written out there by
their sign. The first piece whose condition holds applies; `otherwise` holds everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from selfimprove.answer.equality import same_expression
from selfimprove.answer.exact import exact
from selfimprove.answer.identity import is_rational
from selfimprove.answer.regions import EVERYTHING, Region, cells_of, holds, linear_root, read_region
from selfimprove.answer.tree import Node, Op, Refused, free_names, negative, substitute, walk
from selfimprove.answer.verdict import Finding, Outcome


@dataclass(frozen=True, slots=True)
class Piece:
    """A value and where it applies."""

    value: Node
    where: Region


def same_pieces(left: Node, right: Node) -> Finding:
    """Whether two functions, at least one of them in pieces, are the same; symmetric; never raises `Refused`."""
    try:
        names = free_names(left) | free_names(right)
        if len(names) != 1:
            raise Refused("pieces in several variables")
        (name,) = names
        return _compared(_pieces(left), _pieces(right), name)
    except Refused as refusal:
        return Finding(Outcome.UNPARSED, "structure", str(refusal))


def _pieces(node: Node) -> list[Piece]:
    if node.op is not Op.CASES:
        return [Piece(node, EVERYTHING)]
    return [
        Piece(row.args[0], EVERYTHING if row.args[1].op is Op.TEXT else read_region(row.args[1])) for row in node.args
    ]


def _compared(ours: list[Piece], theirs: list[Piece], name: str) -> Finding:
    sizes = [part for piece in (*ours, *theirs) for part in walk(piece.value) if _is_size(part)]
    kinks = [linear_root(size.args[0], name)[0] for size in sizes]
    rank, ends = cells_of([piece.where for piece in (*ours, *theirs)], kinks)
    samples = [exact(end) for end in ends]
    top = 2 * len(ends) + 1
    for cell in range(top):
        values = [next((p.value for p in side if holds(p.where, cell, rank, top)), None) for side in (ours, theirs)]
        if values == [None, None]:
            continue
        one, two = values
        if one is None or two is None:
            return Finding(Outcome.WRONG, "structure", "defined in different places")
        place = {name: _sample(samples, cell)}
        if cell % 2:
            found = same_expression(substitute(one, place), substitute(two, place))
        else:
            one, two = _written_out(one, place), _written_out(two, place)
            found = same_expression(one, two)
            if found.outcome is Outcome.WRONG and not (is_rational(one) and is_rational(two)):
                found = Finding(Outcome.UNPARSED, "structure", "pieces that can't be compared on a stretch")
        if found.outcome is not Outcome.CORRECT:
            return found
    return Finding(Outcome.CORRECT, "structure", "the same pieces")


def _sample(ends: list[Fraction], cell: int) -> Fraction:
    """The point of a cell, or one inside it."""
    at = cell // 2
    if cell % 2:
        return ends[at]
    if not ends:
        return Fraction(0)
    if at == 0:
        return ends[0] - 1
    return ends[-1] + 1 if at == len(ends) else (ends[at - 1] + ends[at]) / 2


def _is_size(node: Node) -> bool:
    return node.op is Op.FUNCTION and node.value == "abs"


def _written_out(node: Node, place: dict[str, Fraction]) -> Node:
    """The tree without absolute values, by the signs they have at the place."""
    args = tuple(_written_out(arg, place) for arg in node.args)
    if _is_size(node):
        return args[0] if exact(args[0], place) >= 0 else negative(args[0])
    return node.over(args)
