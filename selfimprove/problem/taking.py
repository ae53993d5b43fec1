"""Problems taken from the front of a source's order, and what is said where a source lacks them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from selfimprove.errors import UsageError
from selfimprove.problem.sources import FileSource, Source
from selfimprove.problem.stock import PROSE, Stock
from selfimprove.problem.table import ProblemRows, first_answered, without
from selfimprove.problem.values import Problem


@dataclass(frozen=True)
class Keys:
    """What a set's size and its source are called in the recipe, and the section with its answer's field."""

    size: str
    source: str
    section: str

    @staticmethod
    def of_set(name: str) -> Keys:
        """Those of `train`, `heldout` or `sealed`."""
        return Keys(f"problems.{name}_size", f"problems.{name}", "[problems]")

    @staticmethod
    def of_guard(name: str) -> Keys:
        """Those of the guard of this name."""
        return Keys(f"guards.{name}.size", f"guards.{name}.problems", "[[guards]]")


def take_answered(
    problems: ProblemRows, size: int, keys: Keys, source: Source, stock: Stock
) -> tuple[tuple[Problem, ...], ProblemRows]:
    """The first `size` problems that have answers, and all others; `UsageError` if there are fewer."""
    first, others = first_answered(problems, size)
    taken = tuple(first)
    if len(taken) < size:
        why, instead = cause_of_lack(stock, source)
        smaller = f"Set {keys.size} to at most {len(taken)}" if taken else instead
        if taken and stock.aside and stock.aside[0].why.startswith("no answer"):
            smaller += f', name the answer\'s field ({keys.section} answer = "…")'
        raise UsageError(
            f"{keys.size} is {size}, but {source} has {len(taken)} distinct problems with answers left for it{why}",
            f"{smaller}, or name {'a larger' if taken or not stock.rows else 'another'} source in {keys.source}.",
        )
    return taken, others


def cause_of_lack(stock: Stock, source: Source) -> tuple[str, str]:
    """Why a source has too few answers, from its first row without one; and what to do about it where it has none."""
    if not stock.aside:
        return "", "Add rows"
    first = next((one for one in stock.aside if one.kind in PROSE), stock.aside[0])
    line = first.where.rpartition(":")[2]
    place = f"{source}:{line}" if isinstance(source, FileSource) and not source.path.is_dir() else first.where
    more = f" ({len(stock.aside):,} rows are set aside)" if len(stock.aside) > 1 else ""
    told = {
        "no answer": "Correct or remove the row" if "holds" in first.why else "Name the field that holds the answer",
        "sentence": "Name a field with the final answer in problems.answer, or write it as `#### 7` or in a box",
    }
    return f": {place}: {first.why}{more}", told.get(first.kind, "Correct or remove the row")


def without_these(problems: ProblemRows, others: Iterable[Problem]) -> tuple[ProblemRows, int]:
    """The problems that are none of the others, and how many are."""
    kept = without(problems, {name for problem in others for name in problem.names()})
    return kept, len(problems) - len(kept)
