"""The rows of the table by fields: problems that share a source, a level, a subject or the length of their answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfimprove.errors import UsageError
from selfimprove.problem import Problem
from selfimprove.problem.benchmarks import Benchmark
from selfimprove.problem.names import bare_name, listed

USUAL = (
    "level", "difficulty", "grade", "subject", "type", "category", "topic", "domain", "task", "subset", "split",
    "dataset", "datasource", "language", "lang",
)  # fmt: skip
"""Fields, by their bare names, that are shown unasked."""
MOST_VALUES = 20
"""Rows of a field; its rarest values beyond them share a row."""
LENGTH = "length of the answer"
LENGTHS = ((1, "1 character"), (2, "2 characters"), (4, "3 to 4"), (8, "5 to 8"), (16, "9 to 16"))
"""Upper bounds of the rows by the length of the reference answer; longer ones share a row."""
LONGER = "17 or more"
OTHERS = "other values"


@dataclass(frozen=True)
class Group:
    """The keys of the problems whose field has this value."""

    field: str
    value: str
    keys: tuple[str, ...]


def groups_of(benchmarks: Sequence[Benchmark], by: Sequence[str]) -> list[Group]:
    """The rows by source, by fields and by length of the answer; what all problems have in common makes none.

    The fields are those named in `by`, else the usual ones. `UsageError` for a field that no problem has.
    """
    problems = [problem for benchmark in benchmarks for problem in benchmark.problems]
    fields = {key: values for benchmark in benchmarks for key, values in benchmark.fields.items()}
    sources = {one.key: _source(one, benchmark) for benchmark in benchmarks for one in benchmark.problems}
    rows = _rows("source", problems, sources)
    for name in _shown(fields, by):
        rows += _rows(name, problems, {key: values[name] for key, values in fields.items() if name in values})
    return rows + _rows(LENGTH, problems, {one.key: _length(one) for one in problems})


def _shown(fields: Mapping[str, Mapping[str, str]], by: Sequence[str]) -> list[str]:
    """The names of the fields to show, in the order of `by` or of their rows."""
    there = list(dict.fromkeys(name for values in fields.values() for name in values))
    for name in by:
        if name not in there:
            known = f"The fields are: {listed(there)}." if there else "Their rows have no short values."
            raise UsageError(f"--by {name}: no problem has such a field", known)
    return list(by) or [name for name in there if bare_name(name.rpartition(".")[2]) in USUAL]


def _rows(field: str, problems: Sequence[Problem], labels: Mapping[str, str]) -> list[Group]:
    values = {problem.key: labels.get(problem.key, "") for problem in problems}
    counts = Counter(value for value in values.values() if value)
    if len(counts) > MOST_VALUES:
        kept = {value for value, _ in counts.most_common(MOST_VALUES - 1)}
        values = {key: value if value in kept or not value else OTHERS for key, value in values.items()}
    found: dict[str, list[str]] = {}
    for key, value in values.items():
        if value:
            found.setdefault(value, []).append(key)
    ordered = sorted(found, key=lambda value: (value == OTHERS, _natural(field, value)))
    return [Group(field, value, tuple(found[value])) for value in ordered] if len(found) > 1 else []


def _natural(field: str, value: str) -> list[tuple[int, str]]:
    """A key that sorts numbers in a text by their size; lengths by their own order."""
    names = [name for _, name in LENGTHS] + [LONGER]
    if field == LENGTH:
        return [(names.index(value), "")]
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d{1,9})", value)]


def _length(problem: Problem) -> str:
    size = len(problem.answer or "")
    return next((name for bound, name in LENGTHS if size <= bound), LONGER)


def _source(problem: Problem, benchmark: Benchmark) -> str:
    """The benchmark, or the file or task in it where it has several."""
    places = {one.source.rpartition(":")[0] or one.source for one in benchmark.problems}
    return benchmark.name if len(places) == 1 else problem.source.rpartition(":")[0] or problem.source
