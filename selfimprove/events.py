"""What happens in a run, as frozen values: logic emits them, a display or a tracker may listen.

Nothing waits for a listener and no decision depends on one; silence is a function that does nothing. Every event has
a JSON form (`to_json`), one line in `rounds/<run>/events.jsonl` and in the output of `selfimprove run --json`: the key
`event` names the kind, `time` is seconds since the epoch (UTC), the rest are the event's fields. `read_event` reads
such a line back, to follow a run from another process; a line of any other shape is no event. A model's texts are in
`Flip` alone and are as the model wrote them: whoever shows them escapes them.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, get_args


@dataclass(frozen=True, kw_only=True)
class RunStarted:
    """A run was started or resumed; `rounds_done` were finished by earlier starts."""

    run: str
    folder: str
    model: str
    engine: str
    rounds_wanted: int
    rounds_done: int
    train: int
    heldout: int
    sealed: int
    notes: tuple[str, ...] = ()  # a line each: duplicates dropped, overlap removed, power of the held-out set


@dataclass(frozen=True)
class RoundStarted:
    """Round `number` is under way on champion `champion` (0 is the base model)."""

    number: int
    champion: int


@dataclass(frozen=True, kw_only=True)
class StepStarted:
    """Step `step` of the round's `steps` is under way: its stages up to training follow (`schedule.steps`)."""

    number: int
    step: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class StageStarted:
    """A stage begins with `total` units of work, such as rows, of which `kept` were durable already."""

    number: int
    stage: str
    total: int
    kept: int
    unit: str


@dataclass(frozen=True, kw_only=True)
class StageProgress:
    """`done` of the stage's `total` units are durable; `tokens` were sampled or trained since this start began it.

    Tokens count while their units aren't durable yet, so a chunk of minutes is seen to move.
    """

    number: int
    stage: str
    done: int
    total: int
    tokens: int


@dataclass(frozen=True, kw_only=True)
class StageFinished:
    """A stage has its done-record; `reused` if an earlier start of the run had finished it."""

    number: int
    stage: str
    seconds: float
    counts: dict[str, object]
    reused: bool


@dataclass(frozen=True, kw_only=True)
class TrainStep:
    """One optimizer step; `loss` is the mean over examples of the mean negative log-likelihood per target token."""

    number: int
    step: int
    steps: int
    loss: float
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A held-out problem that exactly one of champion and challenger solves; texts are as the models wrote them."""

    number: int
    won: bool
    question: str
    reference: str
    champion_text: str
    challenger_text: str


@dataclass(frozen=True, kw_only=True)
class Looked:
    """The gate looked at the evidence after a batch (all figures as in `gate.Look`)."""

    number: int
    judged: int
    total: int
    wins: int
    losses: int
    evidence: float
    threshold: float
    gain: float


@dataclass(frozen=True, kw_only=True)
class GuardLooked:
    """A guard looked at the evidence after a batch of its problems (all figures as in `gate.guards.GuardDecision`)."""

    number: int
    guard: str
    rule: str
    judged: int
    total: int
    wins: int
    losses: int
    evidence: float
    threshold: float
    gain: float


@dataclass(frozen=True, kw_only=True)
class RoundFinished:
    """A round has its record: accuracies on the problems judged, and the decision in one sentence.

    `earlier`: an earlier start of the run finished it; a view is told again, the history on disk is not. `reason` is
    the decision's, as the record has it; None in histories that don't tell it.
    """

    number: int
    accepted: bool
    champion_accuracy: float
    challenger_accuracy: float
    gain: float
    sentence: str
    earlier: bool = False
    parts: dict[str, float] | None = None
    """What the gain is made of: `became_readable` and the others of `gate.gains.Split`; None in older histories."""
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class SealedJudged:
    """The outcome on the sealed problems: accuracies in [0, 1], gain with its 95% interval."""

    look: int
    rounds: int
    n: int
    base_accuracy: float
    champion_accuracy: float
    base_interval: tuple[float, float]
    champion_interval: tuple[float, float]
    gain: float
    gain_interval: tuple[float, float]
    beside: str = ""
    """The outcome at the second decoding in one sentence, if the recipe has one."""
    champion: int | None = None
    """The round that the champion came from, 0 for the base model; None in histories that don't tell it."""
    split: str | None = None
    """What the gain is made of, in words; None likewise."""
    parts: dict[str, float] | None = None
    """The same in figures, by name, as in `RoundFinished`."""


@dataclass(frozen=True, kw_only=True)
class RunFinished:
    """The run has all the rounds that were asked for; `was_complete` if it had them before this start.

    `seconds` are those that all starts of the run worked on it, or those of this start if they are more: a start also
    looks through the files of earlier rounds.
    """

    run: str
    rounds: int
    accepted: tuple[int, ...]
    seconds: float
    was_complete: bool


@dataclass(frozen=True)
class Note:
    """One line for the user that no other event carries, such as a repair on a resume."""

    text: str


Event = (
    RunStarted
    | RoundStarted
    | StageStarted
    | StageProgress
    | StageFinished
    | TrainStep
    | StepStarted
    | Flip
    | Looked
    | GuardLooked
    | RoundFinished
    | SealedJudged
    | RunFinished
    | Note
)
Emit = Callable[[Event], None]


def silence(_: Event) -> None:
    """A listener that ignores every event."""


@dataclass(frozen=True)
class Timed:
    """An event and when it happened, in seconds since the epoch."""

    time: float
    event: Event


def event_name(event: Event) -> str:
    """The event's kind in snake case, such as `round_finished`."""
    return _name_of(type(event))


def to_json(event: Event, at: float | None = None) -> str:
    """The event as one line of JSON, ASCII only, so that no text in it can end a line or carry an escape code.

    `at` is when it happened, by default now. A field that is None has no key.
    """
    moment = time.time() if at is None else at
    told = {name: value for name, value in asdict(event).items() if value is not None}
    return json.dumps({"event": event_name(event), "time": round(moment, 3), **told})


def read_event(line: bytes) -> Timed | None:
    """The event that `to_json` made this line of; None for any other line, never an error."""
    from pydantic import ValidationError

    try:
        row = json.loads(line)
        kind, moment = _kinds().get(row["event"]), float(row["time"])
        event = _reader(kind).validate_json(line, strict=True) if kind else None
    except (ValidationError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return Timed(moment, event) if event is not None and math.isfinite(moment) and _bounded(event) else None


def _name_of(kind: type) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


@cache
def _kinds() -> dict[str, type]:
    return {_name_of(kind): kind for kind in get_args(Event)}


@cache
def _reader(kind: type) -> Any:  # noqa: ANN401 - a TypeAdapter, imported when a line is read
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _bounded(event: Event) -> bool:
    """Whether its whole numbers fit 64 bits: no figure of a run is larger, and showing a larger one could raise."""
    fields = vars(event)
    values = [*fields.values(), *fields.get("counts", {}).values()]
    return all(abs(value) < 2**63 for value in values if isinstance(value, int))
