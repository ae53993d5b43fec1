"""Answers as they stand in their field, for a checker of one's own: a text, or JSON of anything else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from selfimprove.problem.finals import Final
from selfimprove.problem.names import TESTS, Names, Row, listed


def written_answer(
    row: Row, names: Names, fields: Iterable[tuple[str, object]], named: str, used: Counter[str]
) -> Final:
    """What stands in the row's surest field, which `used` counts: the one `named`, a program's tests, an answer.

    `fields` are those that may hold the answer, the surest first.
    """
    tests = [] if named else [(name, row[name]) for name in names.among(TESTS)]
    for name, value in (*tests, *fields):
        if value not in (None, "", [], {}):
            used[name] += 1
            return Final(text=value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
    return Final(text=None, why=f"no answer; the fields are: {listed(row)}")
