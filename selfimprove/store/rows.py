"""The rows of a round's files as values: completions, examples, judged answers; one line of JSONL each.

A row holds nothing but its keys. `store/records.py` has how it is parsed, and everything that isn't a row.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from selfimprove.answer.verdict import Outcome
from selfimprove.sampling import StopReason
from selfimprove.store.records import Count, TokenIds


class Kind(StrEnum):
    """What a training row is made of."""

    PREFIX = "prefix"
    """The first tokens of a completion, under the prompt that asks for a first step."""
    FULL = "full"
    """A whole solution, under the plain question."""
    WRONG = "wrong"
    """A whole solution that ends in a wrong answer, to be made less likely."""


class Row(BaseModel):
    """A line of JSONL; it holds nothing but its keys."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class SampleRow(Row):
    """A line of `samples.jsonl` or `rollouts.jsonl`."""

    kind: Annotated[Kind, Field(strict=False)]
    key: str
    sample: Count
    token_ids: TokenIds
    stop: Annotated[StopReason, Field(strict=False)]
    seed: int


class ExampleRow(Row):
    """A line of `examples.jsonl`."""

    key: str
    sample: Count
    kind: Annotated[Kind, Field(strict=False)]
    prompt_ids: TokenIds
    target_ids: TokenIds
    weight: float


class Answered(Row):
    """One judged answer, a line of `verdicts.jsonl`: a completion with the checker's verdict on it.

    `model` is the round that made the model: 0 is the base, -n the placebo of round n.
    """

    model: int
    key: str
    sample: Count
    outcome: Annotated[Outcome, Field(strict=False)]
    candidate: str | None
    stage: str
    reason: str
    stop: Annotated[StopReason, Field(strict=False)]
    token_ids: TokenIds
    text: str
    score: float | None = None
    """What a checker of one's own gave between 0 and 1; a row without one has no such key."""
    setup: str = ""
    """What sampled and judged it (`Machinery.setup`); rows of earlier versions of the program have no such key."""

    @model_serializer(mode="wrap")
    def _without_empty(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        plain: dict[str, object] = serialise(self)
        empty = {"score": None, "setup": ""}
        return {key: value for key, value in plain.items() if key not in empty or value != empty[key]}

    @property
    def value(self) -> float:
        """What the answer counts for: 1 if it is right, its score if it has one, else 0."""
        return float(self.correct) if self.score is None else self.score

    @property
    def correct(self) -> bool:
        """Whether the checker accepted the answer."""
        return self.outcome is Outcome.CORRECT

    @property
    def unclear(self) -> bool:
        """Whether the checker could not tell."""
        return self.outcome in (Outcome.UNPARSED, Outcome.TIMED_OUT, Outcome.ERROR)

    @property
    def unreadable(self) -> bool:
        """Whether it isn't right because, perhaps, it couldn't be read: unclear, or cut at the token limit."""
        return not self.correct and (self.unclear or self.stop is StopReason.LENGTH)
