"""The recipe of a run for which none is named, by whether its training problems have answers.

- **With answers**: whole solutions with the right answer, as the recipe `rft` selects and trains on them. Problems
  without an answer are left out if they are few (`MOSTLY`). In docs/study-small.md, no recipe gains more.
- **Without**: the most common prefix of each problem, which is the only selection without answers whose gain in
  docs/study-small.md was above zero.

Keys that the user sets keep their values, and with `prefixes.select` set there is nothing to choose. The paper's method
is the recipe `upft`. `selfimprove init` selects in the same way, and looks at the model as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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


def method(*, by_answers: bool) -> dict[str, object]:
    """The keys of selection and training, as plain data, for training problems with or without answers."""
    rft = packaged_recipe("rft")
    training = {name: getattr(rft.training, name) for name in ("learning_rate", "epochs", "batch_rows")}
    prefixes: dict[str, object] = {"select": rft.prefixes.select, "length": rft.prefixes.length}
    if not by_answers:
        prefixes = {"select": "modal", "length": LENGTH}
    return {"sampling": {"samples": rft.sampling.samples}, "prefixes": prefixes, "training": training}


def recipe_for(
    path: Path | None, typed: Mapping[str, object], reading: Reading | None = None, *, reads_hub: bool = True
) -> tuple[Recipe, str]:
    """The recipe in a file, or without one the recipe that fits the problems, and a line that says what chose it.

    `typed` are the keys that the user has set, as plain data; where they fit none of the methods, nothing is chosen.
    Without `reads_hub`, a dataset on the hub is taken to have answers. Raises what reading recipe and problems raises.
    """
    prefixes = typed.get("prefixes")
    if path or (isinstance(prefixes, Mapping) and "select" in prefixes):
        return read_recipe(path, typed), ""
    asked = read_recipe(None, {name: typed[name] for name in ("problems", "answers") if name in typed})
    found = _answers(asked, reading or Reading(), reads_hub=reads_hub)
    keys = method(by_answers=found is None or found.most)
    if found is not None and found.leaves_out:
        keys["problems"] = {"answered_only": True}
    try:
        return parse_recipe(laid_over(keys, typed, TYPED), TYPED), _told(asked.problems.train, found)
    except UsageError:
        return read_recipe(None, typed), ""


def _answers(asked: Recipe, reading: Reading, *, reads_hub: bool) -> Answers | None:
    """The answers of the training source; None where it isn't read, since generated problems all have one."""
    train = asked.problems.train
    if train.startswith(PREFIX) or (is_hub_name(train) and not reads_hub):
        return None
    pool = read_pool(asked.problems, reading, as_written=bool(asked.answers.checker))
    stock = pool.stocks[pool.sources.train]
    return Answers(problems=len(stock.problems), answered=stock.answered)


def _told(train: str, found: Answers | None) -> str:
    if found is not None and not found.all:
        there = f"{found.answered:,} of the {found.problems:,} problems of {train} have an answer"
    else:
        sure = found is not None or train.startswith(PREFIX)
        there = f"all problems of {train} {'have' if sure else 'are taken to have'} an answer"
    if found is None or found.most:
        of = " of these problems" if found is not None and found.leaves_out else ""
        what = f"right solutions{of}, as the recipe rft does"
    else:
        what = "the most common prefix of each problem"
    return f"No --recipe: {there}, so the run trains on {what}. The paper's method is --recipe upft."
