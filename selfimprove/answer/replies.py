"""A yes, no, true or false with which a text begins, before what it gives as its reason."""

from __future__ import annotations

import re

from selfimprove.answer.sentences import SENTENCE
from selfimprove.answer.unfinished import TAKEN_BACK, straight
from selfimprove.answer.values import last_formula
from selfimprove.answer.verdict import Candidate

REPLIES = frozenset(("yes", "no", "true", "false"))
_CONDITION = r"(?:but )?(?:only )?(?:if|when|unless|provided|assuming|depending|sometimes)\b"
_OPENING = re.compile(
    r"[*_]*(yes|no|true|false)[*_]*(?:[,.;:][*_]*|\s[-–—]|[*_.]*\n)\s*(?<=\s)(?!wait\b|actually\b|"
    rf"{_CONDITION}|let|we can|i can|that|this)(?=[^.?!]{{8}})",
    re.IGNORECASE,
)
_ABOUT_NUMBER = re.compile(
    r"\d[\d,]*\s(?:is|are|was|does|can|has)(?:n't|\snot)?\s(?:(?:an?|the)\s)?(?:prime|composite|odd|even|"
    r"divisible|multiple|"
    r"perfect|square|factor|divisor|rational|irrational|integer|number|solution|divide|be)\b"
)
_BECAUSE = re.compile(r"\b(?:because|since|as)\b", re.IGNORECASE)
_TOTALS = re.compile(r"\b(?:so|therefore|thus|hence|total|altogether|in all|answer)\b", re.IGNORECASE)
_CONCEDED = re.compile(r"[.!?]\s+(?:yes|no),\s[^.!?]{4,160}?,\s+but\s", re.IGNORECASE)
_REPLIED_AGAIN = re.compile(
    r"(?:[.!?]\s|\n)\W*(?:yes|no|but|however)\b|\?|\bunless\b|\bmaybe\b|\bnot sure\b", re.IGNORECASE
)
_RECANTED = re.compile(
    r"(?:[.!?]\s|\n)\W*(?:but )?(?:wait|actually|hmm+|oops|sorry|correction|on second thought)\b|"
    r"\b(?:i was|i am|i'm) (?:wrong|mistaken)\b|\bthat(?:'s| is| was) (?:wrong|incorrect)\b",
    re.IGNORECASE,
)
_BEFORE_REASON = re.compile(
    r"[\s*_]*(?:there is no (?:doubt|question)[^.?!:\n]{0,24}:\s|in (?:short|a word)[,:]\s)?"
    rf"(yes|no|true|false)[*_]*\s?(?:[,.;:!–—-][*_]*|\n)\s+(?!{_CONDITION}|wait\b|actually\b)",
    re.IGNORECASE,
)
_NO_REPLY = re.compile(r"[.!?]\s+No\s(?=[a-z])")  # "No steps are left over"
_CONCLUDES = re.compile(
    r"\b(?:so|therefore|thus|hence|total|altogether|answer)\b[^.]*\b(?:is|are|was|needs?|gets?|has|have|left|"
    r"pays?|costs?)\s"
    r"(?:\w+\s)?[$€£]?\d[\d.,]*(?:\s\w+)?\W*\Z",
    re.IGNORECASE,
)
_SO_OTHER = re.compile(r"\b(?:so|thus|therefore|hence),?\s(?:the answer is\s)?(yes|no|true|false)\b", re.IGNORECASE)
_OTHERWISE = re.compile(r"n't\b|\b(?:not|false|wrong|incorrect)\b", re.IGNORECASE)


def replied(text: str) -> Candidate | None:
    """The yes or no with which a text begins, if neither its first nor its last sentence has a number."""
    reply = _OPENING.match(text)
    if reply is None:
        return None
    sentences = [part for part in SENTENCE.split(text) if part and part.strip()]
    about = _ABOUT_NUMBER.match(straight(text), reply.end())
    apart = reply[1].lower() in ("true", "false") or (len(sentences) > 1 and not _TOTALS.search(sentences[-1]))
    if about is None and last_formula(_BECAUSE.split(sentences[0], maxsplit=1)[0]) and "\n" not in reply[0]:
        return None
    if (
        about is None
        and not apart
        and any(last_formula(_BECAUSE.split(sentences[at], maxsplit=1)[0]) for at in (0, -1))
    ):
        return None
    if (other := _SO_OTHER.search(text, reply.end())) is not None and other[1].lower() != reply[1].lower():
        return None
    if _RECANTED.search(straight(text), reply.end()):
        return Candidate(None, "extract", TAKEN_BACK)
    return None if _again(text[reply.end() :]) else Candidate(reply[1], "first line")


