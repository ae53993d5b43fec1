"""The run that the doctor examines: recipe and runtime, with problems and model read once for all checks.

What can't be read is the error that says why, as a value: its own check reports it, and the checks that need it say
that they could not be made.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from selfimprove.errors import SelfImproveError
from selfimprove.recipe import Recipe, Runtime

if TYPE_CHECKING:
    from selfimprove.models import ChatTokenizer, ModelFolder
    from selfimprove.problem import ProblemSets
    from selfimprove.round.machinery import Footprint


@dataclass(frozen=True)
class FoundModel:
    """A model that was found: its folder, the bytes of its weights (None: not downloaded yet), and its tokenizer."""

    folder: ModelFolder
    footprint: Footprint | None
    tokenizer: ChatTokenizer


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A run that may be started: `folder` holds the runs, `cache` the models; `rounds` is the target.

    `why` says what chose the recipe if the user named none.
    """

    recipe: Recipe
    why: str = ""
    runtime: Runtime
    folder: Path
    cache: Path
    rounds: int

    @cached_property
    def problems(self) -> ProblemSets | SelfImproveError:
        """The problem sets, or why there are none."""
        from selfimprove.problem import problems_of

        try:
            return problems_of(self.recipe)
        except SelfImproveError as cause:
            return cause

    @cached_property
    def model(self) -> FoundModel | SelfImproveError:
        """The model, or why there is none; a local one is converted into the cache, as the run would do first."""
        from selfimprove.models import load_tokenizer, preview_model
        from selfimprove.models.weights import footprint

        trusted = self.runtime.trust_remote_code
        try:
            folder, whole = preview_model(self.recipe.model, self.cache, trusted)
            size = footprint(folder.path, self.recipe.model.dtype, self.recipe.training.rank) if whole else None
            tokenizer = load_tokenizer(folder.path, trusted, folder.source)
            return FoundModel(folder, size, tokenizer.using(self.recipe.sampling.template))
        except SelfImproveError as cause:
            return cause

    def hub_names(self) -> list[str]:
        """The names on the hub that the recipe needs: of the model and of sources of problems."""
        from selfimprove.models import is_on_hub
        from selfimprove.problem.sources import is_hub_name

        problems = self.recipe.problems
        try:
            model = [self.recipe.model.name] if is_on_hub(self.recipe.model) else []
        except SelfImproveError:  # the model's own check tells
            model = []
        guards = (guard.problems for guard in self.recipe.guards)
        sources = (problems.train, problems.heldout, problems.sealed, *guards)
        return [*model, *(name for name in sources if is_hub_name(name))]
