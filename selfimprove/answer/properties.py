"""Words that decide an answer: the property of a number, and the direction of a change or a place.

"odd $n$", "$n$ is odd" and "all odd integers n" are one answer; "20% increase" and "20% decrease" are two.
"""

from __future__ import annotations

import re

_NAMED = r"(odd|even|prime|composite|positive|negative|nonnegative|square-free)"
_KIND = r"(?:\s(?:positive\s)?(?:integers?|numbers?|natural numbers?|values?(?: of)?))?"
_BEFORE = re.compile(rf"(?:all |every |any |for all |when )?{_NAMED}({_KIND})(?:\s([a-z]))?", re.IGNORECASE)
_BEHIND = re.compile(rf"(?:all |if |when )?([a-z]) (?:is |are )?(?:an? )?{_NAMED}({_KIND})", re.IGNORECASE)


def same_property(one: str, two: str) -> bool:
    """Whether two texts name the same property, of the same letter if both name one."""
    first, second = _property(one), _property(two)
    if first is None or second is None:
        return False
    return first[:2] == second[:2] and (not first[2] or not second[2] or first[2] == second[2])


def _property(text: str) -> tuple[str, bool, str] | None:
    """The property, whether it is said of positive numbers only, and the letter, if there is one."""
    text = " ".join(text.split())
    if (found := _BEHIND.fullmatch(text)) is not None:
        letter, named, kind = found.groups()
    elif (found := _BEFORE.fullmatch(text)) is not None:
        named, kind, letter = found.groups()
    else:
        return None
    return named.lower(), "positive" in (kind or ""), letter or ""


_DIRECTIONS = (
    ("increase", "decrease"), ("profit", "loss"), ("gain", "loss"), ("above", "below"), ("north", "south"),
    ("east", "west"), ("clockwise", "counterclockwise"), ("left", "right"), ("up", "down"), ("faster", "slower"),
    ("older", "younger"), ("more", "less"), ("more", "fewer"), ("ahead", "behind"), ("higher", "lower"),
    ("win", "loss"), ("before", "after"), ("deposit", "withdrawal"), ("expansion", "contraction"),
)  # fmt: skip
_WORDS = re.compile(r"[a-z]+", re.IGNORECASE)
_TURNED = frozenset(("no", "not", "never", "or", "at"))
"""Words beside which a direction may mean its opposite, or a bound: "no more than 5" is "5 or less"."""
_SHORT = 60


def opposed(one: str, two: str) -> bool:
    """Whether two short answers name opposite directions: "20% increase" and "20% decrease"."""
    if len(one) > _SHORT or len(two) > _SHORT:
        return False
    first, second = ({word.lower() for word in _WORDS.findall(text)} for text in (one, two))
    if not _TURNED.isdisjoint(first | second):
        return False
    named = ((first & pair, second & pair) for pair in map(set, _DIRECTIONS))
    return any(len(ours) == len(theirs) == 1 and ours != theirs for ours, theirs in named)
