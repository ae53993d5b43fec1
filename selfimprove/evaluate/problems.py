"""The problems of an evaluation: from benchmarks or the run's own sets, told apart by what the run did with them.

- *Training problems* of the run, and those whose wording is too like one (where the recipe's `problems.decontaminate`
  compares wording), are no test of a model that was trained on them. They are answered, shown in a row of their own,
  and in no other figure.
- *Held-out problems*, those of guards among them, are in the figures and counted: rounds were accepted on them, which
  favours the champion.
- *Sealed problems* are left out until the run has judged them: an evaluation must not use up their first look.

A problem that stands in several sources counts under the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from selfimprove.errors import UsageError
from selfimprove.problem import Problem, ProblemSets, problems_of
from selfimprove.problem.benchmarks import Benchmark, fields_of, load_benchmark
from selfimprove.problem.grams import resembled
from selfimprove.problem.sources import GeneratedSource, find_sources
from selfimprove.problem.stock import Reading
from selfimprove.recipe import Recipe
from selfimprove.store.durable import read_rows
from selfimprove.store.journal import Journal

HELD_OUT, SEALED = "heldout", "sealed"
"""Names of the run's own sets among the sources."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The problems to answer by benchmark, each once, and the keys of those that stand apart."""

    benchmarks: tuple[Benchmark, ...]
    training: frozenset[str]
    heldout: frozenset[str]
    sealed: int
    notes: tuple[str, ...]

    def problems(self) -> list[Problem]:
        """All problems to answer, in order."""
        return [problem for benchmark in self.benchmarks for problem in benchmark.problems]


def asked_problems(
    journal: Journal, sources: Sequence[str], recipe: Recipe, limit: int, reading: Reading | None = None
) -> Asked:
    """What to answer: of these sources, or of the run's sealed problems, its held-out ones before those are judged.

    `recipe` is that of the evaluation. Raises `UsageError` for a source that can't be read, sealed problems that the
    run has not judged, and if no problem is left.
    """
    judged = bool(journal.sealed())
    sources = list(dict.fromkeys(sources)) or [SEALED if judged else HELD_OUT]
    if SEALED in sources and not judged:
        raise UsageError(
            f"the sealed problems of run `{journal.name}` have yet to be judged by the run itself",
            f"Finish the run first, or name {HELD_OUT} or other problems.",
        )
    sets, trouble = _run_sets(journal, reading)
    if sets is None and (HELD_OUT in sources or SEALED in sources):
        raise trouble
    own = bool(recipe.answers.checker)
    found = [
        _own_set(name, journal, sets, limit)
        if sets is not None and name in (HELD_OUT, SEALED)
        else load_benchmark(name, recipe.problems, reading, limit=limit, as_written=own)
        for name in sources
    ]
    return _apart(journal, found, sets, trouble, judged=judged)


def _run_sets(journal: Journal, reading: Reading | None) -> tuple[ProblemSets | None, UsageError]:
    """The run's sets, or None and why they can't be read as the run read them."""
    recipe = journal.recipe()
    changed = UsageError(f"the problems of run `{journal.name}` changed ({recipe.problems.train})", "Restore them.")
    try:
        sets = problems_of(recipe, reading)
    except UsageError as error:
        return None, error
    return (sets if sets.fingerprint() == journal.bound().problems else None), changed


def _own_set(name: str, journal: Journal, sets: ProblemSets, limit: int) -> Benchmark:
    problems = sets.heldout if name == HELD_OUT else sets.sealed
    problems = problems[: limit or None]
    sources = find_sources(journal.recipe().problems)
    source = sources.heldout if name == HELD_OUT else sources.sealed
    return Benchmark(name=name, problems=problems, fields=fields_of(source, problems))


def _apart(
    journal: Journal, found: Sequence[Benchmark], sets: ProblemSets | None, trouble: UsageError, *, judged: bool
) -> Asked:
    """The benchmarks without repeated and unjudged sealed problems, and what the others are to the run."""
    seen: set[str] = set()
    kept, sealed = [], 0
    closed = frozenset() if judged or sets is None else _names(sets.sealed)
    for benchmark in found:
        fresh = [one for one in benchmark.problems if seen.isdisjoint(one.names())]
        seen |= _names(fresh)
        open_ones = tuple(one for one in fresh if closed.isdisjoint(one.names()))
        sealed += len(fresh) - len(open_ones)
        repeated = benchmark.repeated + len(benchmark.problems) - len(fresh)
        kept.append(replace(benchmark, problems=open_ones, repeated=repeated))
    problems = [problem for benchmark in kept for problem in benchmark.problems]
    if not problems:
        raise UsageError("no problem is left to evaluate on", "Name other problems.")
    told = f"{trouble.message}: training problems are recognised only by the hashes in the run's records."
    notes = () if sets is not None else (told,)
    heldout = frozenset() if sets is None else _names((*sets.heldout, *sets.later, *chain(*sets.guards.values())))
    return Asked(
        benchmarks=tuple(kept),
        training=_training(journal, problems, sets),
        heldout=frozenset(one.key for one in problems if not heldout.isdisjoint(one.names())),
        sealed=sealed,
        notes=notes,
    )


def _training(journal: Journal, problems: Sequence[Problem], sets: ProblemSets | None) -> frozenset[str]:
    """The keys of those of the problems that the run trains on, or that are too like one of those."""
    if sets is None:
        steps = [(record.round, stage.step) for record in journal.rounds() for stage in record.stages]
        files = {journal.round(number).at_step(step).examples for number, step in steps}
        trained = {str(row.get("key")) for path in files for row in read_rows(path)}
        return frozenset(one.key for one in problems if one.key in trained)
    names = _names(sets.train)
    same = {one.key for one in problems if not names.isdisjoint(one.names())}
    wanted = journal.recipe().problems
    if wanted.decontaminate == "ngram" and not isinstance(find_sources(wanted).train, GeneratedSource):
        forms = (one.form for one in sets.train)
        like = resembled(forms, [one.form for one in problems], wanted.ngram, wanted.ngram_share)
        same |= {problems[place].key for place in like}
    return frozenset(same)


def _names(problems: Iterable[Problem]) -> frozenset[str]:
    return frozenset(name for problem in problems for name in problem.names())
