"""Signs that set off a value in a text and say nothing of it: code marks, single stars, underscores, quotes, a fence.

`**42**` keeps its stars, because a number in bold counts before others. Only values are freed of the signs: numbers,
lists of numbers, truth values, letters of choices; code stays code.
"""

from __future__ import annotations

import re

_NUMBER = r"[-−]?[$€£]?\d[\d,]*(?:\.\d+)?(?:\s?/\s?\d+)?%?"
_WORDS = r"(?:\s[A-Za-z]{1,15}){0,2}"
_VALUE = (
    rf"(?:{_NUMBER}{_WORDS}|[\[(]{_NUMBER}(?:,\s?{_NUMBER}){{1,15}}[\])]|(?:[a-z]\s?=\s?){_NUMBER}|"
    r"True|False|None|true|false|yes|no|Yes|No|[A-J])"
)
_BEHIND = r"(?:(?<=[A-Za-z:]\s)|(?<=\A)|(?<=\n)|(?<=:))"
_CODE = re.compile(rf"(?<![`\w])`({_VALUE})`(?![`\w])")
_STARS = re.compile(rf"{_BEHIND}\*({_VALUE})\*(?![\w*])")
_THREE = re.compile(rf"(?<![\w*])\*\*\*({_VALUE})\*\*\*(?![\w*])")
_LINES = re.compile(rf"{_BEHIND}_({_VALUE})_(?!\w)")
_QUOTES = re.compile(rf"{_BEHIND}“({_NUMBER}{_WORDS})”(?!\w)|(?<=[a-z] )\"({_NUMBER}{_WORDS})\"(?![\w:,}}])")
_FENCE = re.compile(r"(:[*_]{0,2})[ \t]*\n```(?:text|plaintext|txt)?[ \t]*\n([^`\n]{1,80})\n```(?=\s|\Z)")

_PROVED = re.compile(r"\s{0,3}(?:\$\s?\\(?:blacksquare|qed)\s?\$|\\(?:blacksquare|qed)(?![a-z])(?=\s?\$?\s*\Z)|∎)\s*")
"""The sign that a proof ends on."""


def without_marks(text: str) -> str:
    """The text with its values free of the signs that only set them off."""
    if "black" in text or "qed" in text or "∎" in text:
        text = _PROVED.sub("", text)
    if "```" in text:
        text = _FENCE.sub(r"\1\n\2", text)
    if "`" in text:
        text = _CODE.sub(r"\1", text)
    if "*" in text:
        text = _STARS.sub(r"\1", _THREE.sub(r"**\1**", text))
    if "_" in text:
        text = _LINES.sub(r"\1", text)
    if "“" in text or '"' in text:
        text = _QUOTES.sub(lambda quoted: quoted[1] or quoted[2], text)
    return text
