"""What a run cost: time and tokens, by stage and per point of accuracy that was accepted.

Rejected rounds are charged: what a point costs is all that the run spent, over the points that it accepted. Tokens
sampled are those of sampling and of judging; tokens trained are the targets that a loss was taken of, each time it was.
"""

from __future__ import annotations

from dataclasses import dataclass

from selfimprove.figures import MISSING
from selfimprove.report.records import Record, RunRecords, accepted, gain, items, number, word


@dataclass(frozen=True)
class Cost:
    """What was spent; None where no record counts it."""

    seconds: float | None = None
    sampled: float | None = None
    trained: float | None = None
    prompts: float | None = None

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(_sum(mine, its) for mine, its in zip(self._parts(), other._parts(), strict=True)))

    def over(self, amount: float) -> Cost:
        """Each figure divided by `amount`."""
        return Cost(*(None if part is None else part / amount for part in self._parts()))

    def _parts(self) -> tuple[float | None, ...]:
        return self.seconds, self.sampled, self.trained, self.prompts


def _sum(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


def _of_stage(stage: Record) -> Cost:
    name = word(stage, "stage")
    return Cost(
        number(stage, "seconds"),
        number(stage, "counts", "tokens") if name in {"sample", "judge"} else None,
        number(stage, "counts", "target_tokens") if name == "train" else None,
        number(stage, "counts", "prompt_tokens"),
    )


def costs(run: RunRecords) -> tuple[dict[str, Cost], Cost]:
    """What each stage cost over all rounds, by its name, and the sum; rejected rounds are charged."""
    spent: dict[str, Cost] = {}
    for record in run.rounds:
        for stage in items(record, "stages"):
            name = word(stage, "stage") or MISSING
            spent[name] = spent.get(name, Cost()) + _of_stage(stage)
    return spent, sum(spent.values(), Cost())


def accepted_points(run: RunRecords) -> float:
    """Points of accuracy on held-out problems that the accepted rounds gained together."""
    return 100 * sum(gain(record) or 0.0 for record in run.rounds if accepted(record))
