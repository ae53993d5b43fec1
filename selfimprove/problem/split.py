"""Three disjoint sets out of one to three sources.

The sealed set is taken first, then the held-out set, then training, each in the seeded order of its source: a change
of `train_size` changes neither of the others. A set that shares its source with an earlier one goes on where that one
stopped. From the source of a set, the problems of earlier sets are removed before it is cut to its size; `dropped`
counts them over the whole source.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from selfimprove.errors import UsageError
from selfimprove.problem.generated import derive_round, draw
from selfimprove.problem.kept import found_again
from selfimprove.problem.sets import ProblemSets
from selfimprove.problem.sources import (
    FileSource,
    GeneratedSource,
    Source,
    Sources,
    find_sources,
    read_stock,
    refuse_lacking,
)
from selfimprove.problem.stock import PROSE, Reading, Stock
from selfimprove.problem.table import ProblemRows, first_answered, rows_of_problems, texts, without, without_places
from selfimprove.problem.values import Problem
from selfimprove.problem.wording import leaked, shared_ngrams
from selfimprove.recipe import Problems, Recipe


def load_problems(
    wanted: Problems, reading: Reading | None = None, *, rotate: bool = False, as_written: bool = False
) -> ProblemSets:
    """Disjoint, deterministic sets of the sizes asked for; raises `UsageError` where a source can't give them.

    With `rotate` all that the held-out source has left is held out for later rounds, so it must be a source of its own.
    `as_written`: a file's answers are what their field holds, for a checker of one's own, and not a final answer in it.
    """
    reading = reading or Reading()
    sources = find_sources(wanted)
    _refuse_impossible(wanted, sources, rotate)
    named = {"train": sources.train, "heldout": sources.heldout, "sealed": sources.sealed}
    stocks = {
        source: read_stock(source, wanted, reading, as_written=as_written) for source in dict.fromkeys(named.values())
    }
    refuse_lacking(stocks)
    left = {source: stock.problems for source, stock in stocks.items()}

    sealed, left[sources.sealed] = _answered(
        left[sources.sealed], wanted.sealed_size, "sealed", sources.sealed, stocks[sources.sealed]
    )
    left[sources.heldout], heldout_in_sealed = _without(left[sources.heldout], sealed)
    heldout, left[sources.heldout] = _answered(
        left[sources.heldout], wanted.heldout_size, "heldout", sources.heldout, stocks[sources.heldout]
    )
    rest = left[sources.heldout] if rotate else ()
    later = tuple(problem for problem in rest if problem.answer is not None)
    left[sources.train], train_in_sealed = _without(left[sources.train], sealed)
    left[sources.train], train_in_heldout = _without(left[sources.train], (*heldout, *later))
    judged = [problem.form for problem in (*heldout, *sealed, *later)]
    left[sources.train], leaks = _without_leaks(left[sources.train], judged, wanted, sources.train)
    train = _take_training(left[sources.train], wanted.train_size, sources.train, stocks[sources.train])

    dropped = _duplicates(stocks, train=sources.train, heldout=sources.heldout, sealed=sources.sealed)
    dropped |= {
        "train in heldout": train_in_heldout,
        "train in sealed": train_in_sealed,
        "heldout in sealed": heldout_in_sealed,
    }
    dropped |= {"train like heldout or sealed": leaks} if leaks else {}
    keys = [stocks[source].key for source in named.values()] + (["rotate"] if rotate else [])
    overlap = found_again(reading.folder, keys, wanted, lambda: shared_ngrams(judged, texts(train, "form")))
    tallies = tuple((name, stocks[source].tally(source)) for name, source in named.items())
    return ProblemSets(
        train=train,
        heldout=heldout,
        sealed=sealed,
        dropped=dropped,
        overlap_8gram=overlap,
        tallies=tallies,
        later=later,
    )


def problems_of(recipe: Recipe, reading: Reading | None = None) -> ProblemSets:
    """The sets of the recipe's runs, which its gate and its checker have a say in; raises as `load_problems` does."""
    return load_problems(recipe.problems, reading, rotate=recipe.gate.rotate, as_written=bool(recipe.answers.checker))


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
    taken = (*sets.train, *sets.sealed)
    drawn, _ = draw(source.name, wanted.mixtures, derive_round(wanted.seed, number), size + len(taken))
    left, _ = _without(rows_of_problems(drawn), taken)
    return _answered(left, size, "heldout", source, Stock(problems=left, duplicates=0))[0]


def _answered(
    problems: ProblemRows, size: int, name: str, source: Source, stock: Stock
) -> tuple[tuple[Problem, ...], ProblemRows]:
    """The first `size` problems that have answers, and all others."""
    first, others = first_answered(problems, size)
    taken = tuple(first)
    if len(taken) < size:
        why, instead = _cause(stock, source, len(taken))
        smaller = f"Set problems.{name}_size to at most {len(taken)}" if taken else instead
        if taken and stock.aside and stock.aside[0].why.startswith("no answer"):
            smaller += ', name the answer\'s field ([problems] answer = "…")'
        raise UsageError(
            f"problems.{name}_size is {size}, but {source} has {len(taken)} distinct problems with answers left for it"
            f"{why}",
            f"{smaller}, or name {'a larger' if taken or not stock.rows else 'another'} source in problems.{name}.",
        )
    return taken, others


def _cause(stock: Stock, source: Source, left: int) -> tuple[str, str]:
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


def _take_training(problems: ProblemRows, size: int, source: Source, stock: Stock) -> ProblemRows:
    if len(problems) < max(size, 1):
        why, _ = _cause(stock, source, len(problems)) if len(problems) == 0 else ("", "")
        raise UsageError(
            f"problems.train_size is {size or 'all there are'}, but {source} has {len(problems)} distinct problems "
            f"left after held-out and sealed ones{why}",
            "Make the sizes smaller, or name a larger source in problems.train.",
        )
    return replace(problems, places=problems.places[: size or None])


def _without_leaks(
    problems: ProblemRows, judged: Sequence[str], wanted: Problems, source: Source
) -> tuple[ProblemRows, int]:
    """The training problems that aren't too like a judged one, if the recipe asks for that, and how many are."""
    if wanted.decontaminate != "ngram" or isinstance(source, GeneratedSource):
        return problems, 0
    gone = leaked(texts(problems, "form"), judged, wanted.ngram, wanted.ngram_share)
    return without_places(problems, gone), len(gone)


def _without(problems: ProblemRows, others: Iterable[Problem]) -> tuple[ProblemRows, int]:
    kept = without(problems, {name for problem in others for name in problem.names()})
    return kept, len(problems) - len(kept)


def _duplicates(stocks: dict[Source, Stock], **sources: Source) -> dict[str, int]:
    """Of each set's source; a source that serves several sets is counted under the first of them only."""
    counts: dict[str, int] = {}
    counted: set[Source] = set()
    for name, source in sources.items():
        counts[f"{name} duplicates"] = 0 if source in counted else stocks[source].duplicates
        counted.add(source)
    return counts
