"""What is sent to a tracker: figures by optimizer step or by round, folded from the run's events.

Names are the same in every tracker:

| name | by | from |
| --- | --- | --- |
| `train/loss`, `train/learning_rate` | step | each optimizer step; the count goes on over the rounds of the run |
| `round/champion_accuracy`, `…/challenger_accuracy`, `…/gain`, `…/accepted` | round | the round's record |
| `round/became_readable`, `…/became_right`, `…/became_unreadable`, `…/became_wrong` | round | the gain, split |
| `round/evidence`, `…/threshold`, `…/wins`, `…/losses`, `…/judged` | round | the last look of the gate |
| `guard/NAME_gain`, `…_evidence`, `…_threshold`, `…_wins`, `…_losses`, `…_judged` | round | its last look |
| `round/STAGE_seconds`, `round/STAGE_COUNT` | round | what a stage took, and each of its counts, such as rows |
| `cost/sampled_tokens`, `cost/target_tokens`, `cost/seconds` | round | all rounds up to this one together |
| `sealed/base_accuracy`, `…/champion_accuracy`, `…/gain`, `…/gain_low`, `…/gain_high`, `…/n`, `…/look` | round | |
| `sealed/became_readable` and the others | round | the sealed gain, split |

In a round of several steps (`schedule.steps`) a stage's seconds, rows and tokens are those of all steps so far.

Only finite numbers are sent: no question, no answer, no sentence. What a resumed start repeats is not sent again: a
step after the last checkpoint, a stage that is reused, a round of an earlier start.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from selfimprove.events import (
    GuardLooked,
    Looked,
    RoundFinished,
    RoundStarted,
    SealedJudged,
    StageFinished,
    StepStarted,
    Timed,
    TrainStep,
)
from selfimprove.store.records import adds

_COSTS = ("sampled_tokens", "target_tokens")
_SEEN = ("evidence", "threshold", "wins", "losses", "judged")


@dataclass(frozen=True, kw_only=True)
class Point:
    """Figures of one event; `step` optimizer steps of the run were done by then, `round` was under way or done.

    `by_round` says which of the two is their axis; `time` is in seconds since the epoch.
    """

    values: dict[str, float]
    step: int
    round: int
    by_round: bool
    time: float

    @property
    def place(self) -> int:
        """Its position on its axis: the round, or the step."""
        return self.round if self.by_round else self.step

    @property
    def with_round(self) -> dict[str, float]:
        """Values and round, for a tracker whose only axis is the step."""
        return {**self.values, "round": self.round}


class Points:
    """Folds events into points; an event that a resumed start repeats gives none."""

    def __init__(self) -> None:
        self._sent: set[tuple[object, ...]] = set()
        self._steps: dict[tuple[int, int], int] = {}
        self._step_of_round = 0
        self._stages: dict[tuple[int, str], dict[str, float]] = {}
        self._looks: dict[int, Looked] = {}
        self._guards: dict[int, dict[str, GuardLooked]] = {}
        self._costs = dict.fromkeys((*_COSTS, "seconds"), 0.0)

    def hear(self, timed: Timed) -> list[Point]:
        """The tracker points that an event gives: one, or none."""
        match timed.event:
            case Looked() as look:
                self._looks[look.number] = look
            case GuardLooked() as look:
                self._guards.setdefault(look.number, {})[look.guard] = look
            case RoundStarted():
                self._step_of_round = 0
            case StepStarted(step=step_of_round):
                self._step_of_round = step_of_round
            case TrainStep() as step if self._is_new(step.number, self._step_of_round, "step", step.step):
                place = step.number, self._step_of_round
                self._steps[place] = step.steps
                values = {"train/loss": step.loss, "train/learning_rate": step.learning_rate}
                return self._point(values, step.number, timed.time, self._steps_before(*place) + step.step)
            case StageFinished() as stage if self._is_new(stage.number, self._step_of_round, "stage", stage.stage):
                return self._point(self._stage(stage), stage.number, timed.time)
            case RoundFinished() as done if self._is_new(done.number, "round"):
                return self._point(self._round(done), done.number, timed.time)
            case SealedJudged() as sealed if self._is_new("sealed", sealed.look):
                return self._point(_sealed(sealed), sealed.rounds, timed.time)
        return []

    def _is_new(self, *what: object) -> bool:
        known = what in self._sent
        self._sent.add(what)
        return not known

    def _steps_before(self, number: int, step_of_round: int = 0) -> int:
        return sum(steps for place, steps in self._steps.items() if place < (number, step_of_round))

    def _point(self, values: Mapping[str, float], number: int, time: float, step: int | None = None) -> list[Point]:
        finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        done = self._steps_before(number + 1) if step is None else step
        return [Point(values=finite, step=done, round=number, by_round=step is None, time=time)] if finite else []

    def _stage(self, stage: StageFinished) -> dict[str, float]:
        counts = {name: value for name, value in stage.counts.items() if isinstance(value, int | float)}
        for name in _COSTS:
            self._costs[name] += counts.get(name, 0)
        self._costs["seconds"] += stage.seconds
        before = self._stages.get((stage.number, stage.stage), {})
        added = {name: value + before.get(name, 0) for name, value in counts.items() if adds(name, value)}
        told = {**counts, **added, "seconds": stage.seconds + before.get("seconds", 0)}
        self._stages[stage.number, stage.stage] = told
        return {f"round/{stage.stage}_{name}": value for name, value in told.items()}

    def _round(self, done: RoundFinished) -> dict[str, float]:
        names = ("champion_accuracy", "challenger_accuracy", "gain", "accepted")
        values = {f"round/{name}": float(getattr(done, name)) for name in names}
        values |= {f"round/{name}": part for name, part in (done.parts or {}).items()}
        look = self._looks.get(done.number)
        if look:
            values |= {f"round/{name}": float(getattr(look, name)) for name in _SEEN}
        for guard, last in self._guards.get(done.number, {}).items():
            values |= {f"guard/{guard}_{name}": float(getattr(last, name)) for name in (*_SEEN, "gain")}
        return values if done.earlier else {**values, **{f"cost/{name}": sum_ for name, sum_ in self._costs.items()}}


def _sealed(sealed: SealedJudged) -> dict[str, float]:
    names = ("base_accuracy", "champion_accuracy", "gain", "n", "look")
    values = {f"sealed/{name}": float(getattr(sealed, name)) for name in names}
    values |= {f"sealed/{name}": part for name, part in (sealed.parts or {}).items()}
    return {**values, "sealed/gain_low": sealed.gain_interval[0], "sealed/gain_high": sealed.gain_interval[1]}
