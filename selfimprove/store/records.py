"""The records of a run as values: what this program writes and reads back, perhaps years later.

A record may have been through a disk error, a merge conflict or a hand edit, or come from another version. So a parsed
record is held to its type before anything is believed: `parsing.py` names the file, the row and the key that differ.
Types are strict: `"1"` is no number and `1` no truth value. Keys that a type doesn't know stay with it (`model_extra`),
and `plain` gives back what was read, key by key, so that a record can be written again without loss.

Two readings. The *strict* one refuses any key of another type, and is what a run goes on with. The *lenient* one, for
reports, gives up the keys marked `Lenient` one by one: such a key becomes its default, and a report shows a dash. What
a run steers by (its rounds, their chain, decisions and hashes) is refused by both. Token ids are bounded by what a
tokenizer can be asked for, numbers by what a float can hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, WrapValidator
from pydantic_core import PydanticUseDefault
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

T = TypeVar("T")
ModelType = TypeVar("ModelType", bound=BaseModel)

LENIENT = "lenient"
"""The validation context of the lenient reading."""
LARGEST = 1e300
"""No figure of a run is as large."""


def _or_default(value: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
    try:
        return handler(value)
    except ValidationError:
        if info.context == LENIENT:
            raise PydanticUseDefault from None
        raise


def _within_floats(value: float) -> float:
    if abs(value) >= LARGEST:  # an integer may be; asking whether it is finite would raise
        raise ValueError("too large to be a figure of a run")
    return value


Lenient = Annotated[T, WrapValidator(_or_default)]
"""A key that the lenient reading gives up where its value has another type."""
Number = Annotated[int | float, AfterValidator(_within_floats)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
RoundNumber = Annotated[int, Field(ge=1, lt=2**31)]
TokenIds = Annotated[tuple[Annotated[int, Field(ge=0, lt=2**31)], ...], Field(strict=False)]
Interval = Annotated[tuple[Number, Number], Field(strict=False)]
Scalar = str | bool | int | float | None


class Record(BaseModel):
    """A record, or a part of one: frozen, strict, built by keyword; unknown keys stay with it.

    Keys stand in the file in the order of the fields. Of several bases the last one's fields come first.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="allow", allow_inf_nan=False, protected_namespaces=())

    def plain(self) -> dict[str, Any]:
        """The record as JSON holds it: the keys that were given, in the order of the type, unknown ones last."""
        return self.model_dump(exclude_unset=True)


class Rollback(Record):
    """A line of `rollbacks.jsonl`: back `to` an accepted round, `after` so many finished rounds."""

    after: Count
    to: Count


class Counts(Record):
    """What a stage counted; each stage has its own of these."""

    problems: Lenient[Count | None] = None
    champion_problems: Lenient[Count | None] = None
    guard_problems: Lenient[Count | None] = None
    rows: Lenient[Count | None] = None
    sampled_tokens: Lenient[Count | None] = None
    prompt_tokens: Lenient[Count | None] = None
    truncated: Lenient[Count | None] = None
    held_rows: Lenient[Count | None] = None
    examples: Lenient[Count | None] = None
    prefix: Lenient[Count | None] = None
    full: Lenient[Count | None] = None
    wrong: Lenient[Count | None] = None
    harvested_tokens: Lenient[Count | None] = None
    dropped: Lenient[dict[str, int]] = {}
    adapters: Lenient[Count | None] = None
    survival: Lenient[Number | None] = None
    functional_share: Lenient[Number | None] = None
    agreement: Lenient[Number | None] = None
    steps: Lenient[Count | None] = None
    first_loss: Lenient[Number | None] = None
    last_loss: Lenient[Number | None] = None
    losses: Lenient[tuple[Number | None, ...]] = Field(default=(), strict=False)
    target_tokens: Lenient[Count | None] = None
    trained_prompt_tokens: Lenient[Count | None] = None


class MachineCost(Record):
    """What work cost the machine (`host/metering.py`); None where nothing could be read."""

    seconds: Lenient[Number | None] = None
    peak_rss_mb: Lenient[Number | None] = None
    peak_gpu_mb: Lenient[Number | None] = None
    energy_j: Lenient[Number | None] = None
    energy_of: Lenient[str | None] = None


class StageTime(Record):
    """A stage with the UTC times of its first start and its end.

    `step` is the step of the round that it belongs to, 0 for the last one and for what follows it (`schedule.steps`).
    """

    stage: str
    step: Count = 0
    start: Lenient[str] = ""
    end: Lenient[str] = ""


