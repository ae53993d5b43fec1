"""What a run may take over from an earlier run of the same comparison, so that nothing is made twice.

Arms that differ in selection, prefix length or training alone ask the base model for the very same completions, and
all arms for the same answers to held-out and sealed problems. Before a run begins, what an earlier one with the same
seed has made of this is put into its folder, as if it had been begun there and stopped: round 1's samples and
rollouts, the base's held-out and its sealed verdicts. The run then goes on by the rules of any resume (rows are matched
by key, sample number and seed, chunks and batches must be whole), so its rows are those that it would have made, on
this machine with these programs (`versions` must be equal); in the sealed verdicts alone the base's rows stand before
the champion's. What the samples cost where they were made is carried over too: seconds, memory and energy stand in
the records as if they had been spent here. Those of judging aren't, since they are shared with a challenger's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from selfimprove.host.metering import Cost
from selfimprove.recipe import Recipe
from selfimprove.round.answers import judging_decoding
from selfimprove.round.prefixes import assign_kinds
from selfimprove.sampling import derive_seed
from selfimprove.store.durable import keep_rows, read_rows
from selfimprove.store.journal import Journal
from selfimprove.store.records import Scalar
from selfimprove.store.round_folder import RoundFolder

Lender = tuple[Recipe, Journal]
"""A finished run and its recipe."""


def borrow(recipe: Recipe, journal: Journal, lenders: Sequence[Lender], versions: dict[str, Scalar]) -> None:
    """Put into a run that has no folder yet what it shares with the first of the lenders that has it."""
    if journal.folder.exists():
        return
    lenders = [(other, lender) for other, lender in lenders if _made_alike(lender, versions)]
    files = journal.round(1)
    if lender := _first(lenders, recipe, _sampling):
        _take_samples(recipe, files, lender.round(1), "sample", files.samples)
    if lender := _first(lenders, recipe, _rollouts):
        _take_samples(recipe, files, lender.round(1), "rollout", files.rollouts)
    if lender := _first(lenders, recipe, _judging):
        _take_base(lender.round(1).verdicts, files.verdicts)
        _take_base(lender.sealed_verdicts, journal.sealed_verdicts)
        _take_base(lender.beside_verdicts, journal.beside_verdicts)


def _first(
    lenders: Sequence[Lender], recipe: Recipe, shared: Callable[[Recipe], tuple[object, ...] | None]
) -> Journal | None:
    """The first run whose recipe agrees with this one in what is `shared`; None if this one has nothing of it."""
    wanted = shared(recipe)
    return next((run for other, run in lenders if wanted is not None and shared(other) == wanted), None)


def _made_alike(lender: Journal, versions: dict[str, Scalar]) -> bool:
    records = lender.rounds()
    return bool(records) and records[0].versions == versions


def _common(recipe: Recipe) -> tuple[object, ...]:
    return (recipe.seed, recipe.model, recipe.problems)


def _sampling(recipe: Recipe) -> tuple[object, ...]:
    """What round 1's samples depend on."""
    settings = recipe.prefixes
    whole = settings.selection.samples_whole or settings.whole
    chosen = settings.select if settings.selection.chooses_prefixes else ""
    cut = () if whole else (chosen, settings.length, settings.structure_ratio)
    return (*_common(recipe), recipe.sampling, cut)


def _rollouts(recipe: Recipe) -> tuple[object, ...] | None:
    """What round 1's rollouts depend on; None if it has none."""
    if not recipe.prefixes.selection.continues:
        return None
    return (*_sampling(recipe), recipe.prefixes.rollouts)


def _judging(recipe: Recipe) -> tuple[object, ...]:
    """What the base's answers to held-out and sealed problems depend on."""
    sampling, gate, second = recipe.sampling, recipe.gate, recipe.beside()
    how = (sampling.prompt, sampling.system, sampling.max_new_tokens, sampling.chunk_rows, sampling.chunk_tokens)
    drawn = (judging_decoding(recipe), gate.samples, gate.batch, gate.fresh, recipe.answers)
    beside = second and (judging_decoding(second), second.gate.samples)
    return (*_common(recipe), how, drawn, beside)


def _take_samples(recipe: Recipe, files: RoundFolder, lent: RoundFolder, stage: str, path: Path) -> None:
    """The lender's rows of that stage with this recipe's kinds, and what they cost."""
    rows = read_rows(lent.path / path.name)
    each = recipe.prefixes.rollouts if stage == "rollout" else 1
    drawn = [(row["key"], row["sample"] // each) for row in rows]
    kinds = assign_kinds(set(drawn), recipe.prefixes, derive_seed(recipe.seed, 1, "kinds"))
    done = lent.done(stage)
    if done is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    keep_rows(path, [{**row, "kind": kinds[one]} for row, one in zip(rows, drawn, strict=True)])
    known = {name: getattr(done, name) for name in Cost.__dataclass_fields__ if name != "since"}
    part = files.unfinished_cost(stage)
    part.parent.mkdir(parents=True, exist_ok=True)
    since = datetime.fromisoformat(done.start).timestamp()
    part.write_text(json.dumps(asdict(Cost(**{"since": since, **known}))))


def _take_base(lent: Path, path: Path) -> None:
    """The base's rows of a file of verdicts."""
    rows = [row for row in (read_rows(lent) if lent.exists() else ()) if row["model"] == 0]
    if rows:
        path.parent.mkdir(parents=True, exist_ok=True)
        keep_rows(path, rows)
