r"""When two questions count as the same: the normal form of a question.

The normal form drops what carries no meaning in a question (case, sentence punctuation, quotes, dollar signs, spacing)
and writes a number in one way (1,000 = 1000 = 1000.0). It keeps every sign that can be mathematics: operators,
brackets, a point between digits, a factorial, a prime, a blank such as the `?` in `2, ?, 6`. Where the two aims
conflict it errs towards “different”, because a false “same” silently loses a problem; n-gram overlap (`grams.py`) shows
what the strict comparison misses. No pattern nests repetitions, so
hostile text costs linear time.
"""

from __future__ import annotations

import functools
import re
import unicodedata

_KEPT = 40
"""Characters of words whose tokens are kept, at most."""
_SIGNS = dict(zip(range(128), range(128), strict=True)) | str.maketrans(
    {"’": "'", "‘": "'", "“": " ", "”": " ", '"': " ", "−": "-", "–": "-", "—": " ", "$": " "}
)
_THOUSANDS = re.compile(r",(?<=\d,)(?=\d{3}(?!\d))")
_BARE_POINT = re.compile(r"\.(?<![\w.]\.)(?=\d)")
_FRACTION = re.compile(r"\.(?<=\d\.)(\d+)")
_APOSTROPHE = re.compile(r"'(?<=[^\W\d_]')(?=[^\W\d_])")
_PUNCTUATION = re.compile(
    r"""(?=[,;.?:!'-])(?:                         # spares the other characters the list below
        [,;]                                      # between clauses and items
      | (?<!\d)\. | \.(?!\d)                      # a full stop, not a decimal point
      | (?<=\S)\?(?!\S)                           # a question mark, not a blank to fill in
      | :(?!\S)                                   # a colon, not a ratio
      | (?<=[^\W\d_]{2})!                         # an exclamation, not a factorial
      | (?<!\S)' | '(?!\S)                        # single quotes, not a prime
      | (?<=[^\W\d_]{2})-(?=[^\W\d_]{2})          # a hyphen, not a minus
    )""",
    re.VERBOSE,
)
_TOKEN = re.compile(r"\\[^\W\d_]+|[^\W\d_]+|\d+(?:\.\d+)?|\S")


@functools.lru_cache(maxsize=1 << 16)
def normal_form(question: str) -> str:
    """The tokens of a question in normal form, joined by single spaces; never empty for a question that isn't blank."""
    text = unicodedata.normalize("NFC", question).casefold().replace("\\$", " ").translate(_SIGNS)
    text = _BARE_POINT.sub("0.", _THOUSANDS.sub("", text))
    tokens: list[str] = []
    for word in _APOSTROPHE.sub("", _FRACTION.sub(_shortest, text)).split():
        if word.isalpha() or word.isdecimal():  # one token, and most words: finding it as such takes four times as long
            tokens.append(word)
        else:
            tokens += _tokens(word) if len(word) <= _KEPT else _tokens.__wrapped__(word)
    return " ".join(tokens) or " ".join(question.casefold().split())


@functools.lru_cache(maxsize=1 << 14)
def _tokens(word: str) -> list[str]:
    """The tokens of what stands between two spaces; no mark depends on more than that."""
    return _TOKEN.findall(_PUNCTUATION.sub(" ", word))


def _shortest(fraction: re.Match[str]) -> str:
    digits = fraction[1].rstrip("0")
    return f".{digits}" if digits else ""
