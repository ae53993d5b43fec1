"""Trees brought into the shape in which they are compared.

Units are pulled to the root and magnitudes multiplied out; ± becomes a list of two; arithmetic on matrices is
carried out; a chain of equalities becomes a `named` value (`x = 6·7 = 42`), an equation, or a contradiction (`58 =
57`), which is unreadable. Conditions such as `k ∈ Z` beside an answer are dropped. The same function works on both
sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from selfimprove.answer.equality import same_expression
from selfimprove.answer.matrices import matrices
from selfimprove.answer.precision import near
from selfimprove.answer.scales import summed
from selfimprove.answer.tree import (
    ROUND,
    Constant,
    Join,
    Node,
    Op,
    Sign,
    Unit,
    Unreadable,
    free_names,
    negative,
    number,
    walk,
)
from selfimprove.answer.verdict import Outcome
from selfimprove.answer.words import MAGNITUDES, NEVER_UNITS, TRIG

CONTRADICTION = "it contradicts itself"
PERCENT = Unit(("percent",))
DEGREE = Unit(("degree",))
_CUT_OFF = (("per",), ("a",), ("an",), ("/",))
_MOST_WORDS = 5  # of a unit


def settle(node: Node) -> Node:
    """The tree in the shape to be compared; raises `Unreadable` for what contradicts itself or is no answer."""
    if _UNSETTLED.isdisjoint([part.op for part in walk(node)]):
        return node
    if node.op not in _SEVERAL:
        node = _plus_minus(node)
    rule = _RULES.get(node.op)
    if node.op is Op.NEG and node.args[0].op is Op.SEQUENCE and node.args[0].value == ROUND:
        return node.args[0].over(tuple(settle(negative(part)) for part in node.args[0].args))
    return matrices(_units(_degrees(node))) if rule is None else rule(node)


def _degrees(node: Node) -> Node:
    """A sum, product or quotient with angles in degrees in it as one angle in degrees: 180° - 2a as (180 - 2a)°."""
    if node.op in _LINEAR and _has_degrees(node):
        return Node(Op.DEGREES, (_without_degrees(node),))
    return node


def _has_degrees(node: Node) -> bool:
    return node.op is Op.DEGREES or (node.op in _LINEAR and any(_has_degrees(arg) for arg in node.args))


def _without_degrees(node: Node) -> Node:
    if node.op is Op.DEGREES:
        return node.args[0]
    return node.over(tuple(_without_degrees(arg) for arg in node.args)) if node.op in _LINEAR else node


def _settle_items(node: Node) -> Node:
    """A set or sequence; an item that stands for several values is replaced by them."""
    items = [settle(arg) for arg in node.args]
    flat = [part for item in items for part in (item.args if item.op is Op.LIST else (item,))]
    return node.over(tuple(_unnamed(item) if node.op is Op.SET else item for item in flat))


def _settle_cases(node: Node) -> Node:
    """Pieces with their values settled; a condition `x = 0` stays a relation."""
    return node.over(tuple(row.over((settle(row.args[0]), row.args[1])) for row in node.args))


def _settle_each(node: Node) -> Node:
    return node.over(tuple(settle(arg) for arg in node.args))


def split_unit(node: Node) -> tuple[Node, Unit | None]:
    """The tree without the unit at its root, and that unit or None."""
    if isinstance(node.value, Unit):
        return node.args[0], node.value
    if node.op in _UNIT_SIGNS:
        return node.args[0], _UNIT_SIGNS[node.op]
    if node.op is Op.NEG and (node.args[0].op is Op.UNIT or node.args[0].op in _UNIT_SIGNS):
        inner, unit = split_unit(node.args[0])
        return negative(inner), unit
    return node, None


_UNIT_SIGNS = {Op.PERCENT: PERCENT, Op.DEGREES: DEGREE}


def _units(node: Node) -> Node:
    """Magnitudes multiplied out, the percent word as a percent sign, other units left at the root only."""
    if not isinstance(node.value, Unit):
        return _checked(node)
    inner = _units(node.args[0])
    words = node.value.words
    if words[0] == "mod":
        return Node(Op.UNIT, (inner,), node.value)
    if any(word in NEVER_UNITS for word in words) or len(words) > _MOST_WORDS or words in _CUT_OFF:
        raise Unreadable("words after a number that are no unit")
    while words and words[0] in MAGNITUDES:
        inner = _scaled(inner, MAGNITUDES[words[0]])
        words = words[1:]
    if not words:
        return inner
    if words == PERCENT.words:
        return Node(Op.PERCENT, (inner,)) if inner.op is not Op.PERCENT else inner
    core, before = split_unit(inner)
    if before is not None and before.words != words and words not in (("per",), ("dollar",)):
        words = (*before.words, *words)
    return Node(Op.UNIT, (core,), Unit(words))


def _checked(node: Node) -> Node:
    """The tree, with the unit of a sum, product or quotient at its root; raises `Unreadable` if there are several."""
    if node.op not in _ARITHMETIC:
        return node
    units = {part.value for part in walk(node) if isinstance(part.value, Unit)}
    if not units:
        return node
    if len(units) != 1:
        raise Unreadable("several units in one answer")
    return _units(Node(Op.UNIT, (_strip_units(node),), units.pop()))


def _strip_units(node: Node) -> Node:
    if node.op is Op.UNIT:
        return _strip_units(node.args[0])
    return node.over(tuple(_strip_units(arg) for arg in node.args))


def _scaled(node: Node, factor: int) -> Node:
    core, unit = split_unit(node)
    product = Node(Op.MUL, (core, number(factor)))
    return product if unit is None else Node(Op.UNIT, (product,), unit)


def _plus_minus(node: Node) -> Node:
    """± as a list of the two values; all of them in one item turn together."""
    if _TWO_SIGNS.isdisjoint(part.op for part in walk(node)):
        return node
    return Node(Op.LIST, (_signed(node, Op.PLUS_MINUS), _signed(node, Op.MINUS_PLUS)), Join.COMMA)


def _signed(node: Node, plus: Op) -> Node:
    """The tree with `plus` read as a plus sign and the other of ± and ∓ as a minus sign."""
    args = tuple(_signed(arg, plus) for arg in node.args)
    if node.op not in _TWO_SIGNS:
        return node.over(args)
    left, right = args
    right = right if node.op is plus else negative(right)
    return right if left == number(0) else Node(Op.ADD, (left, right))


def _settle_list(node: Node) -> Node:
    kept = [arg for arg in node.args if not (_is_condition(arg) and not _restricts(arg, node.args))] or list(node.args)
    items: list[Node] = []
    for arg in kept:
        item = _settle_relation(arg, split=False) if arg.op is Op.RELATION else settle(arg)
        items.extend(item.args if item.value is Join.COMMA and arg.op is not Op.LIST else (item,))
    if len(items) == 1:
        return items[0]
    if node.value is not Join.OR and (total := summed(items)) is not None:
        return total
    names = [item.args[0] for item in items if item.op is Op.NAMED]
    one_name = len(names) == 1 or (len(set(names)) == 1 and len(names) == len(items))
    if one_name and items[0].op is Op.NAMED:
        items = [_unnamed(item) for item in items]
    return node.over(tuple(items))


def _unnamed(node: Node) -> Node:
    return node.args[1] if node.op is Op.NAMED else node


def _is_condition(node: Node) -> bool:
    """Whether an item only says where a variable lives, such as `k ∈ Z`."""
    return node.signs == (Sign.IN,) and node.args[1].op is Op.DOMAIN


def _restricts(condition: Node, items: Sequence[Node]) -> bool:
    """Whether a condition leaves few of the real numbers that an inequality allows: `x ∈ Z` beside `x > 2`."""
    unknown, domain = condition.args
    if domain.value == "R" or unknown.op is not Op.SYMBOL or unknown.name not in "xyzt":
        return False
    return any(
        item.op is Op.RELATION and item.signs != condition.signs and unknown.name in free_names(item) for item in items
    )


def is_name(node: Node) -> bool:
    """Whether the tree only names a quantity: x, f(x), A^-1, |AB|, AB, NO/BO, V_1 : V_2, (x, y), sin A, a word."""
    if node.op in _NAMES:
        return True
    if node.op is Op.UNIT:
        return is_name(node.args[0])
    if node.op is Op.FUNCTION:
        return (node.value == "abs" or node.value in TRIG) and all(is_name(arg) for arg in node.args)
    if node.op is Op.DIV and all(_is_differential(arg) for arg in node.args):
        return True
    if node.op in _OF_NAMES:
        return bool(node.args) and all(is_name(arg) for arg in node.args)
    if node.op is Op.POW and node.args[0].op is Op.SYMBOL and node.args[0].name.isupper():
        return node.args[1] in (number(-1), negative(number(1)))
    if node.op is Op.MUL and node.args[0].op is Op.POW and node.args[1].op is Op.SYMBOL:
        base, exponent = node.args[0].args
        return base.op is Op.SYMBOL and base.name in _FUNCTIONS and exponent in (number(-1), negative(number(1)))
    if node.op is Op.MUL and node.args[0].value == "\\Delta":
        return is_name(node.args[1])
    if node.op is Op.ADD:
        parts = [part.args[0] if part.op is Op.NEG else part for part in node.args]
        return all(part.op is Op.APPLY or (part.op is Op.ADD and is_name(part)) for part in parts)
    return node.op is Op.MUL and all(_is_label(part) for part in node.args)


_NAMES = frozenset((Op.SYMBOL, Op.APPLY, Op.TEXT))
_FUNCTIONS = frozenset("fghFGH")  # whose power -1 on the left of an equation is an inverse
_OF_NAMES = frozenset((Op.DIV, Op.RATIO, Op.SEQUENCE))


def _is_differential(node: Node) -> bool:
    """The dy or dx of dy/dx."""
    return node.op is Op.MUL and node.args[0].value == "d" and node.args[1].op is Op.SYMBOL


def _is_label(node: Node) -> bool:
    """A capital letter, a product of such, or the argument of P( )."""
    if node.op is Op.MUL:
        return all(_is_label(part) for part in node.args)
    return node.op is Op.SYMBOL and node.name[0].isupper()


def _settle_relation(node: Node, *, split: bool = True) -> Node:
    """A chain of relations settled; `split`: (x, y) = (3, 4) becomes x = 3, y = 4."""
    signs, members = node.signs, node.args
    if Sign.NEAR in signs:
        signs, members = _exact_part(signs, members)
    if signs == (Sign.ARROW,):
        raise Unreadable("an arrow between two answers")
    arrows = [at for at, sign in enumerate(signs) if sign is Sign.IMPLIES or sign is Sign.ARROW]
    if arrows:
        signs, members = signs[arrows[-1] + 1 :], members[arrows[-1] + 1 :]
    if not signs:
        return settle(members[0])
    if signs == (Sign.IN,) and members[1].op is Op.SET and _is_unknown(members[0]):
        return settle(members[1])
    if signs == (Sign.IN,):
        return Node(Op.RELATION, (members[0], settle(members[1])), signs)
    if any(sign is not Sign.EQUAL for sign in signs):
        return Node(Op.RELATION, members, signs)
    return _settle_equality(list(members), split=split)


def _is_unknown(node: Node) -> bool:
    """A variable, or a tuple of them."""
    return node.op is Op.SYMBOL or (node.op is Op.SEQUENCE and all(part.op is Op.SYMBOL for part in node.args))


def _exact_part(signs: tuple[Sign, ...], members: tuple[Node, ...]) -> tuple[tuple[Sign, ...], tuple[Node, ...]]:
    """What stands before the first ≈, or after it if only a name stands before."""
    cut = signs.index(Sign.NEAR)
    if not (is_name(members[cut]) or near(members[cut], members[cut + 1])):
        raise Unreadable(CONTRADICTION)
    if cut == 0 and is_name(members[0]):
        return (Sign.EQUAL, *signs[1:]), members
    if cut == 1 and not is_name(members[0]) and free_names(members[0]) and not free_names(members[1]):
        return (), members[1:2]  # \pi d = 2\pi \approx 6.28
    return signs[:cut], members[: cut + 1]


def _settle_equality(members: list[Node], *, split: bool) -> Node:
    if is_name(members[-1]) and not is_name(members[0]) and not free_names(members[0]):
        members = members[::-1]
    names: list[Node] = []
    while len(members) > 1 and (is_name(members[0]) or _is_charge(members)):
        names.append(members.pop(0))
    while len(members) > 1 and names and free_names(members[0]) and _are_numbers(members[1:], members[:1]):
        members.pop(0)  # F = ma = 12 N
    while len(members) > 2 and not names and free_names(members[0]) and _are_numbers(members[1:]):
        names.append(members.pop(0))  # m + n = 256 + 37 = 293
    if len(members) > 1:
        if not names and len(members) == 2 and (free_names(members[0]) | free_names(members[1])):
            return _equation(members)
        if not names and all(member == members[0] for member in members):
            raise Unreadable("an equation that says nothing")
        _same_values(members)
    value = settle(members[-1])
    if not names:
        return value
    if value.op is Op.LIST:
        return Node(Op.LIST, tuple(Node(Op.NAMED, (names[-1], item)) for item in value.args), Join.COMMA)
    if _is_size_of_unknown(names[-1]):
        return _two_values(names[-1].args[0], value)
    return _componentwise(names[-1], value) if split else Node(Op.NAMED, (names[-1], value))


def _is_charge(members: list[Node]) -> bool:
    """Whether `e` stands for a quantity and not for 2.718…: e = 1.6 × 10^-19."""
    return members[0].value is Constant.E and len(members) == 2 and not free_names(members[1])


def _are_numbers(members: list[Node], before: Sequence[Node] = ()) -> bool:
    """Whether these are numbers, one with a letter for its unit among them if `before` knows no such letter."""
    known = frozenset[str]().union(*map(free_names, before))
    return not any(free_names(_without_letter(member, known) if before else member) for member in members)


def _without_letter(node: Node, known: frozenset[str]) -> Node:
    """A number without the letter behind it that is none of these: 12 of `12 N`."""
    is_measure = node.op is Op.MUL and len(node.args) == 2 and node.args[1].op is Op.SYMBOL
    if not is_measure or node.args[0].op is not Op.NUMBER or node.args[1].name in known:
        return node
    return node.args[0]


def _is_size_of_unknown(name: Node) -> bool:
    """|x| of a variable for a real number, whose equation has two solutions; |z|, |v| and |AB| are quantities."""
    return (
        name.op is Op.FUNCTION and name.value == "abs" and name.args[0].op is Op.SYMBOL and name.args[0].name in _REALS
    )


def _two_values(unknown: Node, value: Node) -> Node:
    """The solutions of |x| = c."""
    if value == number(0):
        return Node(Op.NAMED, (unknown, value))
    if value.op is Op.NEG:
        raise Unreadable("an absolute value below zero")
    return Node(Op.LIST, tuple(Node(Op.NAMED, (unknown, item)) for item in (value, negative(value))), Join.COMMA)


def _equation(members: list[Node]) -> Node:
    """An equation, or its right side if it is an identity."""
    expressions = [settle(member) for member in members]
    if expressions[0] != expressions[1] and same_expression(*expressions).outcome is Outcome.CORRECT:
        return expressions[1]
    return Node(Op.RELATION, tuple(members), (Sign.EQUAL,))


def _same_values(members: list[Node]) -> None:
    """Raise `Unreadable` unless all members of a chain have the same value."""
    first, *others = map(_compared, members)
    known = frozenset[str]().union(*map(free_names, (first, *others[:-1])))
    for member in others:
        if not _equal(first, member) and not _equal(first, _without_letter(member, known)):
            raise Unreadable(CONTRADICTION)


def _compared(member: Node) -> Node:
    """A member of a chain as a value: a ratio as its quotient, a quantity without its unit."""
    node = split_unit(settle(member))[0]
    return Node(Op.DIV, node.args) if node.op is Op.RATIO and len(node.args) == 2 else node


def _equal(one: Node, two: Node) -> bool:
    """Whether two members of a chain are equal, matrices entry by entry."""
    if one.op is Op.MATRIX and two.op is Op.MATRIX:
        return [len(row.args) for row in one.args] == [len(row.args) for row in two.args] and all(
            _equal(*cells)
            for rows in zip(one.args, two.args, strict=True)
            for cells in zip(rows[0].args, rows[1].args, strict=True)
        )
    return same_expression(one, two).outcome is Outcome.CORRECT


def _componentwise(name: Node, value: Node) -> Node:
    """(x, y) = (3, 4) as x = 3, y = 4; anything else as one named value."""
    if name.op is Op.SEQUENCE and value.op is Op.SEQUENCE and len(name.args) == len(value.args):
        pairs = zip(name.args, value.args, strict=True)
        return Node(Op.LIST, tuple(Node(Op.NAMED, pair) for pair in pairs), Join.COMMA)
    return Node(Op.NAMED, (name, value))


_REALS = frozenset("xyntmkabcpqrsu")
_LINEAR = frozenset((Op.ADD, Op.MUL, Op.DIV, Op.NEG))
_TWO_SIGNS = frozenset((Op.PLUS_MINUS, Op.MINUS_PLUS))
_ARITHMETIC = frozenset((Op.ADD, Op.MUL, Op.DIV))
_SEVERAL = frozenset((Op.LIST, Op.SET, Op.RELATION, Op.CASES))
_RULES: dict[Op, Callable[[Node], Node]] = {
    Op.LIST: _settle_list,
    Op.SET: _settle_items,
    Op.SEQUENCE: _settle_items,
    Op.RELATION: _settle_relation,
    Op.UNION: _settle_each,
    Op.INTERSECTION: _settle_each,
    Op.DIFFERENCE: _settle_each,
    Op.RATIO: _settle_each,
    Op.CASES: _settle_cases,
}
_UNSETTLED = _TWO_SIGNS | {*_RULES, Op.UNIT, Op.MATRIX, Op.DEGREES}
