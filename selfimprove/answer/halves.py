"""Halves and quarters in words behind a verb: "two and a half cups", "an hour and a half", "half a pizza".

Only a sentence without digits is searched: there, the words are all that it can state.
"""

from __future__ import annotations

import re
from fractions import Fraction

from selfimprove.answer.words import COUNTS, canonical_unit

_WORDS = "|".join(sorted((*COUNTS, "an", "a"), key=len, reverse=True))
_VERB = (
    r"\b(?:takes?|took|needs?|gets?|got|has|have|had|is|are|was|were|eats?|ate|uses?|used|lasts?|lasted|drinks?|drank|"
    r"receives?|runs?|ran|walks?|walked|buys?|bought|makes?|made)\s(?:(?:her|him|them|it|exactly|only|just)\s){0,2}"
)
_PART = r"(half|third|quarter)"
_MIXED = re.compile(rf"{_VERB}(?P<whole>{_WORDS})\sand\s(?:a|one)[\s-]{_PART}\s(?P<noun>[a-z]+)", re.IGNORECASE)
_AFTER = re.compile(rf"{_VERB}(?P<whole>{_WORDS})\s(?P<noun>[a-z]+)\sand\s(?:a|one)[\s-]{_PART}\b", re.IGNORECASE)
_OF_ONE = re.compile(
    rf"{_VERB}(?:(?:a|one)\s)?{_PART}\s(?:of\s)?(?:an?|one)\s(?P<noun>(?!dozen|hundred|thousand|million|day's)[a-z]+)",
    re.IGNORECASE,
)
_ENDS = re.compile(r"(?:\sof\s(?!(?:the|them|these|those|all)\b)[a-z ]{1,30})?[\s.!*]*\Z")
_OPEN = re.compile(
    r"\d|\b(?:if|about|almost|nearly|than|not|or|maybe|perhaps|could|might|let|suppose|would|only if)\b|n't\b|\?",
    re.IGNORECASE,
)
_VALUES = {"half": Fraction(1, 2), "third": Fraction(1, 3), "quarter": Fraction(1, 4)}


def half_in_words(sentence: str) -> str | None:
    """The number of halves, thirds or quarters that a sentence ends on in words, with its unit; None without one."""
    if _OPEN.search(sentence):
        return None
    for pattern in (_MIXED, _AFTER, _OF_ONE):
        found = pattern.search(sentence)
        if found is not None and _ENDS.match(sentence, found.end()):
            part = next(group.lower() for group in found.groups() if group and group.lower() in _VALUES)
            whole = found["whole"].lower() if pattern is not _OF_ONE else "zero"
            value = Fraction(1 if whole in ("a", "an") else COUNTS[whole]) + _VALUES[part]
            known = canonical_unit(found["noun"].lower()).words
            return f"{value} {' '.join(known) if len(known) == 1 else found['noun']}"
    return None
