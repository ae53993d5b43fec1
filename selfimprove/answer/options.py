"""The list of choices that a text repeats, "A) 60 B) 72 C) 90", and the letter of an answer that is one of their texts.

A list counts if it begins with A, leaves no letter out, and gives each letter a text of its own; a text with two lists
that differ has none, because its author could choose which letter the answer stands for. What the list itself ends on
is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

FEWEST = 3  # choices of a list
_LABEL = re.compile(r"(?:^|(?<=\s))[*_]{0,2}\(?([A-J])[).:][*_]{0,2}\s+(?=\S)", re.MULTILINE)
_LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True, slots=True)
class Options:
    """The text of each choice by its letter, and where the list ends."""

    texts: dict[str, str]
    end: int


def options_of(text: str) -> Options | None:
    """The choices that a text lists; None if it has no list of choices, or several that differ."""
    found = list(_lists(text))
    if not found or not _distinct(found[-1].texts) or any(other.texts != found[-1].texts for other in found):
        return None
    return found[-1]


def _lists(text: str) -> Iterator[Options]:
    """Each run of labels A, B, C, ... with what stands between them, or behind the last up to the end of its line."""
    labels = list(_LABEL.finditer(text))
    run: dict[str, str] = {}
    end = 0
    for at, label in enumerate(labels):
        if label[1] != _LETTERS[len(run) : len(run) + 1]:
            if len(run) >= FEWEST:
                yield Options(run, end)
            run = {}
        if label[1] == _LETTERS[len(run)]:
            behind = text[label.end() : labels[at + 1].start() if at + 1 < len(labels) else len(text)]
            line = behind.split("\n", 1)[0]
            run[label[1]], end = line.strip(" \t*_,;.|"), label.end() + len(line)
    if len(run) >= FEWEST:
        yield Options(run, end)


def _distinct(texts: dict[str, str]) -> bool:
    known = {text.casefold() for text in texts.values()}
    return len(known) == len(texts) and "" not in known
