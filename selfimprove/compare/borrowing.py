"""What a run may take over from an earlier run of the same comparison, so that nothing is sampled or judged twice.

Arms that differ only in selection, prefix length or training ask the base model for the very same completions, and all
arms for the same answers to held-out and sealed problems. Before a run begins, its folder gets what an earlier one with
the same seed has made of these: round 1's samples and rollouts, the base's held-out and its sealed verdicts, as if the
run had been started there and killed (`RoundFolder.take_over`, `Journal.take_over_base`). The run then goes on by the
rules of any resume (rows are matched by key, sample number and seed, chunks and batches must be whole), so its rows are
those that it would have made, on this machine with these programs (`versions` must be equal); only in the sealed
verdicts the base's rows stand before the champion's. The cost of the samples is taken over too, so each arm's record
says what the arm alone would have cost; that of judging isn't, since a stage's cost is base and challenger together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from selfimprove.recipe import Recipe
from selfimprove.round.answers import judging_decoding
from selfimprove.round.prefixes import assign_kinds
from selfimprove.sampling import Row, derive_seed
from selfimprove.store.journal import Journal
from selfimprove.store.rows import Kind

Lender = tuple[Recipe, Journal]
"""A finished run and its recipe."""


def borrow(recipe: Recipe, journal: Journal, lenders: Sequence[Lender], versions: Mapping[str, object]) -> None:
    """Begin a new run with the samples and verdicts that it shares with the first lender that has them."""
    if journal.folder.exists():
        return
    lenders = [(other, lender) for other, lender in lenders if _made_alike(lender, versions)]
    files = journal.round(1)
    if lender := _first(lenders, recipe, _sampling):
        files.take_over("sample", lender.round(1), partial(_kinds, recipe, 1))
    if lender := _first(lenders, recipe, _rollouts):
        files.take_over("rollout", lender.round(1), partial(_kinds, recipe, recipe.prefixes.rollouts))
    if lender := _first(lenders, recipe, _judging):
        journal.take_over_base(lender)


def _first(
    lenders: Sequence[Lender], recipe: Recipe, shared: Callable[[Recipe], tuple[object, ...] | None]
) -> Journal | None:
    """The first run whose recipe gives the same `shared` values as this one; None if this one's are None."""
    wanted = shared(recipe)
    return next((run for other, run in lenders if wanted is not None and shared(other) == wanted), None)


def _made_alike(lender: Journal, versions: Mapping[str, object]) -> bool:
    records = lender.rounds()
    return bool(records) and records[0].versions == versions


def _common(recipe: Recipe) -> tuple[object, ...]:
    return (recipe.seed, recipe.model, recipe.problems)


def _sampling(recipe: Recipe) -> tuple[object, ...] | None:
    """What round 1's samples depend on; None if it draws them in several steps, each from another model."""
    if recipe.schedule.steps > 1:
        return None
    settings = recipe.prefixes
    whole = settings.selection.samples_whole or settings.whole
    chosen = settings.select if settings.selection.chooses_prefixes else ""
    cut = () if whole else (chosen, settings.length, settings.structure_ratio)
    return (*_common(recipe), recipe.sampling, cut)


def _rollouts(recipe: Recipe) -> tuple[object, ...] | None:
    """What round 1's rollouts depend on; None if it has none."""
    shared = _sampling(recipe)
    if shared is None or not recipe.prefixes.selection.continues:
        return None
    return (*shared, recipe.prefixes.rollouts)


def _judging(recipe: Recipe) -> tuple[object, ...]:
    """What the base's answers to held-out and sealed problems depend on."""
    sampling, gate, second = recipe.sampling, recipe.gate, recipe.beside()
    turns = (sampling.prompt, sampling.system, sampling.template)
    how = (*turns, sampling.max_new_tokens, sampling.chunk_rows, sampling.chunk_tokens)
    drawn = (judging_decoding(recipe), gate.samples, gate.batch, gate.fresh, gate.rotate, recipe.answers)
    beside = second and (judging_decoding(second), second.gate.samples)
    return (*_common(recipe), how, drawn, beside)


def _kinds(recipe: Recipe, continuations: int, rows: Sequence[Row]) -> list[Kind]:
    """The kinds that this recipe gives to round 1's rows, each of them sampled with so many `continuations`."""
    drawn = [(key, number // continuations) for key, number in rows]
    kinds = assign_kinds(set(drawn), recipe.prefixes, derive_seed(recipe.seed, 1, "kinds"))
    return [kinds[row] for row in drawn]
