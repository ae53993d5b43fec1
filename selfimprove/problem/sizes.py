"""How large the three sets can be: one computation over all sources, with one answer.

`Pool.cut` takes the sets out of the sources as far as these go, so a set may come out smaller than asked for. Then one
message says what the source holds and what is asked of it, with sizes of all three sets that do fit (`fitting`): those
asked for made smaller in the same proportions, and cut once more to see what comes of them. A cut that asks for just
what another one gave gives the same, so these sizes work as they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from selfimprove.errors import UsageError
from selfimprove.formatting import plural
from selfimprove.problem.grams import leaked
from selfimprove.problem.guarded import Guarded
from selfimprove.problem.sources import GeneratedSource, Source, Sources
from selfimprove.problem.stock import Stock
from selfimprove.problem.table import ProblemRows, answered, only_answered, texts, without_places
from selfimprove.problem.taking import cause_of_lack, take_answered, without_these
from selfimprove.problem.values import Problem
from selfimprove.recipe import Problems


@dataclass(frozen=True)
class Sizes:
    """How many problems each set has; 0 training problems are all there are."""

    train: int
    heldout: int
    sealed: int

    def settings(self) -> str:
        """The sizes as they are typed."""
        return " ".join(f"--set problems.{name}_size={size}" for name, size in vars(self).items())

    def told(self, names: Iterable[str]) -> str:
        """The sizes of these sets in words."""
        words = {"train": "training", "heldout": "held-out", "sealed": "sealed"}
        parts = [f"{getattr(self, name) or 'all'} {words[name]}" for name in names]
        return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def sizes_of(wanted: Problems) -> Sizes:
    """The sizes that a recipe asks for."""
    return Sizes(wanted.train_size, wanted.heldout_size, wanted.sealed_size)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The sets as far as the sources give them; `trainable` is what training is taken from, `left` what is left over.

    `later` is what the held-out source has left for later rounds, if these have problems of their own; `beside` are the
    guards' sets.
    """

    asked: Sizes
    train: ProblemRows
    heldout: tuple[Problem, ...]
    sealed: tuple[Problem, ...]
    later: tuple[Problem, ...]
    beside: Guarded
    trainable: ProblemRows
    left: dict[Source, ProblemRows]
    dropped: dict[str, int]

    @property
    def short(self) -> list[str]:
        """The sets that are smaller than asked for, in the order in which they are cut."""
        wanted = {**vars(self.asked), "train": max(1, self.asked.train)}
        return [name for name in ("sealed", "heldout", "train") if len(getattr(self, name)) < wanted[name]]

    @property
    def given(self) -> Sizes:
        """The sizes that would give just these sets."""
        return Sizes(self.asked.train and len(self.train), len(self.heldout), len(self.sealed))


@dataclass(frozen=True, kw_only=True)
class Pool:
    """What the sources of the three sets hold; with `rotate` the whole held-out source is held out.

    `guards` gives the guards' sets, none of whose problems is among those it is called with.
    """

    wanted: Problems
    sources: Sources
    stocks: dict[Source, Stock]
    rotate: bool
    guards: Callable[[Sequence[Problem]], Guarded]

    def cut(self, asked: Sizes) -> Cut:
        """The sets of these sizes, or as large as they can be."""
        sources, left = self.sources, {source: stock.problems for source, stock in self.stocks.items()}
        sealed, left[sources.sealed] = take_answered(left[sources.sealed], asked.sealed)
        left[sources.heldout], heldout_in_sealed = without_these(left[sources.heldout], sealed)
        heldout, left[sources.heldout] = take_answered(left[sources.heldout], asked.heldout)
        rest = left[sources.heldout] if self.rotate else ()
        later = tuple(problem for problem in rest if problem.answer is not None)
        beside = self.guards((*sealed, *heldout, *later))
        left[sources.train], train_in_sealed = without_these(left[sources.train], sealed)
        left[sources.train], train_in_heldout = without_these(left[sources.train], (*heldout, *later))
        left[sources.train], train_in_guards = without_these(left[sources.train], beside.problems)
        judged = (*heldout, *sealed, *later, *beside.problems)
        trainable, leaks = self._without_leaks(left[sources.train], judged)
        unanswered = 0
        if self.wanted.answered_only:
            unanswered = len(trainable) - answered(trainable)
            trainable = only_answered(trainable)
        left[sources.train] = trainable
        dropped = {
            "train in heldout": train_in_heldout,
            "train in sealed": train_in_sealed,
            "heldout in sealed": heldout_in_sealed,
        }
        dropped |= {"train like heldout or sealed": leaks} if leaks else {}
        dropped |= {"train without an answer": unanswered} if unanswered else {}
        dropped |= {"train in guards": train_in_guards} if beside.sets else {}
        return Cut(
            asked=asked,
            train=replace(trainable, places=trainable.places[: asked.train or None]),
            heldout=heldout,
            sealed=sealed,
            later=later,
            beside=beside,
            trainable=trainable,
            left=left,
            dropped=dropped | beside.dropped,
        )

    def sets_of(self) -> dict[Source, list[str]]:
        """The sets that are taken from each source, by name."""
        found: dict[Source, list[str]] = {}
        for name in ("train", "heldout", "sealed"):
            found.setdefault(getattr(self.sources, name), []).append(name)
        return found

    def _without_leaks(self, problems: ProblemRows, judged: Iterable[Problem]) -> tuple[ProblemRows, int]:
        """The training problems that aren't too like a judged one, if the recipe asks for that, and how many are."""
        wanted = self.wanted
        if wanted.decontaminate != "ngram" or isinstance(self.sources.train, GeneratedSource):
            return problems, 0
        forms = [problem.form for problem in judged]
        gone = leaked(texts(problems, "form"), forms, wanted.ngram, wanted.ngram_share)
        return without_places(problems, gone), len(gone)


