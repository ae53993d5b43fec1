"""A choice of the question that an answer puts into the question's own words: "The kidneys filter waste".

Such a sentence has nothing but words of the question and of one choice, in whatever form: endings are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from selfimprove.answer.options import DESCRIBES, UNSURE, words_of
from selfimprove.answer.sentences import SENTENCE
from selfimprove.answer.unfinished import denies, promises, straight


def restated(text: str, options: Mapping[str, str], about: frozenset[str]) -> str | None:
    """The letter of the one choice that the last sentence puts into the question's own words; None without one.

    `about`: the stems of the question's words. "The kidneys filter waste" restates "What do the kidneys do?" with the
    choice "filter waste": it has nothing but the words of both.
    """
    sentences = [part for part in SENTENCE.split(text[-2_000:]) if part.strip()]
    if not sentences:
        return None
    sentence = straight(sentences[-1].strip())
    if sentence.endswith("?") or UNSURE.search(sentence) or promises(sentence) or denies(sentence):
        return None
    if DESCRIBES.match(sentence):
        return None
    words = [_stem(word) for word in words_of(sentence)]
    held = []
    for letter, option in options.items():
        at = _place(words, [_stem(word) for word in words_of(option)])
        if at is not None:
            held.append((letter, [*words[: at.start], *words[at.stop :]]))
    if len(held) != 1 or not held[0][1]:
        return None
    letter, rest = held[0]
    return letter if all(word in about or word in _SMALL_WORDS for word in rest) and set(rest) - _SMALL_WORDS else None


def _place(words: list[str], option: list[str]) -> slice | None:
    size = len(option)
    places = [at for at in range(len(words) - size + 1) if words[at : at + size] == option] if option else []
    return slice(places[0], places[0] + size) if len(places) == 1 else None


def stems(text: str) -> frozenset[str]:
    """The words of a text without their endings."""
    return frozenset(_stem(word) for word in words_of(text))


def _stem(word: str) -> str:
    word = word.removesuffix("'s")
    return _ENDING.sub("", word) if len(word) > _SHORT_WORD else word


_SHORT_WORD = 3  # letters of a word that keeps its ending
_ENDING = re.compile(r"(?:ing|ed|es|s|e)\Z")
_SMALL_WORDS = stems("is are was it of to in by for that this one list would be so thus correct right")
