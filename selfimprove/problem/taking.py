"""Problems taken from the front of a source's order, and why a source has too few."""

from __future__ import annotations

from collections.abc import Iterable

from selfimprove.problem.sources import FileSource, Source
from selfimprove.problem.stock import PROSE, Stock
from selfimprove.problem.table import ProblemRows, first_answered, without
from selfimprove.problem.values import Problem


def take_answered(problems: ProblemRows, size: int) -> tuple[tuple[Problem, ...], ProblemRows]:
    """The first problems that have answers, at most `size`, and all others."""
    first, others = first_answered(problems, size)
    return tuple(first), others


def without_these(problems: ProblemRows, others: Iterable[Problem]) -> tuple[ProblemRows, int]:
    """The problems that are none of the others, and how many are."""
    kept = without(problems, {name for problem in others for name in problem.names()})
    return kept, len(problems) - len(kept)


def cause_of_lack(stock: Stock, source: Source, section: str = "[problems]") -> tuple[str, str]:
    """Why a source has too few answers, from its first row without one, and what to do about that.

    `section` is where the recipe names the answer's field.
    """
    if not stock.aside:
        return "", "Add rows"
    first = next((one for one in stock.aside if one.kind in PROSE), stock.aside[0])
    line = first.where.rpartition(":")[2]
    place = f"{source}:{line}" if isinstance(source, FileSource) and not source.path.is_dir() else first.where
    more = f" ({len(stock.aside):,} rows are set aside)" if len(stock.aside) > 1 else ""
    named = f'Name the answer\'s field ({section} answer = "…")'
    told = {
        "no answer": "Correct or remove the row" if "holds" in first.why else named,
        "sentence": "Name a field with the final answer in problems.answer, or write it as `#### 7` or in a box",
        "program": "Use questions with a final answer, or a checker of your own (answers.checker)",
    }
    return f"; {place}: {first.why}{more}", told.get(first.kind, "Correct or remove the row")
