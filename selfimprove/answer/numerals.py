"""Numbers in words: "thirty-six eggs" as an answer, and "there are seven birds left" as what a sentence states.

Number words mostly describe ("the two friends", "two ways to check this"), so in a sentence only one counts that is
said of the subject: behind a verb such as "are" or "needs", and before any numeral that is not in a phrase behind it.
"""

from __future__ import annotations

# ruff: noqa: SIM905 - a list of words reads best as text
import re
from fractions import Fraction

from selfimprove.answer.words import COUNTS, MAGNITUDES, NEVER_UNITS, spoken_number

_WORD = "|".join(sorted((*COUNTS, "hundred", "thousand", "million", "billion"), key=len, reverse=True))
_SAID = re.compile(
    r"\b(?:is|are|was|were|has|have|had|needs?|makes?|gets?|got|gives?|leaves?|equals?|takes?|costs?|earns?|spends?|"
    r"buys?|bought|sells?|sold|eats?|ate|reads?|pays?|paid|will be|total of|left with)\s+"
    r"(?:(?:now|then|still|only|just|exactly|altogether|also|a total of|equal to|about)\s+){0,2}"
    rf"((?:{_WORD})(?:[\s-](?:and\s)?(?:{_WORD}))*)\b(?![\s-](?:or|of|less|fewer|times|and)\b|-|\smore\b[^.]{{0,80}}\bthan\b)",
    re.IGNORECASE,
)
_NOT_COUNTED = re.compile(
    r"\s+(?:\w+\s+)?(?:ways?\s+(?:to|of)\s+(?:check|solve|see|verify|find|do|approach|think|look)|cases?|steps?|methods?|parts?|"
    r"equations?|unknowns?|variables?|approaches|conditions?|kinds?|types?|things?|numbers?|quantities)\b",
    re.IGNORECASE,
)
_FRACTIONS = frozenset(
    (
        "fourth fourths quarter quarters fifth fifths sixth sixths seventh sevenths eighth eighths ninth ninths tenth "
        "tenths twelfth twelfths hundredth hundredths thousandth thousandths"
    ).split()
)
_MOST_WORDS = 3  # of a unit


_SUBJECT = re.compile(
    rf"\W*(?:(?:so|therefore|thus|hence|in total|altogether)\b,?\s*(?:exactly|only|just)?|(?:exactly|only|just))\s*"
    rf"\b({_WORD})\s+(?:of\s+(?:the|them|these|those)\b(?!\s+(?:first|last))[^.,:;\d]{{0,60}}?|(?!of\b|times\b|more\b|less\b)[a-z]+"
    r"(?:\s[a-z]+){0,3}?)\s*\b(?:are|is|were|can be|have|has|satisfy|satisfies|remain|remains|hold|holds|work|works)\b"
    r"(?!\s+(?:left\s+|remaining\s+|still\s+)?to\b)",
    re.IGNORECASE,
)


_ONLY_ONE = re.compile(r"\b(?:only|just|exactly)\s+one\s+of\b", re.IGNORECASE)
_NO_SUBJECT = re.compile(
    r"\s+(?:\w+\s+)?(?:ways?|cases?|steps?|methods?|parts?|equations?|unknowns?|variables?|approaches|conditions?|things?)\b",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r",\s+(?:so|thus|therefore|hence|which|leaving)\b[^.]*\d", re.IGNORECASE)


def stated_numeral(prose: str) -> tuple[int, int, str] | None:
    """Where the last number in words that a sentence states stands, and its value in digits; None without one."""
    found = None
    subject = None if "=" in prose or _GOES_ON.search(prose) else _SUBJECT.match(prose)
    value = None if subject is None else spoken_number(subject[1])
    counted = value != 1 or (subject is not None and _ONLY_ONE.search(subject[0]) is not None)
    if subject is not None and value is not None and counted and not _NO_SUBJECT.match(prose, subject.end(1)):
        return subject.start(1), subject.end(1), str(value)
    for match in _SAID.finditer(prose):
        value = spoken_number(match[1])
        if value is None or match[1].lower() == "one" or _NOT_COUNTED.match(prose, match.end()):
            continue
        rest = re.match(r"(?:\smore)?\s(\w+)", prose[match.end() :])
        if rest is None or not (rest[1].lower() in _FRACTIONS or rest[1].lower() in NEVER_UNITS):
            found = match.start(1), match.end(1), str(value)
    return found


def signed_number(text: str) -> str | None:
    """The digits of a number in several words, or behind "minus" or "negative"; None for anything else."""
    sign, _, rest = text.lower().partition(" ")
    negative = sign in ("minus", "negative")
    spoken = rest if negative else text
    if negative and re.fullmatch(r"\d[\d.,/]*", spoken):
        return f"-{spoken}"
    if not negative and " " not in spoken:
        return None
    value = spoken_number(spoken) if re.fullmatch(r"[A-Za-z -]+", spoken) else None
    return None if value is None else f"{'-' if negative else ''}{value}"


def spoken_quantity(text: str) -> tuple[Fraction, str] | None:
    """The number and the unit of "thirty-six eggs"; None for anything but a number in words and up to three more.

    "one direction" is None: in a text answer "one" is mostly no number.
    """
    words = text.replace("-", " ").split()
    at = next((at for at, word in enumerate(words) if word not in _NUMERALS), len(words))
    unit = words[at:]
    if not 0 < at < len(words) or len(unit) > _MOST_WORDS or not all(_UNIT.fullmatch(word) for word in unit):
        return None
    if any(word in NEVER_UNITS or word in _FRACTIONS or word in _NUMERALS for word in unit):
        return None
    value = spoken_number(" ".join(words[:at]))
    return None if value is None or value == 1 else (value, " ".join(unit))


_UNIT = re.compile(r"[a-z]+")
_NUMERALS = frozenset((*COUNTS, *MAGNITUDES)) - {"dozen"}
