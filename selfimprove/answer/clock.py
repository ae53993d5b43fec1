"""Times of day: `2:30 PM` is `14:30`; without AM and PM on either side a colon is left to the grammar."""

from __future__ import annotations

import re

_TIME = re.compile(r"(\d{1,2}):([0-5]\d)\s?(?:([ap])\.?\s?m\.?)?", re.IGNORECASE)


def same_time(one: str, two: str) -> bool | None:
    """Whether two times of day are the same; None if they are none, or neither says AM or PM."""
    if ":" not in one or ":" not in two:
        return None
    times = [_TIME.fullmatch(re.sub(r"\\(?:text|mathrm)\s?\{|[{}~\\]", "", text).strip()) for text in (one, two)]
    first, second = times
    if first is None or second is None or not (first[3] or second[3]):
        return None
    (hour, half), (other, other_half) = _hour(first), _hour(second)
    if half and other_half:
        return hour == other and first[2] == second[2]
    return hour % 12 == other % 12 and first[2] == second[2]


def _hour(match: re.Match[str]) -> tuple[int, bool]:
    """The hour of the day, and whether it says which half of the day."""
    hour, half = int(match[1]), (match[3] or "").lower()
    return (hour % 12 + 12 * (half == "p"), True) if half else (hour, hour > 12 or hour == 0)
