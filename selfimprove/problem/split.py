"""Three disjoint sets out of one to three sources, and those of the guards beside them.

The sealed set is taken first, then the held-out set, then the guards' (`guarded.py`), then training, each in the seeded
order of its source: a change of `train_size` changes none of the others, and guards change training alone. A set that
shares its source with an earlier one goes on where that one stopped. From the source of a set, the problems of earlier
sets are removed before it is cut to its size; `dropped` counts them over the whole source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from selfimprove.errors import UsageError
from selfimprove.problem.generated import derive_round, draw
from selfimprove.problem.guarded import Guarded, take_guards
from selfimprove.problem.kept import found_again
from selfimprove.problem.sets import ProblemSets
from selfimprove.problem.sources import (
    GeneratedSource,
    Source,
    Sources,
    find_sources,
    read_stock,
    refuse_lacking,
)
from selfimprove.problem.stock import Reading, Stock
from selfimprove.problem.table import ProblemRows, rows_of_problems, texts, without_places
from selfimprove.problem.taking import Keys, cause_of_lack, take_answered, without_these
from selfimprove.problem.values import Problem
from selfimprove.problem.wording import leaked, shared_ngrams
from selfimprove.recipe import Guard, Problems, Recipe


def load_problems(
    wanted: Problems,
    reading: Reading | None = None,
    *,
    rotate: bool = False,
    as_written: bool = False,
    guards: Sequence[Guard] = (),
) -> ProblemSets:
    """Disjoint, deterministic sets of the sizes asked for; raises `UsageError` where a source can't give them.

    With `rotate` all that the held-out source has left is held out for later rounds, so it must be a source of its own.
    `as_written`: a file's answers are what their field holds, for a checker of one's own, and not a final answer in it.
    """
    reading = reading or Reading()
    sources = find_sources(wanted)
    _refuse_impossible(wanted, sources, rotate)
    named = {"train": sources.train, "heldout": sources.heldout, "sealed": sources.sealed}
    read = partial(read_stock, wanted=wanted, reading=reading, as_written=as_written, more=sum(g.size for g in guards))
    stocks = {source: read(source) for source in dict.fromkeys(named.values())}
    refuse_lacking(stocks)
    left = {source: stock.problems for source, stock in stocks.items()}

    def taken(name: str, size: int) -> tuple[Problem, ...]:
        source = named[name]
        found, left[source] = take_answered(left[source], size, Keys.of_set(name), source, stocks[source])
        return found

    sealed = taken("sealed", wanted.sealed_size)
    left[sources.heldout], heldout_in_sealed = without_these(left[sources.heldout], sealed)
    heldout = taken("heldout", wanted.heldout_size)
    later = tuple(problem for problem in left[sources.heldout] if problem.answer is not None) if rotate else ()
    beside = take_guards(guards, wanted, (*sealed, *heldout, *later), reading, as_written=as_written)
    left[sources.train], train_in_sealed = without_these(left[sources.train], sealed)
    left[sources.train], train_in_heldout = without_these(left[sources.train], (*heldout, *later))
    judged = [problem.form for problem in (*heldout, *sealed, *later)]
    left[sources.train], gone = _decontaminated(left[sources.train], judged, beside, wanted, sources.train)
    train = _take_training(left[sources.train], wanted.train_size, sources.train, stocks[sources.train])

    dropped = {
        **_duplicates(stocks, train=sources.train, heldout=sources.heldout, sealed=sources.sealed),
        "train in heldout": train_in_heldout,
        "train in sealed": train_in_sealed,
        "heldout in sealed": heldout_in_sealed,
        **gone,
    }
    keys = [stocks[source].key for source in named.values()] + (["rotate"] if rotate else []) + beside.keys()
    overlap = found_again(reading.folder, keys, wanted, lambda: shared_ngrams(judged, texts(train, "form")))
    tallies = [(f"problems.{name}", stocks[source].tally(source)) for name, source in named.items()]
    return ProblemSets(
        train=train,
        heldout=heldout,
        sealed=sealed,
        dropped=dropped,
        overlap_8gram=overlap,
        tallies=(*tallies, *beside.tallies),
        later=later,
        guards=beside.sets,
    )


def problems_of(recipe: Recipe, reading: Reading | None = None) -> ProblemSets:
    """The sets of the recipe's runs, which its gate and its checker have a say in; raises as `load_problems` does."""
    return load_problems(
        recipe.problems,
        reading,
        rotate=recipe.gate.rotate,
        as_written=bool(recipe.answers.checker),
        guards=recipe.guards,
    )


