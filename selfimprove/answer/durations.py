"""Durations in a sentence, such as `2 h 30 min`, in full words."""

from __future__ import annotations

import re

_HOURS, _MINUTES, _SECONDS = r"(?:h|hrs?|hours?)", r"(?:min|mins|minutes?)", r"(?:s|secs?|seconds?)"
_AND = r"\s?,?\s?(?:and\s)?"
_DURATION = re.compile(
    rf"(?<![\w.,/^])(?:(?P<h>\d{{1,6}})\s?{_HOURS}{_AND}(?P<m>\d{{1,3}})\s?(?:{_MINUTES}|"
    rf"m)(?![A-Za-z])(?:{_AND}(?P<s>\d{{1,3}})\s?{_SECONDS}\b)?|"
    rf"(?P<minutes>\d{{1,6}})\s?{_MINUTES}{_AND}(?P<seconds>\d{{1,3}})\s?{_SECONDS}\b)"
)


def duration_at(prose: str, start: int, end: int) -> str | None:
    """The duration that the number at this place is a part of, in full words; None without one."""
    for match in _DURATION.finditer(prose, max(0, start - _NEAR), end + _NEAR):
        if match.start() <= start < match.end():
            parts = match.groupdict()
            named = [
                (parts["h"], "hours"),
                (parts["m"] or parts["minutes"], "minutes"),
                (parts["s"] or parts["seconds"], "seconds"),
            ]
            return " ".join(f"{number} {unit}" for number, unit in named if number)
    return None


_NEAR = 30  # characters around a number in which the rest of a duration stands
