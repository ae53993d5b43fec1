"""The models that are evaluated: base, champion or a round of the run, or any other folder or hub id.

A name is read before anything is loaded. A model of the run is checked against its records, and its folder is made when
something has to be sampled: the champion's and those that are on the disk are used where they are, under the run's
lock; the model of another round is built in a temporary folder, and checked against its hash.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from selfimprove.answer.checking import Checker
from selfimprove.ask import champion_folder
from selfimprove.errors import UsageError
from selfimprove.events import Emit
from selfimprove.export.source import Source, build, source_at
from selfimprove.models import is_on_hub, resolve_model
from selfimprove.recipe import Model, Recipe, Runtime
from selfimprove.round.machinery import Machinery
from selfimprove.runs.assemble import machinery_of, noting
from selfimprove.store.champion import BASE, Champion
from selfimprove.store.journal import Journal
from selfimprove.store.records import RoundRecord

MOST_NUMBERS = 9
"""Rounds that are listed one by one."""


@dataclass(frozen=True)
class Named:
    """A model as it was named; `member` says which of the run it is, None for one from elsewhere."""

    name: str
    member: Champion | None


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model that can be sampled: its name in tables, the hash of its folder, and its folder while that is open."""

    name: str
    round: int | None
    sha256: str
    machinery: Machinery
    opened: Callable[[], AbstractContextManager[Path]]


def named_models(names: Sequence[str], journal: Journal) -> list[Named]:
    """The models of these names, each once.

    Raises `UsageError` for a round that isn't there or has lost its weights, and a name that leads to no model.
    """
    rounds, champion = journal.rounds(), journal.champion()
    found: dict[object, Named] = {}
    for name in names:
        member = _member(name, rounds, champion, journal)
        title = name if member is None else _title(member, champion)
        if member is None:
            with _told_of_names(name, journal):
                is_on_hub(Model(name=name))
        else:
            _refuse_lost(journal, member, title)
        found.setdefault(name if member is None else member.number, Named(title, member))
    if not found:
        raise UsageError("--models: no model is named", _known(journal))
    return list(found.values())


def subject_of(
    named: Named, journal: Journal, recipe: Recipe, runtime: Runtime, checker: Checker, cache: Path, emit: Emit
) -> Subject:
    """The model with engine and tokenizer; `UsageError` if it isn't what the run's records say, or can't be found."""
    if named.member is None:
        model = Model(name=named.name, dtype=recipe.model.dtype)
        with _told_of_names(named.name, journal):
            base = resolve_model(model, cache, runtime.trust_remote_code, noting(emit))
        own = recipe.model_copy(update={"model": model})
        return Subject(
            name=named.name,
            round=None,
            sha256=base.fingerprint,
            machinery=machinery_of(own, base, runtime, checker, cache, merges=False),
            opened=lambda: nullcontext(base.path),
        )
    source = source_at(journal, named.member, runtime, cache)
    machinery = machinery_of(recipe, source.base, runtime, checker, cache)
    number = named.member.number
    return Subject(
        name=named.name,
        round=number,
        sha256=journal.round(number).certified().sha256 if number else source.base.fingerprint,
        machinery=machinery,
        opened=partial(_folder, source, machinery, cache),
    )


def _member(name: str, rounds: Sequence[RoundRecord], champion: Champion, journal: Journal) -> Champion | None:
    if name == "base" or name == "0":
        return BASE
    if name == "champion":
        return champion
    if not name.isdecimal():
        return None
    number = int(name)
    if number > len(rounds):
        there = f"rounds 1 to {len(rounds)}" if rounds else "no finished round"
        raise UsageError(f"--models {name}: run `{journal.name}` has {there}", _known(journal))
    return Champion(number, (*rounds[number - 1].chain, number))


def _known(journal: Journal) -> str:
    """What `--models` may name."""
    rounds = len(journal.rounds())
    numbers = (
        "".join(f", {number}" for number in range(1, rounds + 1)) if rounds <= MOST_NUMBERS else f", 1 to {rounds}"
    )
    return f"Run `{journal.name}` has base, champion{numbers}; a folder or a hub id may be named too."


@contextmanager
def _told_of_names(name: str, journal: Journal) -> Iterator[None]:
    """Tell, where a name leads to no model, also what the run has: it may be mistyped."""
    try:
        yield
    except UsageError as error:
        close = difflib.get_close_matches(name.casefold(), ("base", "champion"), 1)
        meant = [f"Did you mean {close[0]}?"] if close else []
        own = [error.hint] if "/" in name else []  # such as how to log in to the hub
        raise UsageError(f"--models {error.message}", " ".join([*meant, *own, _known(journal)])) from error


def _title(member: Champion, champion: Champion) -> str:
    if member.number == 0:
        return "base"
    return f"round {member.number}" + (" (champion)" if member.number == champion.number else "")


def _refuse_lost(journal: Journal, member: Champion, title: str) -> None:
    for number in member.chain:
        path = journal.round(number).adapter_weights
        if not path.is_file():
            raise UsageError(
                f"--models: {title} can't be rebuilt, {path} is missing",
                "Restore the round's folder, or name other models, such as --models base.",
            )


@contextmanager
def _folder(source: Source, machinery: Machinery, cache: Path) -> Iterator[Path]:
    """The folder of a model of the run, which nobody deletes while the context is open."""
    number = source.champion.number
    if number == 0:
        yield source.base.path
    elif number == source.journal.champion().number or source.journal.round(number).model.is_dir():
        with champion_folder(source, machinery, cache) as folder:
            yield folder
    else:
        with TemporaryDirectory(prefix=".evaluate-", dir=cache) as temporary:
            build(source, Path(temporary) / "model", machinery.runtime)
            yield Path(temporary) / "model"
