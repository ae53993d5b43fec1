"""Which rows of a source are its problems: each question once, in an order that depends on the seed alone.

Of rows that are the same problem, one with an answer is kept; none is if their answers disagree. The order is that of a
hash, so a row added to a file moves no other row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from selfimprove.problem.table import Rows, problem_rows
from selfimprove.problem.values import Aside, Problem, agree

if TYPE_CHECKING:
    import numpy as np

    from selfimprove.problem.table import Places

_SHOWN = re.compile(r"(?<![A-Za-z])[AB]\s*[).:\]}]")

MOST_TOLD = 3
"""Answers of one question that are told, at most."""


@dataclass(frozen=True, kw_only=True)
class Distinct:
    """The rows that are problems in their order, how many copies there were, and the rows that no run can use."""

    places: Places
    duplicates: int
    aside: tuple[Aside, ...]


def distinct(rows: Rows, *, as_written: bool = False) -> Distinct:
    """The rows that are problems, each problem once; `as_written` as in `FieldReader`."""
    import numpy as np

    every = np.flatnonzero(np.asarray(rows.table["question"].is_valid()))
    asked, letters = (every, []) if as_written else _without_bare_letters(rows, every)
    ordered = asked[_by_rank(rows, asked)]
    ranks = _ranks(rows, ordered)
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = (ranks[1:] != ranks[:-1]).any(axis=1)
    starts = np.flatnonzero(first)
    sizes = np.diff(np.append(starts, len(ordered)))
    kept = first.copy()
    duplicates, disagreeing = 0, []
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
        places = ordered[start : start + size]
        order, others = _settled(rows.problems(places))
        disagreeing += others
        duplicates += 0 if others else size - 1
        kept[start] = not others
        ordered[start] = places[order]
    return Distinct(places=ordered[kept], duplicates=int(duplicates), aside=(*letters, *disagreeing))


def _ranks(rows: Rows, places: Places) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    """The hashes of these rows as four numbers each, which are ordered as the hashes are."""
    import numpy as np

    hashes = rows.table["rank"].take(places).combine_chunks()
    data = np.frombuffer(hashes.buffers()[1] or b"", dtype=">u8")
    return data[4 * hashes.offset :][: 4 * len(places)].reshape(-1, 4).astype(np.uint64)


def _by_rank(rows: Rows, places: Places) -> Places:
    import numpy as np

    ranks = _ranks(rows, places)
    return np.lexsort(tuple(ranks[:, column] for column in (3, 2, 1, 0)))


def _settled(same: list[Problem]) -> tuple[int, list[Aside]]:
    """Which of these rows of one problem is kept, and all of them if another answer stands in one."""

    def rank(place: int) -> tuple[bool, str, str]:
        return same[place].answer is None, same[place].answer or "", same[place].question

    order = sorted(range(len(same)), key=rank)
    answers = list(dict.fromkeys(same[place].answer for place in order))
    first = answers[0] or ""
    if all(one is None or agree(first, one) for one in answers[1:]):
        return order[0], []
    told = list(dict.fromkeys(f"{one!r:.40}" for one in answers if one is not None))
    more = len(told) - MOST_TOLD
    others = [f"{more} others" if more > 1 else "another"] if more > 0 else []
    why = f"the same question has the answers {' and '.join([*told[:MOST_TOLD], *others])}"
    return order[0], [Aside(where=same[place].source, kind="disagreement", why=why) for place in order]


def _without_bare_letters(rows: Rows, asked: Places) -> tuple[Places, list[Aside]]:
    """The rows without those whose answer is the letter of an option that the question doesn't show.

    Where most answers of a source are letters, its options stand in a field that was not recognised.
    """
    import numpy as np
    import pyarrow.compute as pc

    letter = np.asarray(pc.fill_null(pc.match_substring_regex(rows.table["answer"], "^[A-J]$"), False))
    answered = int(rows.answered[asked].sum())
    if 2 * int(letter[asked].sum()) <= answered:
        return asked, []
    places = asked[letter[asked]]
    hidden = [not _shows(one.question, one.answer or "") for one in problem_rows(rows, places)]
    keys = rows.table["key"]
    gone = set(keys.take(places[np.array(hidden)]).to_pylist())
    if 2 * len(gone) <= answered:
        return asked, []
    out = np.array([key in gone for key in keys.take(asked).to_pylist()]) & rows.answered[asked]
    why = "the answer is the letter {}, but the question has no options: name their field in problems.options"
    aside = [
        Aside(where=one.source, kind="options", why=why.format(one.answer)) for one in problem_rows(rows, asked[out])
    ]
    return asked[~out], aside


def _shows(question: str, letter: str) -> bool:
    """Whether the question shows options with letters, from A or from another one on (F, G, H, J)."""
    return bool(_SHOWN.search(question) or re.search(rf"^{letter}\. ", question, re.MULTILINE))
