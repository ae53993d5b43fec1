"""Arithmetic on matrices, carried out entry by entry before two answers are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from selfimprove.answer.exact import exact
from selfimprove.answer.limits import MAX_NODES
from selfimprove.answer.tree import Node, Op, Refused, Unreadable, negative, number, symbol, walk

MAX_POWER = 20


def matrices(node: Node) -> Node:
    """The tree with sums, multiples and products of matrices carried out; raises `Unreadable` on a bad size."""
    if Op.MATRIX not in {part.op for part in walk(node)}:
        return node
    args = tuple(matrices(arg) for arg in node.args)
    if node.op in (Op.MATRIX, Op.ROW):
        return Node(node.op, args)
    are_matrices = [arg.op is Op.MATRIX for arg in args]
    if node.op is Op.POW and are_matrices[0] and node.args[1] == symbol("T"):
        return _matrix(zip(*(row.args for row in args[0].args), strict=True))
    if node.op is Op.POW and are_matrices[0]:
        return _power(args[0], args[1])
    if node.op is Op.NEG and are_matrices[0]:
        return _entrywise(args[0], negative)
    if node.op is Op.FUNCTION and node.value == "det" and are_matrices[0]:
        return _bounded(_determinant([list(row.args) for row in args[0].args]))
    if node.op is Op.ADD and all(are_matrices):
        return _bounded(_added(args[0], args[1]))
    if node.op is Op.MUL and all(are_matrices):
        return _bounded(_multiplied(args[0], args[1]))
    if node.op is Op.MUL and any(are_matrices):
        matrix, factor = args if are_matrices[0] else args[::-1]
        return _entrywise(matrix, lambda cell: Node(Op.MUL, (factor, cell)))
    if node.op is Op.DIV and are_matrices == [True, False]:
        return _entrywise(args[0], lambda cell: Node(Op.DIV, (cell, args[1])))
    raise Unreadable("an operation on matrices that is not carried out")


def _matrix(rows: Iterable[Iterable[Node]]) -> Node:
    return Node(Op.MATRIX, tuple(Node(Op.ROW, tuple(row)) for row in rows))


def _bounded(node: Node) -> Node:
    """A matrix, if its entries are small enough; raises `Unreadable`."""
    if sum(1 for _ in islice(walk(node), MAX_NODES + 1)) > MAX_NODES:
        raise Unreadable("a computation with matrices that is too big")
    return node


def _entrywise(matrix: Node, change: Callable[[Node], Node]) -> Node:
    return _matrix([change(cell) for cell in row.args] for row in matrix.args)


def _added(left: Node, right: Node) -> Node:
    if [len(row.args) for row in left.args] != [len(row.args) for row in right.args]:
        raise Unreadable("a sum of matrices of different size")
    rows = zip(left.args, right.args, strict=True)
    return _matrix([Node(Op.ADD, pair) for pair in zip(one.args, two.args, strict=True)] for one, two in rows)


def _multiplied(left: Node, right: Node) -> Node:
    inner = len(right.args)
    if len(left.args[0].args) != inner or inner * len(left.args) * len(right.args[0].args) > 216:
        raise Unreadable("a product of matrices that do not fit or are too big")
    columns = list(zip(*(row.args for row in right.args), strict=True))
    return _matrix([_dot(row.args, column) for column in columns] for row in left.args)


def _power(matrix: Node, exponent: Node) -> Node:
    """A power with a small integer exponent; the inverse of one with numbers in it."""
    try:
        power = exact(exponent)
    except Refused as refusal:
        raise Unreadable(str(refusal)) from None
    size = len(matrix.args)
    if power.denominator != 1 or abs(power) > MAX_POWER or size != len(matrix.args[0].args) or size > 4:
        raise Unreadable("a power of a matrix that is not carried out")
    if power < 0:
        matrix = _inverse(matrix)
    one = _matrix([number(int(at == to)) for to in range(size)] for at in range(size))
    result = one
    for _ in range(abs(int(power))):
        result = _bounded(_reduced(_multiplied(result, matrix)))
    return result


def _reduced(matrix: Node) -> Node:
    """The matrix with the entries that are numbers worked out."""

    def worked_out(cell: Node) -> Node:
        try:
            return number(exact(cell))
        except Refused:
            return cell

    return _entrywise(matrix, worked_out)


def _inverse(matrix: Node) -> Node:
    """The inverse by cofactors, up to 3 by 3; raises `Unreadable` for a determinant of zero."""
    rows = [list(row.args) for row in matrix.args]
    size = len(rows)
    if size > 3:
        raise Unreadable("an inverse that is too big")
    whole = _determinant(rows)
    try:
        if exact(whole) == 0:
            raise Unreadable("the inverse of a singular matrix")
    except Refused:
        pass

    def cofactor(row: int, column: int) -> Node:
        minor = [cells[:column] + cells[column + 1 :] for at, cells in enumerate(rows) if at != row]
        value = _determinant(minor) if minor else number(1)
        return Node(Op.DIV, (value if (row + column) % 2 == 0 else negative(value), whole))

    return _matrix([cofactor(row, column) for row in range(size)] for column in range(size))


def _dot(left: tuple[Node, ...], right: tuple[Node, ...]) -> Node:
    total = Node(Op.MUL, (left[0], right[0]))
    for one, two in zip(left[1:], right[1:], strict=True):
        total = Node(Op.ADD, (total, Node(Op.MUL, (one, two))))
    return total


def _determinant(rows: list[list[Node]]) -> Node:
    if len(rows) != len(rows[0]) or len(rows) > 4:
        raise Unreadable("a determinant that is not square or too big")
    if len(rows) == 1:
        return rows[0][0]
    total: Node = number(0)
    for column, head in enumerate(rows[0]):
        minor = _determinant([row[:column] + row[column + 1 :] for row in rows[1:]])
        term = Node(Op.MUL, (head, minor))
        total = Node(Op.ADD, (total, term if column % 2 == 0 else negative(term)))
    return total
