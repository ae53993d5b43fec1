r"""When two questions count as the same: the normal form of a question, and n-gram overlap.

The normal form drops what carries no meaning in a question (case, sentence punctuation, quotes, dollar signs, spacing)
and writes a number in one way (1,000 = 1000 = 1000.0). It keeps every sign that can be mathematics: operators,
brackets, a point between digits, a factorial, a prime, a blank such as the `?` in `2, ?, 6`. Where the two aims
conflict it errs towards “different”, because a false “same” silently loses a problem; 8-gram overlap (which papers on
language models report as contamination) shows what the strict comparison misses. No pattern nests repetitions, so
hostile text costs linear time.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator

_SIGNS = str.maketrans({"’": "'", "‘": "'", "“": " ", "”": " ", '"': " ", "−": "-", "–": "-", "—": " ", "$": " "})
_THOUSANDS = re.compile(r",(?<=\d,)(?=\d{3}(?!\d))")
_BARE_POINT = re.compile(r"\.(?<![\w.]\.)(?=\d)")
_FRACTION = re.compile(r"\.(?<=\d\.)(\d+)")
_APOSTROPHE = re.compile(r"'(?<=[^\W\d_]')(?=[^\W\d_])")
_PUNCTUATION = re.compile(
    r"""(?=[,;.?:!'-])(?:                         # spares the other characters the list below
        [,;]                                      # between clauses and items
      | (?<!\d)\. | \.(?!\d)                      # a full stop, not a decimal point
      | (?<=\S)\?(?!\S)                           # a question mark, not a blank to fill in
      | :(?!\S)                                   # a colon, not a ratio
      | (?<=[^\W\d_]{2})!                         # an exclamation, not a factorial
      | (?<!\S)' | '(?!\S)                        # single quotes, not a prime
      | (?<=[^\W\d_]{2})-(?=[^\W\d_]{2})          # a hyphen, not a minus
    )""",
    re.VERBOSE,
)
_TOKEN = re.compile(r"\\[^\W\d_]+|[^\W\d_]+|\d+(?:\.\d+)?|\S")


@functools.lru_cache(maxsize=1 << 16)
def normal_form(question: str) -> str:
    """The tokens of a question in normal form, joined by single spaces; never empty for a question that isn't blank."""
    text = unicodedata.normalize("NFC", question).casefold().replace("\\$", " ").translate(_SIGNS)
    text = _BARE_POINT.sub("0.", _THOUSANDS.sub("", text))
    text = _PUNCTUATION.sub(" ", _APOSTROPHE.sub("", _FRACTION.sub(_shortest, text)))
    return " ".join(_TOKEN.findall(text)) or " ".join(question.casefold().split())


def shared_ngrams(judged: Iterable[str], training: Iterable[str], length: int = 8) -> float:
    """The share of `judged` that have an n-gram of `length` words in common with any of `training`, all normal forms.

    Numbers are words, signs are not. A question of fewer words shares none.
    """
    owners: dict[tuple[str, ...], set[int]] = {}
    asked = 0
    for number, form in enumerate(judged):
        asked += 1
        for gram in _ngrams(form, length):
            owners.setdefault(gram, set()).add(number)
    shared: set[int] = set()
    for form in training:
        if owners and not owners.keys().isdisjoint(_ngrams(form, length)):
            for gram in _ngrams(form, length):
                shared |= owners.pop(gram, set())
    return len(shared) / asked if asked else 0.0


def leaked(training: Iterable[str], judged: Iterable[str], length: int, share: float) -> list[int]:
    """The places of the training questions of which at least `share` of the n-grams stand in one of the judged.

    All are normal forms. A question of fewer words than `length` is never one.
    """
    return [place for place, _ in _leaks(training, judged, length, share)]


def resembled(training: Iterable[str], judged: Iterable[str], length: int, share: float) -> set[int]:
    """The places of the judged questions in which so many n-grams of a training question stand, as for `leaked`."""
    return {owner for _, owners in _leaks(training, judged, length, share) for owner in owners}


def _leaks(
    training: Iterable[str], judged: Iterable[str], length: int, share: float
) -> Iterator[tuple[int, list[int]]]:
    """The place of each training question that leaks, with the places of the judged questions that it is too like."""
    owners: dict[tuple[str, ...], set[int]] = {}
    for number, form in enumerate(judged):
        for gram in _ngrams(form, length):
            owners.setdefault(gram, set()).add(number)
    for place, form in enumerate(training):
        if owners.keys().isdisjoint(_ngrams(form, length)):
            continue
        grams = set(_ngrams(form, length))
        shared: dict[int, int] = {}
        for gram in grams:
            for owner in owners.get(gram, ()):
                shared[owner] = shared.get(owner, 0) + 1
        if near := [owner for owner, count in shared.items() if count >= share * len(grams)]:
            yield place, near


def _ngrams(form: str, length: int) -> Iterator[tuple[str, ...]]:
    words = [token for token in form.split() if token[0].isalnum() or token[0] == "\\"]
    return zip(*(words[start:] for start in range(length)), strict=False)


def _shortest(fraction: re.Match[str]) -> str:
    digits = fraction[1].rstrip("0")
    return f".{digits}" if digits else ""
