"""Problems to evaluate on: all of a source that have an answer, with the other fields of their rows.

A benchmark is read as a run reads its problems (`sources.read_stock`). It isn't split: nothing is trained on it. A
limit takes those with the smallest keys, which are hashes: a random choice, and another one than a run makes, whose
sealed and held-out problems are the first of its own order.

A problem keeps nothing of its row but question, answer and place. So the rows of the problems that were taken are gone
through once more, and the short values in them kept: a level, a subject, a language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfimprove.problem.fields import as_row
from selfimprove.problem.files import rows_of
from selfimprove.problem.generated import derive_round
from selfimprove.problem.hub import JUDGED_SPLITS
from selfimprove.problem.names import Row
from selfimprove.problem.preview import DRAWN, refuse_unusable
from selfimprove.problem.sources import GeneratedSource, Source, found_source, origin_of, read_stock
from selfimprove.problem.stock import Reading
from selfimprove.problem.table import ProblemRows, first_answered, texts
from selfimprove.problem.values import Problem
from selfimprove.recipe import Problems

LONGEST_VALUE = 60
"""Characters of a field's value, above which it is a text and no label."""

Fields = Mapping[str, Mapping[str, str]]
"""The short values of a problem's row by their field, by the problem's key."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """The answered problems of a source, their rows' fields, and how many of its rows gave none or a repeated one."""

    name: str
    problems: tuple[Problem, ...]
    fields: Fields
    set_aside: int = 0
    repeated: int = 0


def load_benchmark(
    text: str, wanted: Problems, reading: Reading | None = None, *, limit: int = 0, as_written: bool = False
) -> Benchmark:
    """At most `limit` (0: all) answered problems of a source, chosen at random; `as_written` as in `load_problems`.

    Of a dataset the split that is judged by is read, as for `problems.heldout`. A generator gives 256 problems if there
    is no limit, of a draw of their own. Raises `UsageError` for a source that isn't there, a row that is none, and rows
    of which none has an answer.
    """
    source = found_source(text, "PROBLEMS", JUDGED_SPLITS)
    if isinstance(source, GeneratedSource):
        size = {"train_size": limit or DRAWN, "heldout_size": 1, "sealed_size": 1}
        wanted = wanted.model_copy(update=size | {"seed": derive_round(wanted.seed, 0)})
        limit = limit or DRAWN
    stock = read_stock(source, wanted, reading or Reading(), as_written=as_written)
    refuse_unusable(text, stock)
    answered, _ = first_answered(stock.problems, len(stock.problems))
    problems = tuple(_some(answered, limit) if limit else answered)
    return Benchmark(
        name=text,
        problems=problems,
        fields=fields_of(source, problems),
        set_aside=len(stock.aside),
        repeated=stock.duplicates,
    )


def _some(problems: ProblemRows, limit: int) -> list[Problem]:
    """Those with the smallest keys, in the order of the source."""
    keys = list(texts(problems, "key"))
    return [problems[place] for place in sorted(sorted(range(len(keys)), key=keys.__getitem__)[:limit])]


def fields_of(source: Source, problems: Sequence[Problem]) -> Fields:
    """The short values in the rows of these problems, which come from the source; none where rows are generated."""
    if isinstance(source, GeneratedSource):
        return {}
    keys = {problem.source: problem.key for problem in problems}
    found: dict[str, Mapping[str, str]] = {}
    for piece in origin_of(source).pieces():
        for number, row in rows_of(piece.part, Path(piece.title)):
            key = keys.get(f"{piece.name}:{number}")
            if key is not None:
                found[key] = _labels(as_row(row) or {})
    return found


def _labels(row: Row, before: str = "") -> dict[str, str]:
    """The short values of a row and of the objects in it, whose fields have dotted names."""
    found: dict[str, str] = {}
    for name, value in row.items():
        if isinstance(value, dict) and not before:
            found |= _labels(value, f"{name}.")
        elif isinstance(value, (str, int)) and not isinstance(value, bool) and 0 < len(str(value)) <= LONGEST_VALUE:
            found[f"{before}{name}"] = str(value)
    return found
