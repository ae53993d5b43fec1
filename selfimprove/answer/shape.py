"""Trees brought into the shape in which they are compared.

Units are pulled to the root and magnitudes multiplied out; ± becomes a list of two; arithmetic on matrices is
carried out; a chain of equalities becomes a `named` value (`x = 6·7 = 42`), an equation, or a contradiction (`58 =
57`), which is unreadable. Conditions such as `k ∈ Z` beside an answer are dropped. The same function works on both
sides.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from selfimprove.answer.evaluate import near
from selfimprove.answer.expressions import same_expression
from selfimprove.answer.limits import MAX_NODES
from selfimprove.answer.tree import Node, Unreadable, free_names, number, walk
from selfimprove.answer.words import MAGNITUDES, NEVER_UNITS, TRIG

_PERCENT = "percent"
CONTRADICTION = "it contradicts itself"


def settle(node: Node) -> Node:
    """The tree in the shape to be compared; raises `Unreadable` for what contradicts itself or is no answer."""
    node = _plus_minus(node)
    if node.op == "list":
        return _settle_list(node)
    if node.op in ("set", "seq"):
        items = [settle(arg) for arg in node.args]
        flat = tuple(part for item in items for part in (item.args if item.op == "list" else (item,)))
        return Node(node.op, tuple(_unnamed(item) if node.op == "set" else item for item in flat), node.value)
    if node.op == "rel":
        return _settle_relation(node)
    if node.op in ("union", "inter", "minus", "ratio"):
        return Node(node.op, tuple(settle(arg) for arg in node.args), node.value)
    return matrices(_units(node))


def split_unit(node: Node) -> tuple[Node, str | None]:
    """The tree without the unit at its root, and that unit's canonical name or None."""
    if node.op == "unit":
        return node.args[0], str(node.value)
    if node.op == "deg":
        return node.args[0], "degree"
    if node.op == "neg" and node.args[0].op in ("unit", "deg", "pct"):
        inner, unit = split_unit(node.args[0])
        return Node("neg", (inner,)), unit
    return (node.args[0], _PERCENT) if node.op == "pct" else (node, None)


def _units(node: Node) -> Node:
    """Magnitudes multiplied out, the percent word as a percent sign, other units left at the root only."""
    if node.op != "unit":
        return _checked(node)
    inner = _units(node.args[0])
    words = str(node.value).split()
    if any(word in NEVER_UNITS for word in words) or len(words) > 5:
        raise Unreadable("words after a number that are no unit")
    while words and words[0] in MAGNITUDES:
        inner = _scaled(inner, MAGNITUDES[words.pop(0)])
    if not words:
        return inner
    if words == [_PERCENT]:
        return Node("pct", (inner,)) if inner.op != "pct" else inner
    core, unit = split_unit(inner)
    name = " ".join(words)
    if unit is not None and unit != name and name not in ("per", "dollar"):
        name = f"{unit} {name}"
    return Node("unit", (core,), name)


def _checked(node: Node) -> Node:
    """The tree, if no unit or word hides below its root."""
    if node.op in ("add", "mul", "div") and any(part.op == "unit" for part in walk(node)):
        return _common_unit(node)
    return node


def _common_unit(node: Node) -> Node:
    """A sum, product or quotient with one unit in it, with the unit at the root."""
    units = {str(part.value) for part in walk(node) if part.op == "unit"}
    if len(units) != 1:
        raise Unreadable("several units in one answer")
    return _units(Node("unit", (_strip_units(node),), units.pop()))


def _strip_units(node: Node) -> Node:
    if node.op == "unit":
        return _strip_units(node.args[0])
    return Node(node.op, tuple(_strip_units(arg) for arg in node.args), node.value)


def _scaled(node: Node, factor: int) -> Node:
    core, unit = split_unit(node)
    product = Node("mul", (core, number(factor)))
    return product if unit is None else Node("unit", (product,), unit)


def _plus_minus(node: Node) -> Node:
    """± as a list of the two values; all of them in one item turn together."""
    if node.op in ("list", "set", "seq", "rel") or not any(part.op in ("pm", "mp") for part in walk(node)):
        return node
    return Node("list", (_signed(node, "pm"), _signed(node, "mp")), ",")


def _signed(node: Node, plus: str) -> Node:
    args = tuple(_signed(arg, plus) for arg in node.args)
    if node.op not in ("pm", "mp"):
        return Node(node.op, args, node.value)
    right = args[1] if node.op == plus else Node("neg", (args[1],))
    return right if args[0] == number(0) else Node("add", (args[0], right))


