"""The shapes of a run's records, and the refusal of a record that has another one.

A record is written by this program and read back by it, perhaps years later, after a disk error, a merge conflict or a
hand edit. Whoever reads one says here which keys it relies on and of which types; `checked` holds a parsed record
to that and names the file, the row and the key that differ. A record's other keys are for people and reports, which
show a dash for what they can't read. Rows of JSONL become values field by field, so they may hold nothing else.

Types are strict: `"1"` is no number and `1` no truth value. Token ids are bounded by what a tokenizer can be asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selfimprove.errors import UnreadableError

Count = Annotated[int, Field(ge=0)]
TokenIds = list[Annotated[int, Field(ge=0, lt=2**31)]]
Interval = Annotated[list[float], Field(min_length=2, max_length=2)]


class Shape(BaseModel):
    """Keys that are relied on; other keys may stand beside them."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=())


class RowShape(Shape):
    """All keys of a line of JSONL."""

    model_config = ConfigDict(extra="forbid")

    key: str
    sample: Count


class SampleRow(RowShape):
    """A line of `samples.jsonl`."""

    kind: Literal["prefix", "full"]
    token_ids: TokenIds
    stop: Literal["eos", "length"]
    seed: int


class ExampleRow(RowShape):
    """A line of `examples.jsonl`."""

    kind: Literal["prefix", "full"]
    prompt_ids: TokenIds
    target_ids: TokenIds
    weight: float


class VerdictRow(RowShape):
    """A line of `verdicts.jsonl`."""

    model: int
    outcome: Literal["correct", "wrong", "unparsed", "timed_out"]
    candidate: str | None
    stage: str
    reason: str
    stop: Literal["eos", "length"]
    token_ids: TokenIds
    text: str


class DoneRecord(Shape):
    """`done/STAGE.json`."""

    seconds: float
    counts: dict[str, Any]
    sha256: dict[str, str]


class StageRecord(Shape):
    """A stage in `round.json`: its done-record."""

    stage: str
    sha256: dict[str, str]


class RollbackRow(Shape):
    """A line of `rollbacks.jsonl`."""

    after: Count
    to: Count


class Decided(Shape):
    """The `decision` of a round."""

    accepted: bool
    sentence: str


class Side(Shape):
    """One model's part of a scorecard."""

    accuracy: float


class Scorecard(Shape):
    """Both models' outcome on the held-out problems."""

    champion: Side
    challenger: Side


class Certificate(Shape):
    """What the merge vouches for."""

    sha256: str


class RoundRecord(Shape):
    """`round.json`."""

    round: Annotated[int, Field(ge=1)]
    stages: list[StageRecord]
    chain: list[Annotated[int, Field(ge=1)]]
    decision: Decided
    scorecard: Scorecard
    certificate: Certificate


class Look(Shape):
    """One look at the sealed problems."""

    look: Annotated[int, Field(ge=1)]
    rounds: Count
    champion: Count
    n: Count
    base_accuracy: float
    base_interval: Interval
    champion_accuracy: float
    champion_interval: Interval
    gain: float
    gain_interval: Interval


class SealedRecord(Shape):
    """`sealed.json`."""

    looks: list[Look]


class BoundRecord(Shape):
    """`recipe.json`."""

    model: str
    problems: str
    recipe: dict[str, Any]


def checked(record: dict[str, Any], shape: type[Shape], where: Path | str, hint: str = "") -> dict[str, Any]:
    """The record as it is, if it has the shape; `UnreadableError` names `where` and the first key that hasn't."""
    try:
        shape.model_validate(record)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join(map(str, fault["loc"]))
        raise UnreadableError(f"{where}: `{key}`: {fault['msg']}", hint or "Restore it, or start a new run.") from None
    return record


def checked_rows(path: Path, rows: Sequence[dict[str, Any]], shape: type[Shape]) -> list[dict[str, Any]]:
    """The rows of a JSONL file as they are, if each has the shape; `UnreadableError` names the first that hasn't."""
    hint = "Restore the file, or remove it: its rows are made again."
    return [checked(row, shape, f"{path}:{number}", hint) for number, row in enumerate(rows, start=1)]