class StageRecord(MachineCost, StageTime):
    """A stage in `round.json`: what it cost and counted, and the SHA-256 of its files."""

    counts: Lenient[Counts] = Counts()
    sha256: dict[str, str]

    @property
    def name(self) -> str:
        """The name of its done-record."""
        return step_name(self.step, self.stage)


class DoneRecord(StageRecord):
    """`done/STAGE.json`: a stage is done if and only if this can be read."""

    seconds: Number
    counts: Counts


_NOT_ADDED = frozenset(("held_rows", "adapters"))
"""Counts of what is the same in every step of a round."""


def adds(name: str, value: object) -> bool:
    """Whether a count of a stage is a number of things, which add up over the steps of a round."""
    counted = name in Counts.model_fields or name == "computed_tokens"
    return counted and type(value) is int and name not in _NOT_ADDED


def step_name(step: int, name: str) -> str:
    """The name in a round's folder of what belongs to one of its steps; 0 is the last step, whose names are plain."""
    return f"step-{step}-{name}" if step else name


def summed(parts: Sequence[Counts]) -> Counts:
    """The counts of one stage in all steps of a round: numbers of things added up, the rest from the last step."""
    if len(parts) < 2:
        return parts[0] if parts else Counts()
    last = parts[-1].plain()
    added = {
        name: sum(getattr(part, name, None) or 0 for part in parts) for name, value in last.items() if adds(name, value)
    }
    dropped = Counter[str]()
    for part in parts:
        dropped.update(part.dropped)
    losses = tuple(loss for part in parts for loss in part.losses)
    told = {"dropped": dict(dropped), "losses": losses, "first_loss": parts[0].first_loss}
    return Counts(**last | added | {name: value for name, value in told.items() if name in last})


class PrefixStatistics(Record):
    """Diversity of the sampled prefixes: shares in [0, 1], entropy in nats, mean length in tokens."""

    distinct_prefixes: Lenient[Number | None] = None
    prefix_entropy: Lenient[Number | None] = None
    mean_tokens: Lenient[Number | None] = None
    truncated: Lenient[Number | None] = None


class ScheduleRecord(Record):
    """A round's place in the schedule: rejections in a row before it, and what it trained at."""

    rejections: Lenient[Count | None] = None
    learning_rate: Lenient[Number | None] = None
    length: Lenient[int | Literal["full"] | None] = None


class Side(Record):
    """One model's verdicts on held-out problems; `accuracy` is the share of right answers, or the mean score."""

    n: Lenient[Count | None] = None
    answers: Lenient[Count | None] = None
    correct: Lenient[Count | None] = None
    wrong: Lenient[Count | None] = None
    unparsed: Lenient[Count | None] = None
    timed_out: Lenient[Count | None] = None
    error: Lenient[Count | None] = None
    truncated: Lenient[Count | None] = None
    mean_tokens: Lenient[Number | None] = None
    accuracy: Number


class SplitRecord(Record):
    """A gain by what the answers were before and after (`gate.gains.Split`): each part a share of the problems."""

    became_readable: Number
    became_right: Number
    became_unreadable: Number
    became_wrong: Number


class Scorecard(Record):
    """Both models' verdicts on the held-out problems; `champion_heldout` are all answers of the champion."""

    judged: Lenient[Count | None] = None
    total: Lenient[Count | None] = None
    uses_of_heldout: Lenient[Count | None] = None
    wins: Lenient[Count | None] = None
    losses: Lenient[Count | None] = None
    split: Lenient[SplitRecord | None] = None
    champion: Side
    challenger: Side
    champion_heldout: Lenient[Side | None] = None


class LookRecord(Record):
    """One look of the gate at the evidence (`gate.decision.Look`)."""

    judged: Lenient[Count | None] = None
    wins: Lenient[Number | None] = None
    losses: Lenient[Number | None] = None
    evidence: Lenient[Number | None] = None
    threshold: Lenient[Number | None] = None
    gain: Lenient[Number | None] = None
    gain_upper: Lenient[Number | None] = None


class DecisionRecord(Record):
    """The gate's decision (`gate.decision.Decision`), with the error that the round might spend."""

    alpha: Lenient[Number | None] = None
    accepted: bool
    reason: Lenient[str] = ""
    looks: Lenient[tuple[LookRecord, ...]] = Field(default=(), strict=False)
    sentence: str
    robust: Lenient[bool | None] = None