def _refuse_impossible(wanted: Problems, sources: Sources, rotate: bool) -> None:
    if rotate and (isinstance(sources.heldout, GeneratedSource) or sources.heldout == sources.train):
        fault = f"gate.rotate needs a held-out source of its own, of rows, and has {sources.heldout}"
        raise UsageError(fault, "Name another file or split in problems.heldout, or set gate.rotate = false.")
    if wanted.train_size == 0 and isinstance(sources.train, GeneratedSource):
        raise UsageError(
            f"problems.train_size is 0 (all there are), but {sources.train} has no end", "Set problems.train_size."
        )


def fresh_heldout(wanted: Problems, sets: ProblemSets, number: int) -> tuple[Problem, ...]:
    """As many new held-out problems as `sets` has, for round `number`, none of them in training or sealed.

    The draw depends on seed and round alone. Raises `UsageError` if the held-out source isn't a generator, or can't
    give that many.
    """
    source = find_sources(wanted).heldout
    if not isinstance(source, GeneratedSource):
        raise UsageError(f"gate.fresh needs a generated held-out source, {source} is not", "Set gate.fresh = false.")
    size = len(sets.heldout)
    taken = (*sets.train, *sets.sealed, *(problem for part in sets.guards.values() for problem in part))
    drawn, _ = draw(source.name, wanted.mixtures, derive_round(wanted.seed, number), size + len(taken))
    left, _ = without_these(rows_of_problems(drawn), taken)
    return take_answered(left, size, Keys.of_set("heldout"), source, Stock(problems=left, duplicates=0))[0]


def _take_training(problems: ProblemRows, size: int, source: Source, stock: Stock) -> ProblemRows:
    if len(problems) < max(size, 1):
        why, _ = cause_of_lack(stock, source) if len(problems) == 0 else ("", "")
        raise UsageError(
            f"problems.train_size is {size or 'all there are'}, but {source} has {len(problems)} distinct problems "
            f"left after held-out and sealed ones{why}",
            "Make the sizes smaller, or name a larger source in problems.train.",
        )
    return replace(problems, places=problems.places[: size or None])


def _decontaminated(
    problems: ProblemRows, judged: Sequence[str], beside: Guarded, wanted: Problems, source: Source
) -> tuple[ProblemRows, dict[str, int]]:
    """Training without the guards' problems and, if the recipe asks for that, those too like a judged one; counts."""
    problems, in_guards = without_these(problems, beside.problems)
    counts = {"train in guards": in_guards} if beside.sets else {}
    if wanted.decontaminate != "ngram" or isinstance(source, GeneratedSource):
        return problems, counts | beside.dropped
    forms = [*judged, *(problem.form for problem in beside.problems)]
    gone = leaked(texts(problems, "form"), forms, wanted.ngram, wanted.ngram_share)
    leaks = {"train like heldout or sealed": len(gone)} if gone else {}
    return without_places(problems, gone), leaks | counts | beside.dropped


def _duplicates(stocks: dict[Source, Stock], **sources: Source) -> dict[str, int]:
    """Of each set's source; a source that serves several sets is counted under the first of them only."""
    counts: dict[str, int] = {}
    counted: set[Source] = set()
    for name, source in sources.items():
        counts[f"{name} duplicates"] = 0 if source in counted else stocks[source].duplicates
        counted.add(source)
    return counts
