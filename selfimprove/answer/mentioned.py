"""The one choice that the last sentence of an answer mentions: "The kidneys filter waste from the blood".

A sentence that asserts something and has the words of one choice, and of no other, states that choice. Endings of words
don't count, so that "filter" is "Filtering".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from selfimprove.answer.options import DESCRIBES, UNSURE, words_of
from selfimprove.answer.sentences import SENTENCE
from selfimprove.answer.unfinished import denies, promises, straight

_MOST_WORDS = 25  # of a sentence


def mentioned(text: str, options: Mapping[str, str]) -> str | None:
    """The letter of the one choice that the last sentence mentions; None without one, or if it asserts nothing."""
    sentences = [part for part in SENTENCE.split(text[-2_000:]) if part.strip()]
    if not sentences:
        return None
    sentence = straight(sentences[-1].strip())
    if sentence.endswith("?") or UNSURE.search(sentence) or promises(sentence) or denies(sentence):
        return None
    words = _stems(sentence)
    if len(words) > _MOST_WORDS or DESCRIBES.match(sentence) or _BESIDE.search(sentence):
        return None
    held = [letter for letter, option in options.items() if _holds(words, _stems(option))]
    return held[0] if len(held) == 1 else None


def _holds(words: list[str], option: list[str]) -> bool:
    size = len(option)
    return bool(option) and any(words[at : at + size] == option for at in range(len(words) - size + 1))


def _stems(text: str) -> list[str]:
    """The words of a text without their endings."""
    return [_ENDING.sub("", word) if len(word) > _SHORT_WORD else word for word in words_of(text)]


_SHORT_WORD = 3  # letters of a word that keeps its ending
_ENDING = re.compile(r"(?:'s|ing|ed|es|s|e)\Z")
_BESIDE = re.compile(
    r"\b(?:unlike|instead|rather|compare[ds]?|consider|next|other|also|option|choice|whereas|while|although)\b",
    re.IGNORECASE,
)
"""What makes it likely that a sentence mentions a choice beside the answer."""
