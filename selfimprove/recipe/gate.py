"""The section of a recipe that says how a challenger is judged."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from selfimprove.recipe.problems import Section

# Above any real run: a larger figure is a typing error, and would fill the memory before it showed.
MOST_SAMPLES = 10_000
MOST_ROUNDS = 1_000_000


class Gate(Section):
    """When a challenger replaces the champion."""

    later: ClassVar[frozenset[str]] = frozenset(("rounds", "rotate", "guard_alpha"))

    rule: Literal["sequential", "point", "none"] = Field(
        "sequential",
        description="`sequential`: anytime-valid paired test; `point`: accuracy not lower (naive); `none`: every round "
        "is accepted, for studies",
    )
    alpha: float = Field(0.05, gt=0, lt=1, description="chance of any false accept in the whole run")
    rounds: int = Field(
        0,
        ge=0,
        le=MOST_ROUNDS,
        description="rounds that share `gate.alpha` equally, with one part kept for further rounds; 0: open-ended, "
        "round k has α/(k(k+1))",
    )
    guard_alpha: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="chance that guards with `no proof of harm` ever reject a harmless challenger in the run, and "
        "that guards with `proof of no harm` ever let a harmful one pass",
    )
    worthwhile: float = Field(
        0.02,
        gt=0,
        lt=1,
        description="smallest worthwhile gain in accuracy: judging stops for futility once it is ruled out",
    )
    batch: int = Field(64, ge=1, description="problems judged between two looks")
    samples: int = Field(
        1, ge=1, le=MOST_SAMPLES, description="answers per problem and model; 1: greedy; more are averaged"
    )
    temperature: float | None = Field(
        None,
        ge=0,
        description="temperature of judged answers; unset: greedy for one, `sampling.temperature` for several",
    )
    beside_temperature: float | None = Field(
        None,
        ge=0,
        description="second temperature at which the sealed problems are judged too; unset: none",
    )
    beside_samples: int = Field(
        1, ge=1, le=MOST_SAMPLES, description="answers per sealed problem and model at `gate.beside_temperature`"
    )
    max_pass_drop: float = Field(
        0.05, ge=0, le=1, description="guard: largest allowed drop in pass@k below the champion's"
    )
    max_truncation_rise: float = Field(
        0.1,
        ge=0,
        le=1,
        description="guard: largest allowed increase in the share of truncated answers over the champion's",
    )
    fresh: bool = Field(False, description="draw new held-out problems each round (generated sources only)")
    rotate: bool = Field(
        False,
        description="use a fresh part of the held-out source in each round (`problems.heldout_size` problems) until it "
        "is used up",
    )
    placebo: bool = Field(
        False,
        description="also train and judge a placebo twin, whose targets are permuted between problems, and report the "
        "gain over it",
    )
    min_entropy: float = Field(
        0.5, ge=0, le=1, description="warn when the prefix entropy falls below this share of the champion's"
    )

    @model_validator(mode="after")
    def _new_in_one_way(self) -> Gate:
        if self.fresh and self.rotate:
            raise ValueError("gate.fresh draws new problems for each round, so it can't be combined with gate.rotate")
        return self

    @property
    def new_each_round(self) -> bool:
        """Whether no problem is held out in two rounds, so that each judges the champion anew."""
        return self.fresh or self.rotate
