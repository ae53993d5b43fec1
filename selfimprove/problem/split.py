"""Three disjoint sets out of one to three sources, and those of the guards beside them.

The sealed set is taken first, then the held-out set, then the guards' (`guarded.py`), then training, each in the seeded
order of its source: a change of `train_size` changes none of the others, and guards change training alone. A set that
shares its source with an earlier one goes on where that one stopped. From the source of a set, the problems of earlier
sets are removed before it is cut to its size; `dropped` counts them over the whole source. Where a source holds too
few, one message says what it holds, and sizes of all three sets that fit (`sizes.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from selfimprove.errors import UsageError
from selfimprove.problem.generated import derive_round, draw
from selfimprove.problem.grams import shared_ngrams
from selfimprove.problem.guarded import take_guards
from selfimprove.problem.kept import found_again
from selfimprove.problem.sets import ProblemSets
from selfimprove.problem.sizes import Pool, sizes_of, too_few
from selfimprove.problem.sources import (
    GeneratedSource,
    Source,
    Sources,
    find_sources,
    read_stock,
    refuse_lacking,
)
from selfimprove.problem.stock import Reading, Stock
from selfimprove.problem.table import rows_of_problems, texts
from selfimprove.problem.taking import take_answered, without_these
from selfimprove.problem.values import Problem
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
    pool = read_pool(wanted, reading, rotate=rotate, as_written=as_written, guards=guards)
    cut = pool.cut(sizes_of(wanted))
    if cut.short:
        raise too_few(pool, cut)
    sources, stocks = pool.sources, pool.stocks
    named = {"train": sources.train, "heldout": sources.heldout, "sealed": sources.sealed}
    keys = [stocks[source].key for source in named.values()] + (["rotate"] if rotate else []) + cut.beside.keys()
    judged = [problem.form for problem in (*cut.heldout, *cut.sealed, *cut.later)]
    overlap = found_again(reading.folder, keys, wanted, lambda: shared_ngrams(judged, texts(cut.train, "form")))
    tallies = [(f"problems.{name}", stocks[source].tally(source)) for name, source in named.items()]
    return ProblemSets(
        train=cut.train,
        heldout=cut.heldout,
        sealed=cut.sealed,
        dropped=_duplicates(stocks, **named) | cut.dropped,
        overlap_8gram=overlap,
        tallies=(*tallies, *cut.beside.tallies),
        later=cut.later,
        guards=cut.beside.sets,
    )


def read_pool(
    wanted: Problems,
    reading: Reading,
    *,
    rotate: bool = False,
    as_written: bool = False,
    guards: Sequence[Guard] = (),
) -> Pool:
    """The distinct problems of each source; the rest as in `load_problems`."""
    sources = find_sources(wanted)
    _refuse_impossible(wanted, sources, rotate)
    named = dict.fromkeys((sources.train, sources.heldout, sources.sealed))
    read = partial(read_stock, wanted=wanted, reading=reading, as_written=as_written, more=sum(g.size for g in guards))
    stocks = {source: read(source) for source in named}
    refuse_lacking(stocks)
    beside = partial(take_guards, guards, wanted, reading=reading, as_written=as_written)
    return Pool(wanted=wanted, sources=sources, stocks=stocks, rotate=rotate, guards=beside)


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
        fault = f"gate.rotate needs its own held-out source with rows, not {sources.heldout}"
        raise UsageError(fault, "Name another file or split in problems.heldout, or set gate.rotate = false.")
    if wanted.train_size == 0 and isinstance(sources.train, GeneratedSource):
        raise UsageError(
            f"problems.train_size is 0 (all of them), but {sources.train} is unlimited", "Set problems.train_size."
        )


def fresh_heldout(wanted: Problems, sets: ProblemSets, number: int) -> tuple[Problem, ...]:
    """As many new held-out problems as `sets` has, for round `number`: none is in its other sets or an earlier round's.

    Each round draws by seed and round alone, and what earlier rounds have is left out. Raises `UsageError` if the
    held-out source isn't a generator, or can't give that many.
    """
    source = find_sources(wanted).heldout
    if not isinstance(source, GeneratedSource):
        raise UsageError(f"gate.fresh needs a generated held-out source, not {source}", "Set gate.fresh = false.")
    size = len(sets.heldout)
    taken = [*sets.train, *sets.sealed, *(problem for part in sets.guards.values() for problem in part)]
    found: tuple[Problem, ...] = ()
    for each in range(1, number + 1):
        taken += found
        for count in (2 * size, size + len(taken)):  # the first suffices, unless the source has few problems
            drawn, _ = draw(source.name, wanted.mixtures, derive_round(wanted.seed, each), count)
            found, _ = take_answered(without_these(rows_of_problems(drawn), taken)[0], size)
            if len(found) == size:
                break
        if len(found) < size:
            fault = f"gate.fresh: round {each} needs {size:,} new held-out problems, but {source} has {len(found):,}"
            raise UsageError(fault, "Make problems.heldout_size smaller, or set gate.fresh = false.")
    return found


def _duplicates(stocks: dict[Source, Stock], **sources: Source) -> dict[str, int]:
    """Of each set's source; a source that serves several sets is counted under the first of them only."""
    counts: dict[str, int] = {}
    counted: set[Source] = set()
    for name, source in sources.items():
        counts[f"{name} duplicates"] = 0 if source in counted else stocks[source].duplicates
        counted.add(source)
    return counts
