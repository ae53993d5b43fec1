"""A run's champion and what it is made of, read and checked against the records, without the run's lock.

Files of finished rounds are never written again, so reading them beside a process that works on the run is safe. The
folder of a merged model is different: it is a cache that its run may delete at any time. So nothing here reads or
writes it; `build` makes the merged model in a folder of the caller's, and checks it against its certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from selfimprove.errors import StageError, UsageError
from selfimprove.models import ModelFolder, default_cache, resolve_exact, resolve_model
from selfimprove.recipe import Recipe, Runtime
from selfimprove.round.machinery import MergeJob
from selfimprove.store.champion import Champion, champion_of
from selfimprove.store.journal import Journal
from selfimprove.store.records import RoundRecord


@dataclass(frozen=True, kw_only=True)
class Source:
    """A run's champion and the rounds that were finished when it was read.

    `base` is the resolved base model, `exact` its weights in the highest precision there is, `adapters` are those of
    the champion's chain.
    """

    journal: Journal
    recipe: Recipe
    rounds: tuple[RoundRecord, ...]
    champion: Champion
    base: ModelFolder
    exact: Path
    adapters: tuple[Path, ...]


def source_of(journal: Journal, runtime: Runtime, cache: Path | None = None) -> Source:
    """The run's champion by its present records; `UsageError` if base or adapters aren't those of the records."""
    return source_at(journal, champion_of(journal.rounds(), journal.rollbacks()), runtime, cache)


def source_at(journal: Journal, champion: Champion, runtime: Runtime, cache: Path | None = None) -> Source:
    """The same with any model that the run has made in the champion's place."""
    recipe, rounds = journal.recipe(), journal.rounds()
    for record in rounds:
        for stage in record.stages:
            if record.round in champion.chain and stage.name == "train":
                journal.round(record.round).hold_to("train", stage.sha256)
    cache = cache or default_cache()
    base = resolve_model(recipe.model, cache, runtime.trust_remote_code)
    if base.fingerprint != journal.bound().model:
        raise UsageError(
            f"run `{journal.name}` was started from other base weights than {recipe.model.name} has now",
            "Restore the model that the run was started with.",
        )
    exact = resolve_exact(recipe.model, base, cache, runtime.trust_remote_code)
    adapters = tuple(journal.round(number).adapter for number in champion.chain)
    return Source(
        journal=journal,
        recipe=recipe,
        rounds=tuple(rounds),
        champion=champion,
        base=base,
        exact=exact,
        adapters=adapters,
    )


def build(source: Source, out: Path, runtime: Runtime) -> None:
    """Write the champion's merged model to the new folder `out`; `StageError` if its hash isn't the certificate's."""
    from selfimprove.merging import rebuild

    expected = source.journal.round(source.champion.number).certified().sha256
    rounding = source.recipe.rounding()
    job = MergeJob(base=source.exact, adapters=source.adapters, out=out, rounding=rounding, runtime=runtime)
    digest = rebuild(job)
    if digest != expected:
        raise StageError(
            f"round {source.champion.number}: rebuilt with hash {digest[:12]}…, its certificate says {expected[:12]}…",
            "The base or an adapter of its chain changed: selfimprove verify names it.",
        )
