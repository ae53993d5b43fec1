"""Checks behind an answer that hold: "Check: 3(5) + 4 = 19", "Since 3(5) + 4 = 19, the solution checks".

A sentence that calculates with the answer only to confirm it states no other one. It counts as a check if it says that
it is one, all its equations are true, and it neither doubts nor concludes anything else.
"""

from __future__ import annotations

import re

from selfimprove.answer.delimited import MATH, inner
from selfimprove.answer.reading import read
from selfimprove.answer.unfinished import straight

_OPENS = re.compile(
    r"\W*(?:(?:quick |sanity |double[- ])?(?:check|checking|verification|verifying)\b[^:,=\d]{0,40}[:,]|"
    r"(?:plugging|substituting|putting)\s(?:it |this |that |(?:the|our) \w+ |[a-z] = \d+ )?(?:back|in|into)\b"
    r"[^:,=\d]{0,40}[:,])",
    re.IGNORECASE,
)
_CONFIRMS = re.compile(
    r"\b(?:the|our|this)\s(?:solution|answer|result|value)\s(?:checks(?: out)?|works|holds|is\s(?:indeed\s)?(?:right|"
    r"correct|valid|verified|confirmed))[\s.!✓✔]*\Z",
    re.IGNORECASE,
)
_SAYS_SO = re.compile(r"\W*(?:(?:this|that|it) is )?(?:indeed )?(?:correct|verified)\W*", re.IGNORECASE)
_DOUBTS = re.compile(
    r"[✗✘❌✕?≠]|n't\b|\\ne|\b(?:not|but|however|instead|wrong|fails?|should|need|let|actually|wait|hmm)\b|"
    r"\b(?:so|thus|therefore|hence)\b(?!,?\s(?:the|our|this|it|x = \S+)\s(?:solution|answer|result|value|is|checks)\s?"
    r"(?:is |checks|works|right|correct|valid))",
    re.IGNORECASE,
)
_EQUATION = re.compile(
    r"(?<![\w.,$])[-−(]{0,3}\d[\d\s().+*/×·÷^²³−-]{0,60}(?:=\s?[-−]?[\d(][\d\s().+*/×·÷^²³−-]{0,60}){1,4}"
)
_KEY_POINTS = re.compile(r"\n\s{0,4}[*_#\s]{0,6}key (?:points|takeaways|ideas?|facts)[*_:\s]", re.IGNORECASE)


def is_check(sentence: str) -> bool:
    """Whether a sentence only checks the answer, and the check holds."""
    text = straight(sentence)
    if _SAYS_SO.fullmatch(text):
        return True
    if len(text) > _LONGEST or not (_OPENS.match(text) or _CONFIRMS.search(text)) or _DOUBTS.search(text):
        return False
    formulas = [inner(match) for match in MATH.finditer(text)]
    plain = [match[0].strip(" .") for match in _EQUATION.finditer(MATH.sub(" ", text))]
    equations = [part for part in (*formulas, *plain) if "=" in part]
    return 0 < len(equations) < _MOST and all(read(part).node is not None for part in equations)


_LONGEST, _MOST = 400, 8  # characters, equations


def without_key_points(text: str) -> str:
    """The text without the points to remember that it lists behind its bold answer."""
    points = _KEY_POINTS.search(text)
    return text if points is None or not _BOLD.search(text, 0, points.start()) else text[: points.start()]


_BOLD = re.compile(r"\*\*[^*\n]{0,20}\d[^*\n]{0,20}\*\*")
