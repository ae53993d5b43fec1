"""The section of a recipe that says how completions become training examples: `[prefixes]`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from selfimprove.recipe.gate import MOST_SAMPLES
from selfimprove.recipe.problems import Section
from selfimprove.recipe.selections import MEANINGS, SELECTIONS, Selection
from selfimprove.recipe.texts import Template

TASK_TEMPLATE = (
    "{question} Please provide the initial step towards resolving the question. "
    "This step may serve as a foundation but might not encompass the entire solution."
)
"""The task template of prefix rows, word for word from UPFT (arXiv 2503.02875, section 3.2)."""


class Prefixes(Section):
    """How completions become training examples."""

    later: ClassVar[frozenset[str]] = frozenset(("least_agreement", "per_problem"))

    select: Literal["all", "modal", "consistent", "verified", "rollout"] = Field("all", description=MEANINGS)
    length: int | Literal["full"] = Field(8, description="tokens of a prefix, or `full` for whole solutions")
    structure_ratio: float = Field(0.1, ge=0, le=1, description="share of rows trained on the whole solution")
    template: Template = Field(TASK_TEMPLATE, description="user turn of prefix rows, with `{question}`")
    train_eos: bool = Field(False, description="train on an end-of-sequence token after each prefix")
    rollouts: int = Field(4, ge=1, le=MOST_SAMPLES, description="`rollout`: continuations of each distinct prefix")
    value: Literal["auto", "labels", "agreement"] = Field(
        "auto",
        description="`rollout`: what a continuation is scored by; `labels`: the problem's answer; `agreement`: "
        "agreement with the majority of the problem's continuations; `auto`: `labels` if all training problems have "
        "an answer or `answers.checker` is set, otherwise `agreement`",
    )
    shrinkage: float = Field(
        4.0,
        ge=0,
        description="`rollout`: weight of the problem's mean in a prefix's value, as a pseudo-count of continuations",
    )
    least_advantage: float = Field(
        0.05, ge=0, le=1, description="`rollout`: shrunk advantage over the problem's mean that a prefix must exceed"
    )
    pooled: bool = Field(
        False, description="`rollout`: pool the evidence of prefixes that differ only in the problem's own numbers"
    )
    weighted: bool = Field(
        False,
        description="weight rows; `rollout`: by the advantage of their prefix; `consistent`: by their problem's "
        "agreement; `verified`: by p(1 − p), where p is the share of their problem's samples that are right",
    )
    least_agreement: float = Field(
        0.0,
        ge=0,
        le=1,
        description="`consistent`: share of a problem's samples that must give the majority answer; if fewer do, the "
        "problem trains nothing",
    )
    per_problem: int = Field(0, ge=0, description="most rows per problem, taken in the order of sampling; 0: all")

    @field_validator("length")
    @classmethod
    def _positive(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            raise ValueError("must be at least 1 token")
        return value

    @model_validator(mode="after")
    def _chooses_prefixes(self) -> Prefixes:
        if self.whole and self.selection.chooses_prefixes:
            raise ValueError(f"`{self.select}` chooses among prefixes, so prefixes.length must be a number of tokens")
        return self

    @model_validator(mode="after")
    def _has_a_majority(self) -> Prefixes:
        if self.least_agreement and self.select != "consistent":
            raise ValueError(
                f"prefixes.least_agreement is for prefixes.select = `consistent`, and this recipe has `{self.select}`"
            )
        return self

    @property
    def selection(self) -> Selection:
        """What `select` names."""
        return SELECTIONS[self.select]

    @property
    def whole(self) -> bool:
        """Whether whole solutions are trained, and no prefixes."""
        return self.length == "full"

    @property
    def needs_answers(self) -> bool:
        """Whether every training problem must have a reference answer."""
        return self.selection.needs_answers or (self.selection.continues and self.value == "labels")
