"""Whether several texts name one answer: told by their form, without knowing what they mean.

`Laika` and `a dog named Laika`, `13` and `thirteen`, `USA` and `United States of America` are wordings of one answer;
`Jazmyn Bieber` and `Jaxon Bieber` need not be. Each has to be tied to the others: the words of one are among those of
the other, however they end, or its letters begin the other's words.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re
from collections.abc import Sequence

_LITTLE = frozenset("a an the of in on at to for by de la le el du da is it was about approximately".split())
_COUNTS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()
_NUMBERS = {word: str(number) for number, word in enumerate(_COUNTS)}
_WORD = re.compile(r"(?<!\w)-?\d+(?:[.,/:]\d+)*(?!\w)|\w+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_JOINS = re.compile(r"\b(?:and|or|not|but|except|than)\b|[;&]", re.IGNORECASE)
_ENDINGS = frozenset(["", *"s es y ies e ed d ing ly er ion ation al ational ical ic ity".split()])
_STEM = 5
"""Letters that forms of a word have in common, at least."""
MOST = 50
"""Texts that are compared, at most."""


def one_answer(texts: Sequence[str]) -> bool:
    """Whether the texts are tied to each other, directly or through others."""
    if not 1 < len(texts) <= MOST:
        return len(texts) == 1
    words = [_words(text) for text in texts]
    if not all(words):
        return False
    tied, waiting = {0}, [0]
    while waiting:
        at = waiting.pop()
        for place in range(len(texts)):
            if place not in tied and (_tied(words[at], words[place]) or _begins(texts[at], texts[place])):
                tied.add(place)
                waiting.append(place)
    return len(tied) == len(texts) and len({bool(_JOINS.search(text)) for text in texts}) == 1


def _words(text: str) -> frozenset[str]:
    found = [_NUMBERS.get(word, word) for word in _WORD.findall(_THOUSANDS.sub("", text.casefold()))]
    return frozenset(word for word in found if word not in _LITTLE) or frozenset(found)


def _tied(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether the words of one are all among those of the other, in some form."""
    fewer, more = (one, other) if len(one) <= len(other) else (other, one)
    return all(word in more or any(_alike(word, longer) for longer in more) for word in fewer)


def _alike(one: str, other: str) -> bool:
    """Whether the two are forms of a word."""
    pairs = zip(one, other, strict=False)
    same = next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
    return same >= _STEM and one[:same].isalpha() and {one[same:], other[same:]} <= _ENDINGS


def _begins(one: str, other: str) -> bool:
    """Whether one is made of the first letters of the other's words, all of them or those that aren't little."""
    short, long = (one, other) if len(one) < len(other) else (other, one)
    letters = "".join(char for char in short if char.isalpha()).casefold()
    words = [word for word in _WORD.findall(long.casefold()) if not word.isdigit()]
    starts = {"".join(word[0] for word in words), "".join(word[0] for word in words if word not in _LITTLE)}
    return len(letters) > 1 and " " not in short.strip() and letters in starts