def _settle_list(node: Node) -> Node:
    kept = [arg for arg in node.args if not _is_condition(arg)] or list(node.args)
    items: list[Node] = []
    for arg in kept:
        item = _settle_relation(arg, split=False) if arg.op == "rel" else settle(arg)
        items.extend(item.args if item.op == "list" and item.value == "," and arg.op != "list" else (item,))
    if len(items) == 1:
        return items[0]
    names = [item.args[0] for item in items if item.op == "named"]
    if names and (len(names) == 1 or (len(set(names)) == 1 and len(names) == len(items))) and items[0].op == "named":
        items = [_unnamed(item) for item in items]
    return Node("list", tuple(items), node.value)


def _unnamed(node: Node) -> Node:
    return node.args[1] if node.op == "named" else node


def _is_condition(node: Node) -> bool:
    """Whether an item only says where a variable lives, such as `k ∈ Z`."""
    return node.op == "rel" and node.value == "in" and node.args[1].op == "domain"


def is_name(node: Node) -> bool:
    """Whether the tree only names a quantity: x, f(x), |AB|, AB, NO/BO, V_1 : V_2, (x, y), sin A, a word."""
    if node.op in ("sym", "apply", "text"):
        return True
    if node.op == "const":
        return False
    if node.op == "unit":
        return is_name(node.args[0])
    if node.op == "func":
        return (node.value == "abs" or node.value in TRIG) and all(is_name(arg) for arg in node.args)
    if node.op in ("div", "ratio", "seq"):
        return bool(node.args) and all(is_name(arg) for arg in node.args)
    if node.op == "add":
        return all(part.op == "apply" or (part.op == "add" and is_name(part)) for part in node.args)
    return node.op == "mul" and all(_is_label(part) for part in node.args)


def _is_label(node: Node) -> bool:
    """A capital letter, a product of such, or the argument of P( )."""
    if node.op == "mul":
        return all(_is_label(part) for part in node.args)
    return node.op == "sym" and str(node.value)[0].isupper()


def _settle_relation(node: Node, *, split: bool = True) -> Node:
    """A chain of relations settled; `split`: (x, y) = (3, 4) becomes x = 3, y = 4."""
    signs = str(node.value).split()
    members = list(node.args)
    if "~" in signs:
        signs, members = _exact_part(signs, members)
    if "->" in signs and len(signs) == 1:
        raise Unreadable("an arrow between two answers")
    if "=>" in signs or "->" in signs:
        cut = max(at for at, sign in enumerate(signs) if sign in ("=>", "->"))
        signs, members = signs[cut + 1 :], members[cut + 1 :]
    if not signs:
        return settle(members[0])
    if signs == ["in"]:
        return Node("rel", (members[0], settle(members[1])), "in")
    if set(signs) != {"="}:
        return Node("rel", tuple(members), " ".join(signs))
    return _settle_equality(members, split=split)


def _exact_part(signs: list[str], members: list[Node]) -> tuple[list[str], list[Node]]:
    """What stands before the first ≈, or after it if only a name stands before."""
    cut = signs.index("~")
    if not (is_name(members[cut]) or near(members[cut], members[cut + 1])):
        raise Unreadable(CONTRADICTION)
    if cut == 0 and is_name(members[0]):
        return ["=", *signs[1:]], members
    return signs[:cut], members[: cut + 1]


def _settle_equality(members: list[Node], *, split: bool) -> Node:
    if is_name(members[-1]) and not is_name(members[0]) and not free_names(members[0]):
        members = members[::-1]
    names: list[Node] = []
    while len(members) > 1 and is_name(members[0]):
        names.append(members.pop(0))
    if len(members) > 1:
        if not names and len(members) == 2 and (free_names(members[0]) | free_names(members[1])):
            return _equation(members)
        _same_values(members)
    value = settle(members[-1])
    if not names:
        return value
    if value.op == "list":
        return Node("list", tuple(Node("named", (names[-1], item)) for item in value.args), ",")
    return _componentwise(names[-1], value) if split else Node("named", (names[-1], value))


def _equation(members: list[Node]) -> Node:
    """An equation, or its right side if it is an identity."""
    expressions = [settle(member) for member in members]
    if expressions[0] != expressions[1] and same_expression(*expressions).outcome == "correct":
        return expressions[1]
    return Node("rel", tuple(members), "=")


