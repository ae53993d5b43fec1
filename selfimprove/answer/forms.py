"""Texts that show by their form what they answer: brackets, a sorted list, lines of values or of choices."""

from __future__ import annotations

import re

from selfimprove.answer.hedges import UNDECIDED
from selfimprove.answer.numerals import signed_number
from selfimprove.answer.sentences import tidy
from selfimprove.answer.verdict import Candidate
from selfimprove.answer.wordings import in_parts, listed_values


def by_form(text: str) -> Candidate | None:
    """The answer of a text that shows by its form what it is: brackets, a sorted list, lines of values; else None."""
    if _BRACKETS.fullmatch(text):
        return Candidate(text, "whole")
    if (named := _SMALL_CHOICE.fullmatch(text)) is not None:
        return Candidate(f"({(named[1] or named[2]).upper()}) {named[3]}", "whole")
    if (ordered := _IN_ORDER.search(text)) is not None:
        return Candidate(ordered[1], "last")
    lines = [line.strip(" *$.") for line in text.split("\n") if line.strip()]
    if 1 < len(lines) <= _FEW and len(set(lines)) > 1 and all(_BARE_NUMBER.fullmatch(line) for line in lines):
        return Candidate(None, "extract", UNDECIDED)
    if 1 < len(lines) <= _FEW and all(_CHOICE_LINE.fullmatch(line) for line in lines):
        return Candidate(None, "extract", UNDECIDED)
    if len(text) < 60 and (number := signed_number(tidy(text))) is not None:
        return Candidate(number, "whole")
    if len(lines) > 1 and (parts := in_parts(text)) is not None:
        return Candidate(parts, "whole")
    values = listed_values(text) if len(lines) > 2 else None
    return None if values is None else Candidate(values, "last")


_SMALL_CHOICE = re.compile(r"(?:\(([a-j])\)|([a-j])[).])\s+([A-Za-z][A-Za-z' -]{2,60}|[$\\]?\d\S{0,20})\.?")
"""A choice with its text that is all there is: "b) mitochondrion", "b. 4"."""
_IN_ORDER = re.compile(
    r"(?:\A|\n|[.!?]\s)\W{0,4}(?:(?:so|thus|therefore|hence),?\s)?(?:sorted(?: alphabetically)?|"
    r"(?:in )?(?:alphabetical |sorted |"
    r"correct |ascending |descending )?order|alphabetically|"
    r"(?:the )?sorted (?:list|words|order)(?: is)?|"
    r"(?:the )?(?:words|list|items) (?:(?:sorted|arranged|ordered|listed) )?"
    r"(?:alphabetically|in (?:alphabetical|ascending|descending|sorted) order)(?: are| is)?|"
    r"from (?:the )?\w+ to (?:the )?\w+)"
    r"[*_]{0,2}:[*_]{0,2}\s+[*_]{0,2}([A-Za-z'-]+(?:,? [A-Za-z'-]+){2,30})[*_]{0,2}\.?\Z",
    re.IGNORECASE,
)  # "Sorted: apple, banana, cherry"
_BRACKETS = re.compile(r"[\[\](){}<> ]{1,80}")  # the answer of a task of Dyck words
_CHOICE_LINE = re.compile(
    r"\(?[A-J][).:]\s(?!(?:[Tt]rue|[Ff]alse|[Cc]orrect|[Ii]ncorrect|[Ww]rong|[Rr]ight|"
    r"[Yy]es|[Nn]o)\b)[A-Z\d$][^.;:\n]{0,60}"
)
"""A choice with its text: several of them and nothing else state none."""
SHORT = 200  # characters of a text that may be nothing but its answer
_FEW = 6  # lines of a text that is nothing but numbers
_BARE_NUMBER = re.compile(r"[-−]?[$€£]?\d[\d,./]*")