def fitting(pool: Pool, short: Cut) -> Sizes | None:
    """Sizes in the proportions asked for that a cut gives in full; None if a set would be empty whatever its size.

    Each source is shared out by itself first. Where sources hold the same problems that leaves a set too small, so the
    three sets are also shared out as if they were cut from one source; the better of the two is taken.
    """
    asked = short.asked
    together = len(short.trainable) + len(short.heldout) + len(short.sealed)
    joined = _shared_out(asked, ["train", "heldout", "sealed"], together, together)
    cuts = [pool.cut(_by_source(pool, short, sizes)) for sizes in dict.fromkeys((asked, joined))]
    best = max(cuts, key=lambda cut: min(_shares(cut, asked)))
    return best.given if min(_shares(best, asked)) > 0 else None


def largest(pool: Pool, asked: Sizes) -> Cut:
    """The sets of these sizes, or smaller ones in the same proportions where the sources hold too few.

    Raises `UsageError` if a set would be empty whatever its size.
    """
    cut = pool.cut(asked)
    if not cut.short:
        return cut
    if sizes := fitting(pool, cut):
        return pool.cut(sizes)
    raise too_few(pool, cut)


def too_few(pool: Pool, short: Cut) -> UsageError:
    """What the first source that holds too few problems has, what is asked of it, and sizes that fit."""
    lacking = short.short[0]
    source = getattr(pool.sources, lacking)
    names, stock = pool.sets_of()[source], pool.stocks[source]
    held, with_answer = _held(short, names, source)
    of_those = f", {with_answer:,} of them with an answer" if with_answer < held and lacking != "train" else ""
    taken = any(count for key, count in short.dropped.items() if key.startswith(lacking))
    beside = " besides those of other sets" if taken else ""
    fault = f"{source} has {plural(held, 'distinct problem')}{of_those}{beside}, but the recipe asks for "
    fault += f"{short.asked.told(names)} ones"
    why, instead = cause_of_lack(stock, source)
    fault += why if lacking != "train" or not held else ""
    if sizes := fitting(pool, short):
        return UsageError(fault, f"Sizes that fit: {sizes.settings()}")
    other = "another source in problems.heldout" if of_those else f"a larger source in problems.{names[0]}"
    return UsageError(fault, f"{instead}, or name {other}.")


def _weights(asked: Sizes) -> dict[str, int]:
    """What each set is shared out by: its size; training on all there are weighs as much as the other two together."""
    return {**vars(asked), "train": asked.train or asked.heldout + asked.sealed}


def _shares(cut: Cut, asked: Sizes) -> list[float]:
    """How much of its weight each set of the cut has, at most 1."""
    return [min(1.0, len(getattr(cut, name)) / weight) for name, weight in _weights(asked).items()]


def _by_source(pool: Pool, short: Cut, asked: Sizes) -> Sizes:
    """The sizes made to fit into each source by itself; of one that serves training alone the cut takes what it can."""
    sizes = asked
    for source, names in pool.sets_of().items():
        if names != ["train"]:
            sizes = _shared_out(sizes, names, *_held(short, names, source))
    return sizes


def _shared_out(asked: Sizes, names: list[str], room: int, with_answer: int) -> Sizes:
    """The sizes with those of these sets made smaller until they fit into `room` problems, of which some have answers.

    Each set gets one problem at least, whether there is one or not.
    """
    weights = {name: weight for name, weight in _weights(asked).items() if name in names}
    judged = {name: weight for name, weight in weights.items() if name != "train"}
    sizes = vars(asked).copy()
    for some, limit in ((weights, room), (judged, with_answer)):
        total = sum(some.values())
        for name, weight in some.items():
            if total > limit and sizes[name]:
                sizes[name] = max(1, min(sizes[name], weight * limit // total))
    return Sizes(**sizes)


def _held(cut: Cut, names: list[str], source: Source) -> tuple[int, int]:
    """How many problems the source has for these sets, and how many of them with an answer: what other sets leave."""
    judged = sum(len(getattr(cut, name)) for name in names if name != "train")
    left = cut.left[source]
    return judged + len(left), judged + answered(left)
