"""A source whose questions can't be answered as they were read: a passage that they speak of stands in no field used.

Rows give it away together: their questions speak of a passage and none was found, or one question has many answers and
a field that was not read tells its rows apart. What the field is can't be told by a name that nobody has listed: it may
as well hold the explanation, which would give the answer away. So such a source is refused, and its unused fields are
named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from selfimprove.errors import UsageError
from selfimprove.problem.likeness import is_beside, is_recorded
from selfimprove.problem.names import bare_name, listed
from selfimprove.problem.table import Rows
from selfimprove.problem.values import Aside

LOOKED_AT = 2000
"""Questions that are searched for a mention of a passage, at most."""
LEAST_ROWS = 4
"""Rows of a source that is judged."""

_SPEAKS = re.compile(
    r"\b(?:according to|based on|given|in|from|of|by|does|consider|read) (?:the|this) (?:(?:above|following|given|"
    r"provided) )?(?:passages?|text|article|paragraph|dialogue|conversation|story|excerpt|document|context|premises|"
    r"narrative|transcript|table|contract|clause|scenario|report|review|snippet|poem|email|letter)\b",
    re.IGNORECASE,
)
_REFERS = re.compile(
    r"\b(?:according to|based on) (?:the|this) (?:(?:above|following|given|provided) )?(?:passage|text|article|"
    r"paragraph|dialogue|conversation|story|excerpt|transcript)\b",
    re.IGNORECASE,
)
"""The same, said of nothing but such a text."""
_ELSEWHERE = re.compile(r"(?:table|passage|context|paragraph|story|article|document)(?:id|file|filename|path)")
"""Bare names of what says where the text stands that a question is about."""
_LONG = 400
"""Characters of a question that may well hold its passage."""


def refuse_bare_questions(rows: Rows, aside: Sequence[Aside], unused: Sequence[str], title: str) -> None:
    """`UsageError` if the questions of a source, which were read without a context, seem to lack one.

    `aside` are rows that were set aside because they disagree, `unused` the fields that were not read.
    """
    likely = [name for name in unused if not is_beside(name)]
    telling = likely or [name for name in unused if not is_recorded(name)]
    if rows.table.num_rows < LEAST_ROWS:
        return
    if not telling:
        _refuse_without_texts(rows, title)
        return
    hint = "Name it if it holds what belongs to the question: --set problems.context=FIELD, or leave the field out."
    disagree = [one for one in aside if one.kind == "disagreement"]
    if 4 * len(disagree) >= rows.table.num_rows:
        raise UsageError(
            f"{title}: {len(disagree):,} of {rows.table.num_rows:,} rows ask what others ask and have another answer, "
            f"and something that belongs to them may stand in {listed(telling[:8])}",
            hint,
        )
    asked = [one for one in rows.table["question"].slice(0, LOOKED_AT).to_pylist() if one] if likely else []
    speaking = [one for one in asked if len(one) < _LONG and _SPEAKS.search(one)]
    if 4 * len(speaking) >= len(asked) and len(speaking) > 1:
        raise UsageError(
            f"{title}: {len(speaking):,} of {len(asked):,} questions speak of a text that they don't show, which may "
            f"stand in {listed(likely[:8])}",
            hint,
        )


def _refuse_without_texts(rows: Rows, title: str) -> None:
    """`UsageError` if the questions speak of a text and no field is left in which it might stand."""
    asked = [one for one in rows.table["question"].slice(0, LOOKED_AT).to_pylist() if one]
    speaking = [one for one in asked if len(one) < _LONG and _REFERS.search(one)]
    if 4 * len(speaking) >= len(asked) and len(speaking) > 1:
        raise UsageError(
            f"{title}: {len(speaking):,} of {len(asked):,} questions speak of a text that is in no field of the file",
            "Put each text into its row, in a field `context`, or leave out the questions that speak of one.",
        )


def refuse_absent_texts(rows: Rows, unused: Sequence[str], numbered: Sequence[str], title: str) -> None:
    """`UsageError` if the short questions of a source, read without a context, are about texts in another file.

    `numbered` are fields for such texts that hold a number.
    """
    names = [name for name in unused if _ELSEWHERE.fullmatch(bare_name(name)) or name in numbered]
    asked = [one for one in rows.table["question"].slice(0, LOOKED_AT).to_pylist() if one] if names else []
    if 2 * sum(len(one) < _LONG for one in asked) > len(asked):
        raise UsageError(
            f"{title}: the questions may be about texts that are not in the file: {listed(names)} says which ones",
            "Put each text into its row, in a field `context`. If the questions need none, leave "
            f"{listed(names)} out of the file.",
        )