class GuardRecord(Record):
    """A guard's decision (`gate.guards.GuardDecision`), with its rule and the error that it might spend."""

    name: str
    rule: Lenient[str] = ""
    max_drop: Lenient[Number | None] = None
    alpha: Lenient[Number | None] = None
    total: Lenient[Count | None] = None
    passed: bool
    reason: Lenient[str] = ""
    judged: Lenient[Count | None] = None
    wins: Lenient[Count | None] = None
    losses: Lenient[Count | None] = None
    evidence: Lenient[Number | None] = None
    threshold: Lenient[Number | None] = None
    gain: Lenient[Number | None] = None
    gain_lower: Lenient[Number | None] = None
    robust: Lenient[bool | None] = None
    told: Lenient[str] = ""
    champion: Lenient[Side | None] = None
    challenger: Lenient[Side | None] = None


class PlaceboRecord(Record):
    """The placebo's verdicts and the challenger's gain over it."""

    scorecard: Lenient[Side | None] = None
    gain_over_placebo: Lenient[Number | None] = None
    gain_interval: Lenient[Interval | None] = None
    split: Lenient[SplitRecord | None] = None
    sentence: Lenient[str] = ""


class Certificate(Record):
    """`certificate.json`: what a merge vouches for (`merging/certificate.py`); None is a figure that isn't finite."""

    identical_to_parent: Lenient[bool | None] = None
    parent_is_chain: Lenient[bool | None] = None
    finite: Lenient[bool | None] = None
    survival: Lenient[Number | None] = None
    relative_error: Lenient[Number | None] = None
    unchanged_weights: Lenient[Number | None] = None
    delta_norm: Lenient[Number | None] = None
    touched_weights: Lenient[Count | None] = None
    kl: Lenient[Number | None] = None
    kl_parent: Lenient[Number | None] = None
    functional_share: Lenient[Number | None] = None
    functional_low: Lenient[Number | None] = None
    functional_high: Lenient[Number | None] = None
    agreement: Lenient[Number | None] = None
    canary_tokens: Lenient[Count | None] = None
    carried_over: Lenient[dict[str, bool]] = {}
    passed: Lenient[bool | None] = None
    failures: Lenient[tuple[str, ...]] = Field(default=(), strict=False)
    sha256: str
    adapters: Lenient[tuple[str, ...] | None] = Field(default=None, strict=False)
    dtype: Lenient[str] = ""
    rounding: Lenient[str] = ""


class DrawRecord(Record):
    """How tokens were drawn; see `sampling.DrawRule`."""

    repetition_penalty: Number
    temperature: Number
    min_p: Number
    top_k: Count
    top_p: Number


class DecodingRecord(Record):
    """How training samples and answers were drawn; `ignored`: keys of its generation config that no engine applies."""

    sampling: DrawRecord
    judging: DrawRecord
    ignored: Lenient[tuple[str, ...]] = Field(default=(), strict=False)


class RoundRecord(Record):
    """`round.json`: a round that counts. `chain` are the accepted rounds that its champion consists of."""

    format: Lenient[int | None] = None
    round: RoundNumber
    parent: Lenient[Count] = 0
    chain: Annotated[tuple[RoundNumber, ...], Field(strict=False)]
    schedule: Lenient[ScheduleRecord] = ScheduleRecord()
    stages: Annotated[tuple[StageRecord, ...], Field(strict=False)]
    prefixes: Lenient[PrefixStatistics] = PrefixStatistics()
    scorecard: Scorecard
    decision: DecisionRecord
    guards: Lenient[tuple[GuardRecord, ...]] = Field(default=(), strict=False)
    alarm: Lenient[str] = ""
    placebo: Lenient[PlaceboRecord | None] = None
    certificate: Certificate
    decoding: Lenient[DecodingRecord | None] = None
    versions: Lenient[dict[str, Scalar]] = {}

    @property
    def accepted(self) -> bool:
        """Whether the challenger became the champion."""
        return self.decision.accepted

    @property
    def gain(self) -> float:
        """The challenger's gain in accuracy on the held-out problems judged."""
        return self.scorecard.challenger.accuracy - self.scorecard.champion.accuracy

    def counts_of(self, stage: str) -> Counts:
        """What the stage counted in all steps of the round together; nothing if it isn't in the record."""
        return summed(self.counts_by_step(stage))

    def counts_by_step(self, stage: str) -> list[Counts]:
        """What the stage counted in each step of the round; empty if it isn't in the record."""
        return [found.counts for found in self.stages if found.stage == stage]


class BoundRecord(Record):
    """`recipe.json`: what the run is bound to. `recipe` is read by `recipe.reading.parse_stored`."""

    format: int = 1
    fingerprint: Lenient[str] = ""
    model: str
    problems: str
    checker: str = ""
    """SHA-256 of the file of the recipe's own checker; left out where the recipe names none."""
    faulty: dict[str, str] | None = None
    """Problems set aside at the first start, by key (GUARD/key: of a guard), and why; None in runs of earlier versions
    of the program, which decide on them at each start."""
    recipe: dict[str, Any]
