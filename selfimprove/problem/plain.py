"""Values of rows for messages, and what a text has to be before it is kept."""

from __future__ import annotations

import html
import re
from pathlib import Path

from selfimprove.errors import UsageError

LONGEST = 1_000_000
"""Characters of a question or an answer: far above any problem, far below what fills a machine's memory."""

LARGEST_FILE = 2 * 2**30
"""Bytes of a file that is read whole (`.json`, `.csv`), and of a Parquet file's columns once unpacked."""

_ENCODED = re.compile(r"(?=.*[A-Z])(?=.*[a-z])(?=.*\d)[A-Za-z0-9+/]{40,}={0,2}")
_PATH = re.compile(
    r"(?:[\w.~-]+[/\\])*[\w.~-]+\.(?:csv|tsv|json|jsonl|html?|txt|pdf|xml|md|xlsx?|docx?|parquet)", re.IGNORECASE
)


def kind_of(value: object) -> str:
    """What a value is, for a message."""
    match value:
        case None:
            return "null"
        case bool():
            return "a truth value"
        case int() | float():
            return f"the number {value}"
        case str():
            return "a text"
        case list() | tuple():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
    return type(value).__name__


def refuse_large(size: int, path: Path) -> None:
    """`UsageError` for a file that takes more bytes than `LARGEST_FILE` in memory."""
    if size > LARGEST_FILE:
        raise UsageError(
            f"{path}: {size / 2**30:.1f} GiB of rows, more than {LARGEST_FILE / 2**30:.0f}",
            "Keep only the rows that you need, or write them as .jsonl.",
        )


def checked_text(value: str, field: str, where: str) -> str:
    """The text, if it can be written and is no longer than `LONGEST`; else `UsageError`, naming `where`."""
    if len(value) > LONGEST:
        raise UsageError(
            f"{where}: `{field}` has {len(value):,} characters, more than {LONGEST:,}", "Shorten or remove the row."
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{where}: `{field}` holds half of a surrogate pair, which isn't valid text", "Correct or remove the row."
        ) from None
    return value


def restored(text: str) -> str:
    r"""The text without a web page's tags around it, its signs and line breaks as they were, and whole TeX commands.

    `&quot;` is `"`; a form feed before `rac` was `\f` in a string that wasn't raw; a backslash and an n, twice, were an
    empty line.
    """
    if "</" in text and _MARKED_UP.match(text):
        for tag, signs in _TAGS:
            text = tag.sub(signs, text)
        text = text.strip()
    if "\\n\\n" in text and "\n" not in text:
        text = text.replace("\\n\\n", "\n\n")
    if "&" in text and _ENTITY.search(text):
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    if "\\\\" in text:
        text = _DOUBLED.sub(r"\\", text)
    if "\x0c" in text or "\x08" in text or "\x07" in text or "\x0b" in text:
        text = _EATEN.sub(lambda found: _ESCAPES[found[0]], text)
    return text


_ENTITY = re.compile(
    r"&(?:quot|amp|lt|gt|apos|nbsp|minus|ndash|mdash|[lr][sd]quo|hellip|deg|times|divide|plusmn|frac\d\d|sup\d|pi|"
    r"[A-Za-z]{1,2}(?:acute|grave|circ|uml|tilde|cedil|ring|lig|slash)|#\d{2,5}|#x[\da-fA-F]{2,5});"
)
_MARKED_UP = re.compile(r"\s*<(p|div|span)(?:\s[^<>]{0,200})?>.*</\1>", re.DOTALL)
_TAGS = (
    (re.compile(r"<br\s?/?>"), "\n"),
    (re.compile(r"</(?:p|div)>\s*<(?:p|div)(?:\s[^<>]{0,200})?>"), "\n\n"),
    (re.compile(r"<sup>([^<>]{1,40})</sup>"), r"^{\1}"),
    (re.compile(r"<sub>([^<>]{1,40})</sub>"), r"_{\1}"),
    (re.compile(r"</?(?:p|div|span|b|i|u|em|strong)(?:\s[^<>]{0,200})?>"), ""),
)
_DOUBLED = re.compile(
    r"(?<!\\)\\\\(?=(?:d?frac|sqrt|boxed|times|cdot|left|right|leq?|geq?|infty|angle|mathbb|overline|text)(?![A-Za-z]))"
)
"""The backslashes of a TeX command that was escaped twice."""
_ESCAPES = {"\x0c": "\\f", "\x08": "\\b", "\x07": "\\a", "\x0b": "\\v"}
_EATEN = re.compile(r"[\x07\x08\x0b\x0c](?=[a-z]{2})")


def refuse_encoded(text: str, field: str, where: str) -> None:
    """`UsageError` for bytes in base 64, which is how benchmarks keep their questions from being found."""
    if " " not in text and _ENCODED.fullmatch(text.strip()):
        raise UsageError(f"{where}: `{field}` holds encoded bytes, not a text", "Decode the file first.")


def refuse_path(value: object, field: str, where: str) -> None:
    """`UsageError` for the path of a file in the place of a text."""
    if isinstance(value, str) and len(value) < 300 and " " not in value and _PATH.fullmatch(value.strip()):
        raise UsageError(
            f"{where}: `{field}` holds the path of a file, not the text that the question needs",
            "Put the text in its place, or leave the field out of the file.",
        )
