r"""What a sentence says around its answer: reasons, conditions, rejected roots, comparisons and parts of a total.

"Thus $x=7$ since $x=-7$ is extraneous", "$x+2$, where $x \neq 2$", "27 cards, 15 red and 12 blue" and "she has $85,
which is enough for the $80 jacket" state 7, x + 2, 27 and 85. A reason in front may deny something else: "Since the
width can't be negative, the width is 7". Nothing is cut off that draws a conclusion or turns against the answer.
"""

from __future__ import annotations

import re
from fractions import Fraction

from selfimprove.answer.unfinished import straight

_TURNS = re.compile(
    r"\b(?:so|thus|therefore|hence|then|but|however|instead|actually|giving|leaving|we (?:get|have|find|obtain)|final|"
    r"which (?:gives|leaves|makes|means)|the answer|wait|total|altogether|in all|not sure|maybe|wrong|incorrect)\b",
    re.IGNORECASE,
)
_VALUE = re.compile(r"\d|\$[^$]*[A-Za-z][^$]*\$")
_IN_BRACKETS = re.compile(
    r"[,;]?\s\((?:since|because|as|rejecting|discarding|ignoring|we (?:discard|reject|ignore|take|need|exclude)|"
    r"note that|recall that|[a-z] (?:can't|cannot|can not|must be|isn't|is not))\b"
    r"(?:[^()]|\([^()]{0,40}\)){0,200}\)[\s.!]*\Z",
    re.IGNORECASE,
)
_SINCE = re.compile(r",?\s(?:since|because)\s(?!\d{4}\b|then\b|[A-Z][a-z]+ \d|the (?:start|beginning))", re.IGNORECASE)
_JOINS = re.compile(r"\b(?:but|and|or|yet)\Z", re.IGNORECASE)
_LASTED = re.compile(r"\b(?:has|have|had) (?:been|passed|elapsed)\b|\b(?:passed|elapsed|ago)\b", re.IGNORECASE)
_WHERE = re.compile(
    r"(?<=\$)\s?,?\s(?:for(?: all| every| any| each)?|where|when|whenever|with|if|provided(?: that)?|as long as)\s"
    r"(?:(?:integers?|reals?|all|positive|natural numbers?)\s){0,2}"
    r"\$[^$]{1,40}(?:[<>≠≥≤∈]|\\(?:n?eq?|leq?|geq?|in|lt|gt)(?![a-z]))[^$]{1,40}\$[\s.!]*\Z"
)
_BOUNDED = re.compile(r"[<>≠≥≤]|\\(?:neq?|leq?|geq?|lt|gt|in)(?![a-z])|(?<=\$)\s?,?\s(?:for|if|when)\s(?=\S*\s?\$)")
_LETTER_LAST = re.compile(r"\$\s?\\?[A-Za-z]{1,8}\s?\$\Z")
_AT = re.compile(r"(?<=\d)\s(?:when|if|for|at)\s\$?[a-z]\s?=\s?-?\d[\d.]*\$?[\s.!]*\Z")
_EQUALS_AT = re.compile(r"\b(?:equals|evaluates to|is equal to)\s\$?-?\d[\d.,/]*\$?\Z")
_PARTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r",?\swhich\s(?:also\s|indeed\s)?(?:satisf(?:ies|y)|checks|verifies|fits|agrees|is consistent|matches)\b.*\Z",
        r"[;,]\s+(?:and\s)?indeed,?\s.*\Z",
        r",\s(?:including|counting|exceeding|following|excluding|beating|surpassing)\s.*\Z",
        r",\s[$€£]?\d[\d,.]*\sof\s(?:them|which|whom|these|those)\b.*\Z",
        r",\s(?:which is |and that is |that is )?(?:more than |exactly |just )?enough\s(?:for|to)\b.*\Z",
        r",\sso\s(?:she|he|they|it|we|you)\s(?:has|have|had|will have)\s(?:more than |exactly |just )?enough\b.*\Z",
        r",\swho\s(?:is|was|has|had)\s\d[^,;]*\Z",
        r"(?<=\bleft)\safter\s(?:she|he|they|it|we|you|[a-z]+ing)\b[^,;]*\Z",
        r",\sfollowed by\s.*\Z",
    )
)
_GOES_ON = re.compile(r",\s(?:is|are|was|were|equals|he|she|it|they|we|the)\b", re.IGNORECASE)
_SOLVES = re.compile(
    r"(?<=[\d$])\s(?:is|are)\s(?:indeed\s)?(?:the|a|our)\s(?:(?:only|unique|positive|real|desired)\s)?"
    r"(?:solution|root)s?\s(?:of|to)\b.*\Z",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"(?:(?:so|thus|therefore|hence),?\s)?there\s(?:are|is)\s(?:exactly\s|only\s|just\s){0,2}[$*]{0,2}"
    r"(?:\d[\d,]*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)[$*]{0,2}"
    r"(?:\s(?!is\b|are\b|of\b|for\b|such that|that\b)[a-z-]+){1,4}(?=\s(?:(?:of|for|in)\s)?\$)",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"(?<![\w.])\d{1,12}(?:,\d{3})*(?:\.\d{1,6})?(?![\w/%])")
