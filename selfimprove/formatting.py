"""How figures are written for people, the same in the live view, in plain lines and in the report.

An accuracy is a percentage with one decimal, a gain is in percentage points with its sign, a figure that is missing
or not finite is a dash: records may lack a key, and a table must not fall over it.
"""

from __future__ import annotations

import math
from typing import Protocol

MISSING = "–"
SAME_MODEL = "Base and champion are the same model, so there is no gain to judge."


class GainParts(Protocol):
    """A gain by its causes, as shares of the problems (`gate/gains.py`)."""

    @property
    def became_readable(self) -> float:
        """From unreadable to right."""

    @property
    def became_right(self) -> float:
        """From wrong to right."""

    @property
    def became_unreadable(self) -> float:
        """From right to unreadable."""

    @property
    def became_wrong(self) -> float:
        """From right to wrong."""


def percent(share: float | None) -> str:
    """A share in [0, 1] as `30.2%`."""
    return MISSING if share is None or not math.isfinite(share) else f"{share * 100:.1f}%"


def points(gain: float | None) -> str:
    """A difference of two shares in percentage points, as `+5.7` or `−0.4`; a difference that rounds to none `0.0`."""
    if gain is None or not math.isfinite(gain):
        return MISSING
    rounded = round(gain * 100, 1)
    return f"{rounded:+.1f}".replace("-", "−") if rounded else "0.0"


def points_worth(gain: float) -> str:
    """A gain in points as a size, without a sign: `2 points`, `1 point`, `0.5 points`."""
    return f"{100 * gain:g} point" + ("" if round(100 * gain, 6) == 1 else "s")


def split_cells(split: GainParts | None) -> tuple[str, str, str, str]:
    """The four parts of a gain in points with their signs; they add up to the gain, but for rounding."""
    if split is None:
        return (MISSING,) * 4
    gained, lost = (split.became_readable, split.became_right), (split.became_unreadable, split.became_wrong)
    readable, right, unreadable, wrong = (*map(points, gained), *(points(-part) for part in lost))
    return readable, right, unreadable, wrong


def split_told(split: GainParts) -> str:
    """The four parts of a gain in words: `became readable +7.0, right +14.1, unreadable 0.0, wrong −5.5`."""
    return "became readable {}, right {}, unreadable {}, wrong {}".format(*split_cells(split))


def percent_range(interval: tuple[float | None, float | None]) -> str:
    """An interval of a share, as `25.1 to 36.0%`."""
    low, high = (percent(end).removesuffix("%") for end in interval)
    return f"{low} to {high}%"


def points_range(interval: tuple[float | None, float | None]) -> str:
    """An interval of a gain, as `+5.2 to +18.4`."""
    return f"{points(interval[0])} to {points(interval[1])}"


def count(number: float | None) -> str:
    """A whole number with separators, as `27,104`."""
    return MISSING if number is None or not math.isfinite(number) else f"{round(number):,}"


def decimal(number: float | None) -> str:
    """A number in three significant digits, without an exponent below a billion: `0.87`, `32.9`, `123,000`."""
    if number is None or not math.isfinite(number):
        return MISSING
    if abs(number) >= 1e9 or 0 < abs(number) < 1e-4:
        return f"{number:.1e}".replace("e+", "e")
    if abs(number) >= 1000:
        return f"{float(f'{number:.3g}'):,.0f}"
    return f"{number:.3g}"


def amount(number: int | float | None) -> str:
    """A whole number exactly, any other in three significant digits."""
    return count(number) if isinstance(number, int) else decimal(number)


def duration(seconds: float | None) -> str:
    """A time span by its size, as `0.4 s`, `12 s`, `4:05` (minutes) or `3:04:05` (hours)."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def byte_count(size: int) -> str:
    """A number of bytes, as `1.4 GB`; units are powers of 1,000."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def stage_rate(tokens: float | None, units: float | None, unit: str) -> str:
    """Rates per second, as `231 tokens/s, 2.1 rows/s`; slow units as `12 s per row`; empty before anything is known."""
    told = [] if tokens is None else [f"{decimal(tokens)} tokens/s"]
    if units is not None and units < 0.1:
        told.append(f"{duration(1 / units)} per {unit.removesuffix('s')}")
    elif units is not None:
        told.append(f"{decimal(units)} {unit}/s")
    return ", ".join(told)


def plural(number: int, noun: str) -> str:
    """`1 round`, `2 rounds`: the number and the noun, whose plural adds an s."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def rounds_named(numbers: tuple[int, ...]) -> str:
    """Round numbers in words: `none`, `round 1`, `rounds 1 and 3`, `rounds 1, 2 and 5`."""
    if not numbers:
        return "none"
    if len(numbers) == 1:
        return f"round {numbers[0]}"
    return f"rounds {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def model_named(number: int | None) -> str:
    """The champion in words: the base model, or the round it came from."""
    if number is None:
        return MISSING
    return "the base model" if number == 0 else f"the model of round {number}"


def verdict_on_gain(gain: float | None, interval: tuple[float | None, float | None], champion: int | None) -> str:
    """One plain sentence on a sealed gain and its 95% interval; `champion` is the round it came from, 0 the base."""
    low, high = interval
    if champion == 0:
        return SAME_MODEL
    if gain is None or low is None or high is None:
        return ""
    if gain == low == high == 0:
        return "Base model and champion don't differ."
    if low > 0:
        return "The champion is better than the base model."
    if high < 0:
        return "The champion is worse than the base model."
    return "The interval includes zero: the difference may be due to chance."
