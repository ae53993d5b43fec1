"""The records of the looks at the sealed problems, as values: `sealed.json`, and the lines of its figures.

They are held to their types as all records are (`store/records.py`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from selfimprove.store.records import Count, Interval, Lenient, MachineCost, Number, Record, RoundNumber, SplitRecord


class SealedFigures(Record):
    """Base against champion on the sealed problems: shares in [0, 1] with 95% intervals."""

    champion: Count
    n: Count
    base_accuracy: Number
    base_interval: Interval
    champion_accuracy: Number
    champion_interval: Interval
    gain: Number
    gain_interval: Interval
    split: Lenient[SplitRecord | None] = None
    sentence: Lenient[str] = ""


class SecondDecoding(Record):
    """The second decoding that the sealed problems are judged with."""

    temperature: Number
    samples: Count


class BesideFigures(SealedFigures, SecondDecoding):
    """The sealed figures with the second decoding, and pass@k over its samples."""

    base_pass_at_k: Number
    champion_pass_at_k: Number


class FileSeen(Record):
    """A file as far as it reached: its bytes and their SHA-256."""

    bytes: Count
    sha256: str


class LookNumber(Record):
    """Which look at the sealed problems this is, and after how many rounds."""

    look: RoundNumber
    rounds: Count


class LookSources(Record):
    """What a look sampled, and the verdicts it was made from."""

    beside: Lenient[BesideFigures | None] = None
    sampled_tokens: Lenient[Count | None] = None
    prompt_tokens: Lenient[Count | None] = None
    verdicts: Lenient[FileSeen | None] = None
    beside_verdicts: Lenient[FileSeen | None] = None
    setup: Lenient[str] = ""
    """Of the answers that the look counts (`Answered.setup`): later looks may have been made with another."""


class SealedLook(MachineCost, LookSources, SealedFigures, LookNumber):
    """One look at the sealed problems."""


class SealedRecord(Record):
    """`sealed.json`: every look, the last one at the end."""

    format: Lenient[int | None] = None
    looks: Annotated[tuple[SealedLook, ...], Field(strict=False)]
