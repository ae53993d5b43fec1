"""Units of one letter, which in mathematics are names of unknowns: `3.14 m` against 3.14 or 314 cm."""

from __future__ import annotations

import re

from selfimprove.answer.compare import compare
from selfimprove.answer.reading import Answer, plain_text, read
from selfimprove.answer.shape import split_unit
from selfimprove.answer.tree import free_names
from selfimprove.answer.verdict import Finding

_MEASURED = re.compile(r"(?:[A-Za-z]\w{0,2}\s?=\s?){0,3}(-?\d[\d.,/ ]{0,20}|-?\d*[½¼¾⅓⅔])\s(m|g|s|h|L|l|N|V|A|K|C|F)")


def in_letter_unit(reference: Answer, prediction: Answer) -> Finding | None:
    """The comparison with the letter read as a unit that only the prediction writes so; None where there is none.

    The letter stands behind a number and a space, and the reference has no unknowns.
    """
    measured = _MEASURED.fullmatch(plain_text(prediction.written.strip()))
    if measured is None or reference.node is None or free_names(reference.node):
        return None
    has_unit = split_unit(reference.node)[1] is not None
    number = read(f"{measured[1].strip()} \\text{{ {measured[2]}}}" if has_unit else measured[1].strip()).node
    return None if number is None else compare(reference.node, number)
