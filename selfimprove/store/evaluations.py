"""The records of `selfimprove evaluate` in a run's folder: `evaluate/NAME.json`, one for each thing that was asked.

They are figures and nothing a run steers by: a run goes on, and is verified, without them.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from selfimprove.errors import UnreadableError
from selfimprove.store.durable import read_json
from selfimprove.store.parsing import parsed
from selfimprove.store.records import Count, Interval, Number, Record, Scalar, SplitRecord

FOLDER = "evaluate"
"""The folder of a run that holds its evaluations."""
FORMAT = 1
"""Version of the record's format."""


class EvaluatedModel(Record):
    """A model as it was named, the round that made it (0: the base, None: none of the run), the hash of its folder."""

    name: str
    round: Count | None
    sha256: str


class EvaluatedSource(Record):
    """A source of problems, how many were taken from it, and how many of its rows were left out and why."""

    name: str
    problems: Count
    set_aside: Count
    repeated: Count
    faulty: Count


class SideFigures(Record):
    """What a model answered: means over the problems, shares in [0, 1]; tokens are sampled ones."""

    model: str
    accuracy: Number
    interval: Interval
    pass_at_k: dict[str, Number]
    """By k, for several answers to a problem."""
    unreadable: Number
    truncated: Number
    tokens: Count
    mean_tokens: Number


class GainFigures(Record):
    """The accuracy of a model minus that of the first one, on the same problems."""

    model: str
    over: str
    gain: Number
    interval: Interval
    wins: Count
    losses: Count
    split: SplitRecord


class GroupGain(Record):
    """A gain in one row of the table by fields; the interval is one of those that hold together."""

    gain: Number
    interval: Interval


class GroupFigures(Record):
    """A row of the table by fields: the problems whose `field` has this value.

    `accuracies` are in the order of the models. `gains` are those over the first model, in the order of the others; a
    model that is alone has an `interval` of its accuracy in place of them.
    """

    field: str
    value: str
    n: Count
    accuracies: tuple[Number, ...] = Field(strict=False)
    interval: Interval | None
    gains: tuple[GroupGain, ...] = Field(strict=False)


class TaskFigures(Record):
    """A figure of lm-evaluation-harness: a metric of a task, with its standard error where the harness gives one."""

    model: str
    task: str
    metric: str
    filter: str
    value: Number
    stderr: Number | None
    n: Count | None


class Evaluation(Record):
    """What was asked of which models, and what it came to.

    `n` problems are in the figures. `training` further ones are training problems of the run, which only the table by
    fields shows; `sealed` ones were left out because the run has yet to judge them; `heldout` are those among the `n`
    that rounds were accepted on. `intervals` is how many the table by fields has, all of which hold with the chance
    0.95, each by itself with `level`.
    """

    format: Count
    name: str
    models: tuple[EvaluatedModel, ...] = Field(strict=False)
    sources: tuple[EvaluatedSource, ...] = Field(strict=False)
    settings: dict[str, Scalar]
    n: Count
    training: Count
    heldout: Count
    sealed: Count
    sides: tuple[SideFigures, ...] = Field(strict=False)
    gains: tuple[GainFigures, ...] = Field(strict=False)
    groups: tuple[GroupFigures, ...] = Field(strict=False)
    intervals: Count
    level: Number
    notes: tuple[str, ...] = Field(strict=False)
    tasks: tuple[TaskFigures, ...] = Field(strict=False)
    versions: dict[str, Scalar]


def read_evaluations(run: Path) -> list[Evaluation]:
    """The evaluations in a run's folder, by name; one that can't be read is passed over."""
    found = []
    for path in sorted((run / FOLDER).glob("*.json")):
        try:
            found.append(parsed(read_json(path), Evaluation, path))
        except UnreadableError:
            continue
    return found
