"""A second answer beside the first: "3 (or -3)", "3, although -3 also works", "3; another solution is -3".

A text that names two values and chooses neither states no one answer. The same value written again ("1/2 (or 0.5)"),
the same quantity in another unit ("3 weeks (or 21 days)") and a value that the text rejects are no second answer.
"""

from __future__ import annotations

import re
from fractions import Fraction

from selfimprove.answer.compare import compare
from selfimprove.answer.precision import within
from selfimprove.answer.reading import read
from selfimprove.answer.unfinished import straight
from selfimprove.answer.verdict import Outcome

_VALUE = (
    r"[$\\(*]{0,4}(?P<value>(?:[a-z]\s?=\s?)?[-−]?(?:\d[\d,]*(?:\.\d+)?(?:\s?/\s?\d+)?|"
    r"\\[dt]?frac\s?\{-?\d{1,9}\}\s?\{\d{1,9}\})|[A-J](?![a-z]))[$\\)*]{0,4}"
)
_IN_BRACKETS = re.compile(
    rf"[$\\)*\s]{{0,5}}\((?:or|or else|or maybe|or perhaps|or possibly|alternatively,?|possibly|maybe)\s{_VALUE}"
    r"(?P<words>(?:\s[a-z]+){0,3})(?:,?\s(?:if|depending|when)\b[^()]{0,80})?\)"
)
_GOOD = r"(?:possible|valid|acceptable|correct|right|fine|allowed|admissible|plausible)"
_ROLE = rf"(?:(?:a|an|the) )?(?:{_GOOD} )?(?:solution|answer|root|possibility|option|value)\b"
_MAY_BE = r"(?:is|are|was|would be|could be|may be|might be|can be|would|could|may|might|can)"
_ALSO = re.compile(
    rf"(?<![\w.,/^=+*-]){_VALUE},?\s(?:{_MAY_BE}\s(?:also|equally|just as|as well)(?:\s(?:be|work))?"
    rf"(?:\s(?:{_GOOD}\b|{_ROLE})|\s?(?=[.,;!)]|\Z))|"
    r"(?:also|equally|likewise) (?:works?|satisfies|fits|holds|solves|is (?:possible|valid|a solution|acceptable))\b|"
    rf"(?:works|is {_GOOD}|satisfies it|fits|is {_ROLE})\s?,?\s(?:too|as well|also)\b)",
)
_ANOTHER = re.compile(
    rf"\b(?i:another|a second|an alternative|an additional|the second|the other)\s(?:possible\s|valid\s|correct\s)?"
    rf"(?:solution|answer|root|possibility|option|value)\s(?:is|would be|could be|being|for \$?[a-z]\$? is)\s{_VALUE}"
    r"(?=[\s.,;!)]|\Z)"
)
_ONE_OF = re.compile(
    r"\bis (?:only |just |but )?one of (?:the|its|our) (?:(?:two|three|four|several|many|possible)\s){1,2}"
    r"(?:solutions|answers|roots|possibilities)\b"
)
_REJECTS = re.compile(
    r"\b(?:reject\w*|extraneous|invalid|discard\w*|ignor\w+|exclud\w+|not|no|but|however|impossible|outside|fails?|"
    r"ruled|only|different|instead)\b|n't\b",
    re.IGNORECASE,
)
_REACH = 240  # characters behind an answer
_SENTENCES = re.compile(r"(?<=[.!?])\s+|\n+")


def beside_another(after: str, answer: str) -> bool:
    """Whether the text behind an answer names a second one in brackets, in its sentence or in the next."""
    text = straight(after[:_REACH])
    bracketed = _IN_BRACKETS.match(text)
    if bracketed is not None and _differs(bracketed["value"], answer, bracketed["words"]):
        return True
    return any(names_another(sentence, answer) for sentence in [part for part in _SENTENCES.split(text) if part][:2])


def names_another(sentence: str, answer: str) -> bool:
    """Whether a sentence, or the rest of one, says of another value that it is an answer as well."""
    text = straight(sentence)
    if _ONE_OF.search(text) is not None:
        return True
    for pattern in (_ALSO, _ANOTHER):
        found = pattern.search(text)
        if found is not None and not _REJECTS.search(text, found.end()) and _differs(found["value"], answer, ""):
            return True
    return False


def says_also(sentence: str) -> bool:
    """Whether a sentence says of a value that it is an answer too: "However, 5 would also be acceptable"."""
    text = straight(sentence)
    found = _ALSO.search(text)
    return found is not None and not _REJECTS.search(text, found.end())


def _differs(other: str, answer: str, words: str) -> bool:
    """Whether another value is not the answer's, written again or rounded; `words`: what stands behind it."""
    own = answer.strip("$*() .")
    if other[0] in "ABCDEFGHIJ" or own[:1] in tuple("ABCDEFGHIJ"):
        return len(own) == 1 and len(other) == 1 and own != other
    stated = _UNIT.search(own)
    unit = "" if stated is None else stated[0].strip()
    if words.strip() and words.strip() != unit and (unit or answer.strip("*( ").startswith(("$", "€", "£", "\\$"))):
        return False
    own = own[: -len(unit)] if unit else own
    one, two = (read(text.rpartition("=")[2].strip()).node for text in (own, other))
    if one is None or two is None or "%" in own:
        return False
    places = len(other.partition(".")[2]) if "." in other else 0
    rounds = Fraction(51, 100) / 10**places if places else Fraction(0)
    return compare(one, two).outcome is Outcome.WRONG and not (places and within(one, two, rounds))


_UNIT = re.compile(r"(?<=[\d.}])\s[a-z][a-z ]{0,24}\Z")
