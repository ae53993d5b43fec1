"""The tables of a recipe that say what else a challenger may not lose: `[[guards]]`, sets beside the held-out one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from selfimprove.recipe.problems import MOST_PROBLEMS, Section
from selfimprove.recipe.texts import CheckerName, OptionalTemplate

NAME_LIMIT = 40
NO_PROOF_OF_HARM: Literal["no proof of harm"] = "no proof of harm"
PROOF_OF_NO_HARM: Literal["proof of no harm"] = "proof of no harm"


class Guard(Section):
    """A set of problems on which an accepted challenger may not drop further than `max_drop`."""

    name: str = Field(
        "",
        description="the guard's name in sentences, records and files; by default derived from the source",
        validate_default=False,
    )
    problems: str = Field(description="source of its problems, as `problems.heldout`")
    size: int = Field(200, ge=1, le=MOST_PROBLEMS, description="number of its problems")
    max_drop: float = Field(
        0.02, ge=0, lt=1, description="largest drop in accuracy that counts as harmless, below the champion's"
    )
    rule: Literal["no proof of harm", "proof of no harm"] = Field(
        NO_PROOF_OF_HARM,
        description="`no proof of harm`: a challenger is rejected if a drop beyond `max_drop` is shown; `proof of no "
        "harm`: accepted only if such a drop is ruled out",
    )
    question: str = Field("", description="name of its question field, if it isn't recognised")
    answer: str = Field("", description="name of its answer field, if it isn't recognised")
    prompt: OptionalTemplate = Field("", description="user turn, with `{question}`; empty: `sampling.prompt`")
    checker: CheckerName = Field(
        "", description="function that judges its answers; empty: the settings under `[answers]` apply"
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: object) -> object:
        if isinstance(data, dict) and not data.get("name") and isinstance(source := data.get("problems"), str):
            return {**data, "name": name_of(source)}
        return data

    @field_validator("name")
    @classmethod
    def _names_a_file(cls, value: str) -> str:
        if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{NAME_LIMIT - 1}}}", value):
            raise ValueError(f"must be of letters, digits, `.`, `_` and `-`, {NAME_LIMIT} at most, not {value!r}")
        return value

    @model_validator(mode="after")
    def _can_be_proven(self) -> Guard:
        if self.proves and self.max_drop == 0:
            raise ValueError("`proof of no harm` needs a max_drop above 0: that there is no drop at all can't be shown")
        return self

    @property
    def proves(self) -> bool:
        """Whether harmlessness must be shown, and not only harm be unproven."""
        return self.rule == PROOF_OF_NO_HARM


def name_of(source: str) -> str:
    """A name made from a source: a file's stem, the last part of a generator's or a hub dataset's name."""
    path = Path(source.removeprefix("reasoning-gym:"))
    plain = path.name.partition(".")[0] or path.name
    return re.sub(r"[^A-Za-z0-9_-]+", "-", plain.partition(":")[0]).strip("-_")[:NAME_LIMIT] or "guard"
