"""Texts that are nothing but an answer: a value, a name, a few words; and a plain sentence around one number."""

from __future__ import annotations

import re

from selfimprove.answer.tongues import AROUND
from selfimprove.answer.unfinished import denies, promises, straight
from selfimprove.answer.values import only_number


def is_whole(text: str) -> bool:
    """Whether the text is nothing but an answer: one line without a sentence in it."""
    if not text or "\n" in text or len(text) > 200 or " is " in text or text.endswith(("?", ":", "…")):
        return False
    if text.endswith("...") and not text.endswith((", ...", ",...")):
        return False
    if AROUND.search(text) or "→" in text:
        return False
    if re.search(
        r"\\boxed|^\W*(?:try|let|(?:no|yes)(?=\W+\w))\b|\b(?:so|it|we|he)\b|\\[a-z]*frac\s*\{[^{}]*\}?\s*\{?[^{}]*$",
        text,
        re.IGNORECASE,
    ):
        return False
    if _TITLE.fullmatch(text) or (_FEW_WORDS.fullmatch(text) and not _SAYS_MORE.search(text)):
        return True
    return (
        not re.search(r"(?<!\\)\b[A-Za-zÀ-ɏ\u0400-\u0fff]{3,}\b", re.sub(r"\\[A-Za-z]+(?:\{[A-Za-z ]*\})?", " ", text))
        or len(text.split()) == 1
    )


_FEW_WORDS = re.compile(r"(?:an? )?[a-z]{3,}(?:[ -][a-z]{2,}){0,3}\.?", re.IGNORECASE)
_SAYS_MORE = re.compile(
    r"\b(?:not?|never|none|nothing|neither|nor|or|if|maybe|perhaps|let|try|see|so|it|we|he|she|they|i|you|is|are|was|were|be|"
    r"has|have|had|can|could|will|would|should|may|might|must|do|does|did|know|idea|answer|solution|step|sorry|please|"
    r"good|great|then|thus|therefore|next|first|finally|wait|that|this|what|how|why|which|the|and|to|for|unknown|unclear)\b",
    re.IGNORECASE,
)
"""Words that a text of few words has if it is more, or less, than an answer."""
_TITLE = re.compile(
    r"(?:[Tt]he )?(?!(?:Step|Answer|Let|Part|Case|No|Yes|Note|First|Next|Solution|Final|"
    r"Question)\b)[A-Z][a-z]+(?:['-][A-Za-z]+)?"
    r"(?:(?: (?:of|the|and|in|de|la|von|van))* [A-Z][a-z]+){1,5}"
)
"""A name with capital letters that is all there is: "Treaty of Westphalia"."""


def value_in_sentence(text: str) -> str | None:
    """The one number of a plain sentence, as a box may hold one ("There are 12 apples left."); else None."""
    if len(text) > 300:
        return None
    plain = re.sub(r"\\(?:text(?:bf|it|rm)?|mathrm|mbox)\s?\{|\}|\\(?=[$%,;: ])", " ", text)
    number = only_number(plain)
    if (
        number is None
        or "\\" in plain
        or _OPERATED.search(straight(plain))
        or not re.search(r"[A-Za-z]{3,}\W+[A-Za-z$\d]", plain)
    ):
        return None
    return None if promises(plain) or denies(plain) else number


_OPERATED = re.compile(
    r"[+*/^=<>?_|]|\b(?:not|n't|no|never|or|nor|neither|between|more|less|fewer|greater|least|most|than|about|around|"
    r"approximately|roughly|nearly|almost|maybe|perhaps|possibly|if|unless|half|third|quarter|twice|thrice|double|"
    r"triple|"
    r"times|root|squared|cubed|square of|cube of|plus|minus|divided|mod|log|sin|cos|tan|multiples?|factor|powers?|"
    r"wrong|every|each|all|cannot|unable|unknown|determine|"
    r"up to|over \$?\d|under|above|below|except|instead|try|think|guess|wait|don't|can't|isn't|doesn't|negative|"
    r"percent of|"
    r"(?:anything|any \w+|all|everything) (?:but|except)|other than|"
    r"[a-z] (?:is|are) (?:not|never))\b|n't\b",
    re.IGNORECASE,
)


def is_list(answer: str) -> bool:
    """Whether what follows a marker is a list of words: "satire, horror, 2"."""
    parts = answer.split(",")
    return len(parts) > 2 and all(_ITEM.fullmatch(part) for part in parts) and not _NO_ITEM.search(answer)


_ITEM = re.compile(r"\s*(?:and\s+)?[\w'-]+(?:\s[\w'-]+)?\s*")
_NO_ITEM = re.compile(r"\b(?:so|then|thus|hence|not|which|i|we|it|is|are|or)\b|\d[^,]*\s[A-Za-z]", re.IGNORECASE)


_TOLD = re.compile(
    r"(?:[A-Z][a-z]+|he|she|they)\s[a-z]+(?:ed|[^s]s|ent|ought|old|ade|ays|ot)\s[\\$€£]{0,2}\d"
)  # "Weng earned $10"


def is_short(answer: str) -> bool:
    """Whether what follows a marker is an answer by itself and not a sentence around one."""
    words = re.findall(r"(?<!\\)\b[^\W\d_]{2,}\b", re.sub(r"\\[A-Za-z]+(?:\{[A-Za-z ]*\})?", " ", answer))
    if len(words) == 2 and _TOLD.match(answer):
        return False
    return len(words) <= 2 or (len(words) <= 4 and not re.search(r"[\d$\\]", answer))