_BEFORE_NUMBER = re.compile(r",\s(?=\d)")
_WORD_LAST = re.compile(r"\d\s?[*%]{0,2}(?:\s[A-Za-z'-]+){1,6}\Z")
_NOT_IN_REASON = re.compile(
    r"\A\W*(?:(?:and|but|so)\s)?(?:since|because|as|given that)\b[^,\n]{0,160}(?:n't|\bnot\b|\bcannot\b)"
    r"[^,\n]{0,120},\s+(?=[^\n]*\d)",
    re.IGNORECASE,
)
_NOT_SO = re.compile(
    r"\A[^,\n]{0,160}(?:n't|\bnot\b|\bcannot\b|\bextraneous\b|\binvalid\b|\bimpossible\b)[^,\n]{0,80},\s+"
    r"(?:so|thus|hence|therefore|and so)\s+(?=[^\n]*\d)",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(
    r"\b(?:know|known|say|says|state[sd]?|specif\w*|sure|clear|provided|enough|tell|told|mention\w*|find|answer|solve|"
    r"i|my)\b",
    re.IGNORECASE,
)
_TRIES = re.compile(
    r"\b(?:next|try|check|candidate|test|guess|assum\w+|maybe|perhaps|probably|could|might|may|suppose|let|would)\b",
    re.IGNORECASE,
)
_FOR_PURPOSE = re.compile(
    r"\A\W*(?:in order )?to (?:buy|cover|afford|pay for|reach|fill|serve|feed|make|bake|paint|earn|save)\s"
    r"[^,=\n]{0,60}\d[^,=\n]{0,60},\s(?=[^,=\n]*\d)",
    re.IGNORECASE,
)


def without_asides(sentence: str) -> str:
    """The sentence without what it says around its answer; the sentence itself if nothing would be left."""
    text = straight(sentence)
    if len(text) != len(sentence) or len(text) > _LONGEST:
        return sentence
    start = _begins(text)
    sentence, text = sentence[start:], text[start:]
    for cut in (_reason, _condition, _part, _summed, _counted):
        end = cut(text)
        if 0 < end < len(text) and (cut is _counted or _VALUE.search(text, 0, end)):
            sentence, text = sentence[:end], text[:end]
    return sentence


_LONGEST = 800  # characters of a sentence


def _begins(text: str) -> int:
    """Where the sentence begins behind a reason that denies something, or behind what something is for."""
    for pattern in (_NOT_IN_REASON, _NOT_SO):
        found = pattern.match(text)
        if found is not None and not _UNKNOWN.search(found[0]) and not _TRIES.search(text, found.end()):
            return found.end()
    purpose = _FOR_PURPOSE.match(text)
    return 0 if purpose is None else purpose.end()


def _reason(text: str) -> int:
    bracketed = _IN_BRACKETS.search(text)
    if bracketed is not None and not _TURNS.search(bracketed[0]):
        return bracketed.start()
    since = _SINCE.search(text)
    if since is None or _JOINS.search(text, 0, since.start()) or "**" in text[since.end() :]:
        return 0
    if (
        text.count("(", 0, since.start()) != text.count(")", 0, since.start())
        or _TURNS.search(text, since.end())
        or _LASTED.search(text, 0, since.start())
    ):
        return 0
    return since.start()


def _condition(text: str) -> int:
    if (at := _AT.search(text)) is not None and _EQUALS_AT.search(text, 0, at.start()):
        return at.start()
    where = _WHERE.search(text)
    if where is None or _BOUNDED.search(text, 0, where.start()) or _LETTER_LAST.search(text, 0, where.start()):
        return 0
    return where.start()


def _part(text: str) -> int:
    for pattern in _PARTS:
        found = pattern.search(text)
        if found is not None and not _GOES_ON.search(found[0]) and not _TURNS.search(found[0].removeprefix(", so ")):
            return found.start()
    solves = _SOLVES.search(text)
    return 0 if solves is None or "=" not in text[: solves.start()] else solves.start()


def _summed(text: str) -> int:
    """Where the parts of a total begin that is stated before them: "27 cards, 15 red and 12 blue"."""
    for comma in list(_BEFORE_NUMBER.finditer(text))[:8]:
        before, behind = _PLAIN.findall(text[: comma.start()]), _PLAIN.findall(text[comma.end() :])
        if (
            before
            and _WORD_LAST.search(text, 0, comma.start())
            and 1 < len(behind) < 8
            and "=" not in text[comma.end() :]
        ):
            total, *parts = (Fraction(number.replace(",", "")) for number in (before[-1], *behind))
            if total == sum(parts):
                return comma.start()
    return 0


def _counted(text: str) -> int:
    """Where what is counted goes on with its formula: "there are 3 possible values of $x$"."""
    count = _COUNT.match(text.lstrip())
    if count is None or re.search(r":|\bnamely\b", text[count.end() :]) or _TURNS.search(text, count.end()):
        return 0
    return len(text) - len(text.lstrip()) + count.end()
