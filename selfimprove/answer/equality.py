"""Two expressions compared by the cheapest proof that settles it.

Equal trees; exact fractions (`exact`); identities modulo primes (`identity`); evaluation with many digits
(`precision`); sympy's closed forms of sums, integrals and limits (`closed_forms`). Each stage either decides or
declines with a reason; the last reason is the verdict's if none decides.
"""

from __future__ import annotations

from selfimprove.answer.exact import exact
from selfimprove.answer.identity import is_rational, same_residues
from selfimprove.answer.precision import agree
from selfimprove.answer.tree import BINDERS, INFINITY, Node, Op, Refused, walk
from selfimprove.answer.verdict import Finding, Outcome


def same_expression(left: Node, right: Node) -> Finding:
    """Whether two expressions have the same value; symmetric; never raises."""
    if left == right:
        return Finding(Outcome.CORRECT, "string", "the same expression")
    ops = {part.op for tree in (left, right) for part in walk(tree)}
    if not ops <= EXPRESSION:
        return Finding(Outcome.WRONG, "structure", "not both are expressions")
    if Op.CONSTANT in ops:
        infinities = _infinity(left), _infinity(right)
        if infinities != (0, 0):
            return _decided(infinities[0] == infinities[1], "structure", "as infinities")
    try:
        return _decided(exact(left) == exact(right), "rational", "as fractions")
    except Refused:
        return _beyond_fractions(left, right)


EXPRESSION = BINDERS | {
    Op.NUMBER, Op.SYMBOL, Op.CONSTANT, Op.ADD, Op.MUL, Op.DIV, Op.POW, Op.NEG, Op.FUNCTION, Op.APPLY, Op.DEGREES,
    Op.PERCENT, Op.DOTS,
}  # fmt: skip


def _decided(same: bool, stage: str, how: str) -> Finding:
    return Finding(Outcome.of(same), stage, f"{'equal' if same else 'different'} {how}")


def _infinity(node: Node) -> int:
    """1 for infinity, -1 for minus infinity, 0 for anything else."""
    if node.op is Op.NEG:
        return -_infinity(node.args[0])
    return int(node == INFINITY)


def _beyond_fractions(left: Node, right: Node) -> Finding:
    try:
        if same_residues(left, right):
            return Finding(Outcome.CORRECT, "identity", "the same function of the same pieces")
        if is_rational(left) and is_rational(right):
            return Finding(Outcome.WRONG, "identity", "different rational functions")
    except Refused:
        pass
    try:
        return _decided(agree(left, right), "evaluation", "when evaluated")
    except Refused as refusal:
        reason = str(refusal)
    except (OverflowError, ZeroDivisionError, ValueError) as error:
        reason = f"it can't be evaluated: {type(error).__name__}"
    if any(part.op in BINDERS for tree in (left, right) for part in walk(tree)):
        from selfimprove.answer.closed_forms import same_closed_forms

        return same_closed_forms(left, right)
    return Finding(Outcome.UNPARSED, "limits", reason)
