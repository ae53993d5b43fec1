"""Congruences and residues: 17 ≡ 2 (mod 5), and 2 beside it, and 2 mod 5 beside 7 mod 5."""

from __future__ import annotations

from fractions import Fraction

from selfimprove.answer.equality import same_expression
from selfimprove.answer.exact import exact
from selfimprove.answer.tree import Node, Op, Refused, Sign, Unit
from selfimprove.answer.verdict import Finding, Outcome

CONGRUENCE = (Sign.CONGRUENT, Sign.MODULO)
OTHER_RELATIONS = Finding(Outcome.WRONG, "structure", "different relations")


def residue(relation: Node, other: Node) -> Finding | None:
    """17 ≡ 2 (mod 5) beside 2: the right side, if the congruence of numbers holds; None for anything else."""
    if relation.signs != CONGRUENCE or other.op is not Op.NUMBER:
        return None
    try:
        left, right, modulus = (exact(arg) for arg in relation.args)
    except (Refused, ValueError):
        return None
    holds = modulus != 0 and ((left - right) / modulus).denominator == 1
    return same_expression(relation.args[1], other) if holds else OTHER_RELATIONS


def same_congruences(left: Node, right: Node) -> Finding:
    """Two congruences with the same modulus, the same left side and right sides of one residue class."""
    try:
        modulus = exact(left.args[2])
        same = modulus != 0 and modulus == exact(right.args[2])
        same = same and (exact(left.args[1]) - exact(right.args[1])) % modulus == 0
    except Refused as refusal:
        return Finding(Outcome.UNPARSED, "structure", str(refusal))
    same = same and same_expression(left.args[0], right.args[0]).outcome is Outcome.CORRECT
    return Finding(Outcome.of(same), "structure", f"{'the same' if same else 'different'} residues")


def same_residues(one: Node, two: Node, unit: Unit, other: Unit) -> Finding:
    """Two residues with their moduli."""
    if unit != other:
        return Finding(Outcome.WRONG, "units", f"{unit} against {other}")
    try:
        same = (exact(one) - exact(two)) % Fraction(unit.words[1]) == 0
    except (Refused, ValueError, ZeroDivisionError):
        return same_expression(one, two)
    return Finding(Outcome.of(same), "units", f"{'the same' if same else 'different'} residues")
