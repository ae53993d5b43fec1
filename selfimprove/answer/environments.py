"""Big operators and environments of the grammar: sums, integrals, limits, matrices, systems, cases."""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
from selfimprove.answer.limits import MAX_ITEMS
from selfimprove.answer.parse import Parser
from selfimprove.answer.tree import Join, Node, Op, Unreadable, call, number, symbol

_MATRICES = frozenset("pmatrix bmatrix matrix Bmatrix array smallmatrix vmatrix cases aligned align gathered".split())


def big(parser: Parser, op: Op) -> Node:
    """A sum, product, integral or limit with its bounds; the body is one term."""
    low: Node | None = None
    high: Node | None = None
    while parser.peek().text in ("_", "^"):
        if parser.accept("_"):
            low = _bound(parser)
        else:
            parser.take()
            high = parser.exponent()
    if low is None or (high is None) != (op is Op.LIMIT):
        raise Unreadable(f"\\{op} without its bounds")
    integrals, parser.integrals = parser.integrals, parser.integrals + (op is Op.INTEGRAL)
    body = parser.nested(parser.term)
    parser.integrals = integrals
    if op is Op.INTEGRAL:
        body, variable = _differential(body)
        return Node(op, (body, variable, low, high or low))
    if low.op is not Op.RELATION or low.args[0].op not in (Op.SYMBOL, Op.CONSTANT) or len(low.args) != 2:
        raise Unreadable(f"\\{op} without a variable")
    index = symbol(low.args[0].name)
    body = _rename(body, low.args[0], index)
    start = low.args[1]
    return Node(op, (body, index, start) if high is None else (body, index, start, high))


def _bound(parser: Parser) -> Node:
    """A lower bound: a group with a relation in it, or one atom."""
    if not parser.accept("{"):
        return parser.nested(parser.atom)
    node = parser.nested(parser.relation)
    parser.expect("}")
    return node


def _rename(body: Node, old: Node, new: Node) -> Node:
    """The body with an index that looks like a constant (i, e) made a variable."""
    if old == new:
        return body
    if body == old:
        return new
    return body.over(tuple(_rename(arg, old, new) for arg in body.args))


def _differential(body: Node) -> tuple[Node, Node]:
    """The integrand and its variable: d and the variable are the last two factors, or those of a numerator."""
    if body.op is Op.MUL:
        inner, variable = body.args
        if variable.op is Op.SYMBOL and inner == symbol("d"):
            return number(1), variable
        if variable.op is Op.SYMBOL and inner.op is Op.MUL and inner.args[1] == symbol("d"):
            return inner.args[0], variable
        if variable.op is Op.DIV:
            top, name = _differential(variable.args[0])
            return Node(Op.MUL, (inner, Node(Op.DIV, (top, variable.args[1])))), name
    if body.op is Op.DIV:
        top, name = _differential(body.args[0])
        return Node(Op.DIV, (top, body.args[1])), name
    raise Unreadable("an integral without its variable")


def _condition(parser: Parser) -> Node:
    """The condition of a piece, without the word before it; `otherwise` as text."""
    if parser.peek().kind == "text" and parser.peek().text.lower().strip(" ,") in ("if", "for", "when", "where", "as"):
        parser.take()
    node = parser.nested(parser.relation)
    while parser.peek().kind == "join" and parser.peek().text in ("and", "or"):
        join = Join.AND if parser.take().text == "and" else Join.OR
        node = Node(Op.LIST, (node, parser.nested(parser.relation)), join)
    return node


def _is_piece(row: Node) -> bool:
    """Whether a row of an environment is a value with a condition."""
    if len(row.args) != 2 or row.args[0].op is Op.RELATION:
        return False
    condition = row.args[1]
    if condition.op is Op.TEXT:
        return condition.name.lower().strip(" .,") in ("otherwise", "else", "elsewhere")
    return condition.op is Op.RELATION or (condition.op is Op.LIST and all(a.op is Op.RELATION for a in condition.args))


def environment(parser: Parser) -> Node:
    """A matrix, or the equations of a system; raises `Unreadable` if it isn't closed or rectangular."""
    opening = parser.take().text
    name = opening[opening.index("{") + 1 : opening.index("}")].rstrip("*")
    if not opening.startswith("\\begin") or name not in _MATRICES:
        raise Unreadable(f"unexpected {opening[:20]}")
    rows: list[Node] = []
    cells: list[Node] = []
    while True:
        if parser.peek().kind == "env" and not cells and rows:
            break
        cells.append(_condition(parser) if cells and name == "cases" else parser.nested(parser.relation))
        parser.joiner()
        if parser.accept("&"):
            continue
        rows.append(Node(Op.ROW, tuple(cells)))
        cells = []
        if not parser.accept("\\\\"):
            break
    if not parser.take().text.startswith("\\end"):
        raise Unreadable("a matrix is not closed")
    if len({len(row.args) for row in rows}) != 1 or len(rows) * len(rows[0].args) > MAX_ITEMS * 2:
        raise Unreadable("a matrix that is not rectangular or too big")
    if name == "cases" and all(_is_piece(row) for row in rows):
        return Node(Op.CASES, tuple(rows))
    if any(cell.op is Op.RELATION for row in rows for cell in row.args):
        return Node(Op.LIST, tuple(cell for row in rows for cell in row.args), Join.COMMA)
    if name in ("cases", "aligned", "align", "gathered"):
        raise Unreadable(f"unexpected {name}")
    matrix = Node(Op.MATRIX, tuple(rows))
    return call("det", matrix) if name == "vmatrix" else matrix