def reply_before_reason(text: str) -> str | None:
    """The yes, no, true or false that a text begins with, whatever numbers follow; None if it is taken back or again.

    For a reference that is such a word: "Yes, 5 is a root, because 5 - 5 = 0" answers it, and how many there are not.
    """
    reply = _BEFORE_REASON.match(text)
    if reply is None:
        return None
    rest = straight(text[reply.end() :])
    if _RECANTED.search("\n" + rest) or _again(_NO_REPLY.sub(". ", rest)):
        return None
    last = [part for part in SENTENCE.split(rest) if part.strip()][-1:]
    if last and _CONCLUDES.search(last[0]):
        return None
    if (other := _SO_OTHER.search(rest)) is not None and other[1].lower() != reply[1].lower():
        return None
    turned = reply[1].lower() in ("yes", "true") and any(len(rest) > len(part) + 2 for part in last)
    return None if turned and _OTHERWISE.search(last[0]) else reply[1]


def called_correct(text: str) -> str | None:
    """True or false, if a text ends on calling a claim correct or incorrect; None for any other."""
    found = _CALLED.search(straight(text[-_ENDING:]))
    return None if found is None else "false" if found[1] else "true"


_ENDING = 200  # characters of a text that may end on calling a claim correct
_CALLED = re.compile(
    r"(?:\A|[.!\n]\s{0,3}|\b(?:so|thus|therefore|hence),?\s)(?:the|this)\s(?:claim|statement|assertion|proposition)\sis\s"
    r"(?:indeed\s)?(in|not\s)?correct[.!*\s]*\Z",
    re.IGNORECASE,
)


def evaluated(text: str) -> str | None:
    """The truth value that an expression or a function comes to in the last sentence of a text."""
    found = _EVALUATED.search(straight(text[-_ENDING:]))
    return None if found is None else next(group for group in found.groups() if group)


_EVALUATED = re.compile(
    r"(?:\b(?:evaluates|simplifies|reduces)\sto\s|\b(?:returns|prints|outputs)\s|\bresult\b[^.\n]{0,60}\bis\s)[`*]{0,3}"
    r"(True|False)[`*]{0,3}(?:,\s(?:and\s)?not\s[`*]{0,3}(?:True|False))?[`*.!\s]*\Z|"
    r"\b(?:True|False)\b[^=\n.]{0,80}=\s[`*]{0,3}(True|False)[`*.!\s]*\Z"
)


def concluding_reply(text: str) -> str | None:
    """The yes, no, true or false with which the last sentence of a text concludes, whatever reason follows it."""
    last = [part for part in SENTENCE.split(straight(text.rstrip())) if part.strip()][-1:]
    found = None if not last else _CONCLUDING.match(last[0]) or _CLAIM.match(last[0])
    if found is None or _AGAINST.search(last[0], found.end()):
        return None
    return found[1]


_CONCLUDING = re.compile(
    r"\W*(?:(?:so|thus|therefore|hence|then)\b,?\s+)?[*_]{0,2}(yes|no|true|false)\b[*_]{0,2}\s?(?:[,:;–—-]\s|\(|because\b|since\b)",
    re.IGNORECASE,
)
_CLAIM = re.compile(
    r"\W*(?:(?:so|thus|therefore|hence|then)\b,?\s+)?(?:the|this)\s(?:claim|statement|assertion|proposition)\sis\s"
    r"(?:indeed\s)?[*_]{0,2}(true|false)\b[*_]{0,2}\s?(?:[:;,]\s|\(|because\b|since\b)",
    re.IGNORECASE,
)
_AGAINST = re.compile(
    r"\?|\b(?:but|however|unless|maybe|when|depends|wait|actually|not sure|yes|true|false|if|wrong|although|"
    r"so we|let)\b",
    re.IGNORECASE,
)


def reply_behind_mark(text: str) -> str | None:
    """The yes, no, true or false that stands behind the last "the answer is", before its reason."""
    found = None
    for found in _MARKED.finditer(text):  # noqa: B007 - the last match is what is wanted
        pass
    if found is None or _AGAINST.search(straight(text), found.end()) or "answer" in text[found.end() :].lower():
        return None
    return found[1]


_MARKED = re.compile(
    r"\banswer(?:\s(?:is|to the question is|must be))?[*_]{0,2}\s?:?[*_]{0,2}\s{1,2}[*_]{0,2}(yes|no|true|false)\b"
    r"[*_]{0,2}\s?(?:[,:;–—-]\s|\(|because\b|since\b)",
    re.IGNORECASE,
)


def is_reply(answer: str, words: tuple[str, ...]) -> bool:
    """Whether an answer begins with these words, a yes, no, true or false, and goes on: "Yes, it converges"."""
    reply = _BEGINS.match(answer)
    return reply is not None and words == (reply[1].lower(),) and not _TURNS.search(answer[reply.end() :])


_BEGINS = re.compile(r"(yes|no|true|false)\s?[,.;:]\s", re.IGNORECASE)
_TURNS = re.compile(r"\b(?:yes|no|true|false|but|however|unless|maybe|if|wait)\b", re.IGNORECASE)


def _again(rest: str) -> bool:
    """Whether a text behind a reply replies once more, turns, asks or doubts."""
    return _REPLIED_AGAIN.search(_CONCEDED.sub(". ", rest)) is not None
