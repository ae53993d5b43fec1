"""The recipe of a run for which none is named, by whether its training problems have answers.

- **With answers**: whole solutions with the right answer, as the recipe `rft` selects and trains on them. Problems
  without an answer are left out if they are few (`MOSTLY`). In docs/study-small.md, no recipe gains detectably more.
- **Without**: the most common prefix of each problem. In docs/study-small.md it is the only selection without answers
  with a gain above zero, on arithmetic; on greatest common divisors it loses, and the gate rejects such rounds.

Keys that the user sets keep their values, and with `prefixes.select` set there is nothing to choose. The paper's method
is the recipe `upft`. `selfimprove init` selects in the same way, and looks at the model as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selfimprove.errors import UsageError
from selfimprove.problem.generated import PREFIX
from selfimprove.problem.sources import is_hub_name
from selfimprove.problem.split import read_pool
from selfimprove.problem.stock import Reading
from selfimprove.recipe import Recipe
from selfimprove.recipe.reading import laid_over, packaged_recipe, parse_recipe, read_recipe

MOSTLY = 0.9
"""Share of problems with an answer from which on the others are left out of training."""
LENGTH = 16
"""Tokens of the most common prefixes; docs/study-small.md compares lengths."""
TYPED = "the command line"
Unread = Literal["none", "hub", "all"]
"""Sources that are not read: none, datasets on the hub, or any."""
_PAPERS = "The paper's method is --recipe upft."
_DEFAULTS = (
    "No --recipe, and the keys that are set fit no selection: the run trains on every sample (prefixes.select = all)."
)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """How many distinct problems a training source has, and how many of them have an answer."""

    problems: int
    answered: int

    @property
    def all(self) -> bool:
        """Whether every problem has an answer."""
        return self.answered == self.problems

    @property
    def most(self) -> bool:
        """Whether so many have an answer that the others are left out rather than the answers not used."""
        return self.answered >= MOSTLY * self.problems

    @property
    def leaves_out(self) -> bool:
        """Whether problems without an answer are left out of training."""
        return self.most and not self.all


def method_keys(*, by_answers: bool) -> dict[str, object]:
    """The keys of selection and training, as plain data, for training problems with or without answers."""
    rft = packaged_recipe("rft")
    training = {name: getattr(rft.training, name) for name in ("learning_rate", "epochs", "batch_rows")}
    prefixes: dict[str, object] = {"select": rft.prefixes.select, "length": rft.prefixes.length}
    if not by_answers:
        prefixes = {"select": "modal", "length": LENGTH}
    return {"sampling": {"samples": rft.sampling.samples}, "prefixes": prefixes, "training": training}


def recipe_for(
    path: Path | None, typed: Mapping[str, object], reading: Reading | None = None, *, unread: Unread = "none"
) -> tuple[Recipe, str]:
    """The recipe in a file, or without one the recipe that fits the problems, and a line that says what chose it.

    `typed` are the keys that the user has set, as plain data; if no method has values that fit them, the default values
    hold. Sources that are `unread` are taken to have answers. Raises what reading recipe and problems raises.
    """
    prefixes = typed.get("prefixes")
    if path or (isinstance(prefixes, Mapping) and "select" in prefixes):
        return read_recipe(path, typed), ""
    fitting = {by_answers: _laid(method_keys(by_answers=by_answers), typed) for by_answers in (True, False)}
    if not any(fitting.values()):
        return read_recipe(None, typed), _DEFAULTS
    asked = next(filter(None, fitting.values()))
    found = _answers(asked, reading or Reading(), unread)
    chosen = fitting[found is None or found.most or asked.problems.answered_only]
    if chosen is None:
        return read_recipe(None, typed), _DEFAULTS
    if found is not None and found.leaves_out:
        chosen = parse_recipe(laid_over(chosen.model_dump(), {"problems": {"answered_only": True}}, TYPED), TYPED)
    return chosen, _told(chosen, found)


def _laid(keys: Mapping[str, object], typed: Mapping[str, object]) -> Recipe | None:
    """The typed keys laid over those of a method; None if they don't fit together."""
    try:
        return parse_recipe(laid_over(keys, typed, TYPED), TYPED)
    except UsageError:
        return None


def _answers(asked: Recipe, reading: Reading, unread: Unread) -> Answers | None:
    """The answers of the training source; None where it isn't read, and for generated problems, which all have one."""
    train = asked.problems.train
    if unread == "all" or train.startswith(PREFIX) or (unread == "hub" and is_hub_name(train)):
        return None
    alone = asked.problems.model_copy(update={"heldout": train, "sealed": train})
    pool = read_pool(alone, reading, as_written=bool(asked.answers.checker))
    stock = pool.stocks[pool.sources.train]
    return Answers(problems=len(stock.problems), answered=stock.answered)


def _told(chosen: Recipe, found: Answers | None) -> str:
    train = chosen.problems.train
    if found is not None and not found.all:
        there = f"{found.answered:,} of the {found.problems:,} problems of {train} have an answer"
    else:
        sure = found is not None or train.startswith(PREFIX)
        there = f"all problems of {train} {'have' if sure else 'are taken to have'} an answer"
    if chosen.prefixes.needs_answers:
        of = " of these problems" if found is not None and not found.all else ""
        what = f"right solutions{of}, as the recipe rft does"
    else:
        what = "the most common prefix of each problem"
    return f"No --recipe: {there}, so the run trains on {what}. {_PAPERS}"
