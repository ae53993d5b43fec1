"""A run's champion with all that it is made of, read and held to the records, without the run's lock.

What finished rounds left is never written again, so reading it beside a process that works on the run is safe. The
folder of a merged model isn't: it is a cache that its run may delete at any time. So nothing here reads or writes it;
whoever needs the merged model builds it in a folder of its own (`build`) and holds it to its certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfimprove.errors import StageError, UsageError
from selfimprove.models import ModelFolder, default_cache, resolve_exact, resolve_model
from selfimprove.recipe import Recipe, Runtime
from selfimprove.round.machinery import MergeJob
from selfimprove.store.durable import read_json
from selfimprove.store.journal import Champion, Journal, champion_of
from selfimprove.store.records import Certificate, checked


@dataclass(frozen=True)
class Source:
    """A run's champion and the rounds that were finished when it was looked up.

    `base` is the base as resolved, `exact` its weights as fine as there are, `adapters` are those of the chain.
    """

    journal: Journal
    recipe: Recipe
    rounds: tuple[dict[str, Any], ...]
    champion: Champion
    base: ModelFolder
    exact: Path
    adapters: tuple[Path, ...]


def source_of(journal: Journal, runtime: Runtime, cache: Path | None = None) -> Source:
    """The champion of the run as its records stand now; `UsageError` if base or adapters aren't what they say."""
    recipe, rounds = journal.recipe(), journal.rounds()
    champion = champion_of(rounds, journal.rollbacks())
    for record in rounds:
        for stage in record["stages"]:
            if record["round"] in champion.chain and stage["stage"] == "train":
                journal.round(record["round"]).hold_to("train", stage["sha256"])
    cache = cache or default_cache()
    base = resolve_model(recipe.model, cache, runtime.trust_remote_code)
    if base.fingerprint != read_json(journal.recipe_path)["model"]:
        raise UsageError(
            f"run `{journal.name}` was made from other base weights than {recipe.model.name} has now",
            "Bring back the model that the run was started with.",
        )
    exact = resolve_exact(recipe.model, base, cache, runtime.trust_remote_code)
    adapters = tuple(journal.round(number).adapter for number in champion.chain)
    return Source(journal, recipe, tuple(rounds), champion, base, exact, adapters)


def build(source: Source, out: Path, runtime: Runtime) -> None:
    """The champion's merged model in the new folder `out`; `StageError` if it isn't what its certificate says."""
    from selfimprove.merging import rebuild

    path = source.journal.round(source.champion.number).certificate
    expected = checked(read_json(path), Certificate, path)["sha256"]
    rounding = source.recipe.rounding()
    job = MergeJob(base=source.exact, adapters=source.adapters, out=out, rounding=rounding, runtime=runtime)
    made = rebuild(job)
    if made != expected:
        raise StageError(
            f"round {source.champion.number}: rebuilt with hash {made[:12]}…, its certificate says {expected[:12]}…",
            "The base or an adapter of its chain changed: selfimprove verify names it.",
        )
