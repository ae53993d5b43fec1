"""Which questions share runs of words: the n-gram overlap that papers on language models report as contamination.

Words are those of the normal form of a question (`wording.py`); numbers are words, signs are not. A question of fewer
words than an n-gram has none.

A few thousand judged questions are compared with perhaps a million training questions, of which hardly any shares
something. So a training question is not cut into n-grams before a filter has let it through: in columns, each word
becomes its number among the words of the judged questions and each n-gram a hash of eight bytes, which is looked for
among those of the judged. What passes is compared word by word, so a collision costs time and changes no result. On
questions of 60 words the filter takes a third of the time of comparing them all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]

Gram = tuple[str, ...]
STEP = 8192
"""Questions that are filtered at once."""
_FACTOR = 0x9E3779B97F4A7C15
"""Of the hash, which is a polynomial in the numbers of the words, modulo 2^64."""


def shared_ngrams(judged: Iterable[str], training: Iterable[str], length: int = 8) -> float:
    """The share of `judged` that have an n-gram in common with any of `training`; all are normal forms."""
    forms = list(judged)
    index = _Index(forms, length)
    shared: set[int] = set()
    for _, form in index.likely(training):
        for gram in _ngrams(form, length):
            shared |= index.removed(gram)
    return len(shared) / len(forms) if forms else 0.0


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
    index = _Index(judged, length)
    for place, form in index.likely(training):
        grams = set(_ngrams(form, length))
        shared: dict[int, int] = {}
        for gram in grams:
            for owner in index.owners.get(gram, ()):
                shared[owner] = shared.get(owner, 0) + 1
        if near := [owner for owner, count in shared.items() if count >= share * len(grams)]:
            yield place, near


class _Index:
    """The n-grams of the judged questions; `owners` has the places of those in which each stands."""

    def __init__(self, judged: Iterable[str], length: int) -> None:
        self._length = length
        self.owners: dict[Gram, set[int]] = {}
        for place, form in enumerate(judged):
            for gram in _ngrams(form, length):
                self.owners.setdefault(gram, set()).add(place)
        words = dict.fromkeys(word for gram in self.owners for word in gram)
        self._numbers = {word: number for number, word in enumerate(words, 1)}
        self._hashes = {gram: self._hash(gram) for gram in self.owners}

    def removed(self, gram: Gram) -> set[int]:
        """Who had this n-gram, which from now on nobody has."""
        self._hashes.pop(gram, None)
        return self.owners.pop(gram, set())

    def likely(self, training: Iterable[str]) -> Iterator[tuple[int, str]]:
        """Places and forms of all training questions that have an n-gram of the index, and of few others."""
        forms, first = iter(training), 0
        while self._hashes and (some := list(itertools.islice(forms, STEP))):
            yield from ((first + place, some[place]) for place in self._passing(some))
            first += len(some)

    def _hash(self, gram: Gram) -> int:
        found = 0
        for word in gram:
            found = (found * _FACTOR + self._numbers[word]) % 2**64
        return found

    def _passing(self, forms: list[str]) -> list[int]:
        """The places of the questions with an n-gram whose hash is one of the index."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        row, number = self._words(forms)
        count = len(number) - self._length + 1
        if count <= 0:
            return []
        strange = np.concatenate(([0], np.cumsum(number == 0)))
        whole = (strange[self._length :] == strange[:count]) & (row[:count] == row[self._length - 1 :])
        places = np.flatnonzero(whole)
        hashes = np.zeros(count, dtype=np.uint64)
        for start in range(self._length):
            hashes *= np.uint64(_FACTOR)
            hashes += number[start : start + count]
        known = np.fromiter(self._hashes.values(), dtype=np.uint64, count=len(self._hashes))
        found = np.asarray(pc.is_in(pa.array(hashes[places]), pa.array(known)))
        return sorted(set(row[places[found]].tolist()))

    def _words(self, forms: list[str]) -> tuple[Numbers, Numbers]:
        """Of each word of these questions the place of its question, and its number: 0 where the index lacks it."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        split = pc.split_pattern(pa.array(forms, pa.large_string()), " ")
        tokens = split.flatten().dictionary_encode()
        sign = len(self._numbers) + 1
        numbers = [self._numbers.get(token, 0) if _is_word(token) else sign for token in tokens.dictionary.to_pylist()]
        number = np.array(numbers, dtype=np.uint64)[np.asarray(tokens.indices)]
        row = np.repeat(np.arange(len(forms)), np.diff(np.asarray(split.offsets)))
        words = number != sign
        return row[words], number[words]


def _ngrams(form: str, length: int) -> Iterator[Gram]:
    words = [token for token in form.split(" ") if _is_word(token)]
    return zip(*(words[start:] for start in range(length)), strict=False)


def _is_word(token: str) -> bool:
    return token[:1].isalnum() or token[:1] == "\\"