def _same_values(members: list[Node]) -> None:
    """Raise `Unreadable` unless all members of a chain have the same value."""
    first = split_unit(settle(members[0]))[0]
    for member in members[1:]:
        if same_expression(first, split_unit(settle(member))[0]).outcome != "correct":
            raise Unreadable(CONTRADICTION)


def _componentwise(name: Node, value: Node) -> Node:
    """(x, y) = (3, 4) as x = 3, y = 4; anything else as one named value."""
    if name.op == "seq" and value.op == "seq" and len(name.args) == len(value.args):
        return Node("list", tuple(Node("named", pair) for pair in zip(name.args, value.args, strict=True)), ",")
    return Node("named", (name, value))


def matrices(node: Node) -> Node:
    """The tree with sums, multiples and products of matrices carried out; raises `Unreadable` on a bad size."""
    if not any(part.op == "matrix" for part in walk(node)):
        return node
    args = tuple(matrices(arg) for arg in node.args)
    if node.op in ("matrix", "row"):
        return Node(node.op, args)
    if node.op == "pow" and args[0].op == "matrix" and node.args[1] == Node("sym", (), "T"):
        return Node(
            "matrix", tuple(Node("row", column) for column in zip(*(r.args for r in args[0].args), strict=True))
        )
    if node.op == "neg" and args[0].op == "matrix":
        return _entrywise(args[0], lambda cell: Node("neg", (cell,)))
    if node.op == "func" and node.value == "det" and args[0].op == "matrix":
        return _bounded(_determinant([list(row.args) for row in args[0].args]))
    kinds = [arg.op == "matrix" for arg in args]
    if node.op == "add" and all(kinds):
        return _bounded(_added(args[0], args[1]))
    if node.op == "mul" and all(kinds):
        return _bounded(_multiplied(args[0], args[1]))
    if node.op == "mul" and any(kinds):
        matrix, factor = args if kinds[0] else args[::-1]
        return _entrywise(matrix, lambda cell: Node("mul", (factor, cell)))
    if node.op == "div" and kinds[0] and not kinds[1]:
        return _entrywise(args[0], lambda cell: Node("div", (cell, args[1])))
    raise Unreadable("an operation on matrices that is not carried out")


def _bounded(node: Node) -> Node:
    """A matrix, if its entries are small enough; raises `Unreadable`."""
    if sum(1 for _ in islice(walk(node), MAX_NODES + 1)) > MAX_NODES:
        raise Unreadable("a computation with matrices that is too big")
    return node


def _entrywise(matrix: Node, change: Callable[[Node], Node]) -> Node:
    return Node("matrix", tuple(Node("row", tuple(change(cell) for cell in row.args)) for row in matrix.args))


def _added(left: Node, right: Node) -> Node:
    if [len(row.args) for row in left.args] != [len(row.args) for row in right.args]:
        raise Unreadable("a sum of matrices of different size")
    rows = zip(left.args, right.args, strict=True)
    return Node(
        "matrix",
        tuple(
            Node("row", tuple(Node("add", pair) for pair in zip(one.args, two.args, strict=True))) for one, two in rows
        ),
    )


def _multiplied(left: Node, right: Node) -> Node:
    inner = len(right.args)
    if len(left.args[0].args) != inner or inner * len(left.args) * len(right.args[0].args) > 216:
        raise Unreadable("a product of matrices that do not fit or are too big")
    columns = list(zip(*(row.args for row in right.args), strict=True))
    return Node("matrix", tuple(Node("row", tuple(_dot(row.args, column) for column in columns)) for row in left.args))


def _dot(left: tuple[Node, ...], right: tuple[Node, ...]) -> Node:
    total = Node("mul", (left[0], right[0]))
    for one, two in zip(left[1:], right[1:], strict=True):
        total = Node("add", (total, Node("mul", (one, two))))
    return total


def _determinant(rows: list[list[Node]]) -> Node:
    if len(rows) != len(rows[0]) or len(rows) > 4:
        raise Unreadable("a determinant that is not square or too big")
    if len(rows) == 1:
        return rows[0][0]
    total: Node = number(0)
    for column, head in enumerate(rows[0]):
        minor = _determinant([row[:column] + row[column + 1 :] for row in rows[1:]])
        term = Node("mul", (head, minor))
        total = Node("add", (total, term if column % 2 == 0 else Node("neg", (term,))))
    return total
