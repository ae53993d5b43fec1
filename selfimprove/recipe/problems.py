"""The section of a recipe that says where problems come from, and how they are split."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

MOST_PROBLEMS = 10_000_000
"""Above any real run: a larger figure is a typing error, and would fill the memory before it showed."""


class Section(BaseModel):
    """A frozen group of keys; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    later: ClassVar[frozenset[str]] = frozenset()
    """Keys that the first runs did not have. While they say nothing they are left out, so that fingerprints hold."""

    @model_serializer(mode="wrap")
    def _without_later(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        plain: dict[str, object] = serialise(self)
        kinds = type(self).model_fields
        return {
            key: value
            for key, value in plain.items()
            if key not in self.later or getattr(self, key) != kinds[key].get_default(call_default_factory=True)
        }


class MixturePart(Section):
    """One generator of a `reasoning-gym:` mixture."""

    name: str = Field(description="name of the reasoning-gym dataset")
    weight: float = Field(1.0, gt=0, description="share of the problems, relative to the other parts")
    params: dict[str, object] = Field(default_factory=dict, description="parameters of that dataset")


class Problems(Section):
    """Where problems come from, and how they are split. An empty source is carved out of the one above it."""

    later: ClassVar[frozenset[str]] = frozenset(
        ("context", "options", "answered_only", "decontaminate", "ngram", "ngram_share")
    )

    train: str = Field(
        "reasoning-gym:sums",
        description="training problems: `reasoning-gym:NAME`, a hub id `ID[:CONFIG[:SPLIT]]`, or a local file",
    )
    heldout: str = Field(
        "",
        description="source judged in every round; empty: the training source's test split or, without one, part of "
        "that source",
    )
    sealed: str = Field("", description="source judged at the end; empty: taken from the held-out source")
    train_size: int = Field(256, ge=0, le=MOST_PROBLEMS, description="training problems; 0: all of them")
    heldout_size: int = Field(256, ge=1, le=MOST_PROBLEMS, description="held-out problems")
    sealed_size: int = Field(256, ge=1, le=MOST_PROBLEMS, description="sealed problems")
    seed: int = Field(0, ge=0, description="seed of generation and of the split")
    question: str = Field(
        "", description="name of the question field, if it isn't recognised; use dots for fields inside objects"
    )
    answer: str = Field("", description="name of the answer field, if it isn't recognised")
    context: str = Field("", description="name of a field that goes before the question, if it isn't recognised")
    options: str = Field("", description="name of the field with multiple-choice options, if it isn't recognised")
    answered_only: bool = Field(False, description="train only on problems that have an answer; judged ones always do")
    decontaminate: Literal["exact", "ngram"] = Field(
        "exact",
        description="training problems to remove; `exact`: those that are also held out or sealed; `ngram`: also those "
        "too similar to a held-out or sealed one (not for generated problems, which are all worded alike)",
    )
    ngram: int = Field(8, ge=1, description="`ngram`: words per n-gram")
    ngram_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="`ngram`: a training question is removed if this share of its n-grams occurs in a held-out or "
        "sealed one",
    )
    mixtures: dict[str, tuple[MixturePart, ...]] = Field(
        default_factory=dict, description="named mixtures of reasoning-gym generators"
    )
