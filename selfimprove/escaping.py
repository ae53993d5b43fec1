r"""Text from a model or a file, made safe to show: on a terminal, and in Markdown that may be rendered as HTML.

What a model writes is hostile: it can hold escape codes that recolour the screen, retitle the window or hide links,
marks that reverse the reading order, a megabyte without a space, or markup of whatever shows it. Two steps deal with
that. `escape_text` leaves only characters that print, on one line, within a limit; every other character is *shown*,
as `\x1b` or `\u202e`, so that a reader sees that it was there. Its work is bounded by the limit, not by the text.
`escape_lines` does the same to a text whose lines matter, and leaves the middle of a long one out.
`escape_markdown` then takes the meaning out of what prints. Escaped text goes to rich as `Text`, which has no markup;
a `str` given to rich would be read as markup.
"""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from selfimprove.errors import UsageError

ELLIPSIS = "…"
NEWLINE = "⏎"
SLACK = 8
"""Characters read per character shown, so that white space can be collapsed before the cut."""
STACKED = 2
"""Combining marks shown on one letter; more would be drawn over the lines above."""

_BREAK = re.compile(r"[ \t]*(?:\r\n|[\n\r\v\f\x85\u2028\u2029])\s*")
_ANYWHERE = re.compile(r"[\\`*_\[\]|~^$#@{}]|:(?=//|[\w+-]+:)|(?<=\bwww)\.", re.IGNORECASE)
"""Characters with a meaning inside a line: emphasis, code, links, cells, formulas, mentions, bare URLs, emoji names."""
_AT_START = re.compile(r"^(\d{0,9})([-+.)])(?=[\s-]|$)")
"""Characters that open a block at the start of a line: lists, numbered lists, rules."""
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def escape_text(text: str, limit: int, keep: Literal["start", "end"] = "start") -> str:
    r"""`text` on one line of printing characters, at most `limit` of them; an ellipsis stands where it was cut.

    Line breaks become `⏎`, other white space a space, runs of either one sign; control, format, private, unassigned
    and surrogate characters, and combining marks beyond two in a row, become `\x1b`, `\u202e`, `\U000e0041`.
    `keep` names the end that survives a cut. Escaped text is escaped no further: the function is idempotent.
    """
    if limit < 1:
        return ""
    window = text[: limit * SLACK] if keep == "start" else text[-limit * SLACK :]
    pieces = _pieces(re.sub(r"\s+", " ", _BREAK.sub(NEWLINE, window.strip())))
    whole = len(window) == len(text)
    if whole and sum(map(len, pieces)) <= limit:
        return "".join(pieces)
    if keep == "start":
        return "".join(_fitting(pieces, limit - 1)).rstrip() + ELLIPSIS
    return ELLIPSIS + "".join(reversed(_fitting(pieces[::-1], limit - 1))).lstrip()


def escape_markdown(text: str, limit: int) -> str:
    """`text` as `escape_text` gives it, with every character that means something to Markdown or HTML escaped.

    The limit counts before Markdown's own backslashes and entities are added. Safe in a paragraph and a table cell.
    """
    literal = _AT_START.sub(r"\1\\\2", _ANYWHERE.sub(r"\\\g<0>", escape_text(text, limit)))
    return re.sub(r'[&<>"]', lambda match: _HTML[match.group()], literal)


@dataclass(frozen=True)
class Excerpt:
    """A text of several lines; of a long one its two ends, and how many characters between them were left out."""

    start: str
    end: str = ""
    left_out: int = 0


def escape_lines(text: str, limit: int) -> Excerpt:
    """`text` with its line breaks and spaces, otherwise as `escape_text` shows it; at most `limit` of its characters.

    Of a longer text both ends are kept: an answer's last line is as telling as its first.
    """
    kept = text.strip()
    if len(kept) <= limit:
        return Excerpt(_lines(kept))
    half = limit // 2
    return Excerpt(_lines(kept[:half]), _lines(kept[len(kept) - half :]), len(kept) - 2 * half)


def _lines(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\t", "    ").split("\n")
    plain = (line.isascii() and line.isprintable() for line in lines)
    return "\n".join(line if is_plain else "".join(_pieces(line)) for line, is_plain in zip(lines, plain, strict=True))


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in {"Mn", "Me"} else 0
        pieces.append(_visible(character) if marks > STACKED or not character.isprintable() else character)
    return pieces


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _fitting(pieces: list[str], room: int) -> list[str]:
    kept: list[str] = []
    for piece in pieces:
        room -= len(piece)
        if room < 0:
            break
        kept.append(piece)
    return kept


def folder_name(name: str, option: str) -> str:
    """The name, if it is safe for a folder: no path, not hidden, printable, at most 200 bytes.

    Otherwise `UsageError` names the option that it was typed for.
    """
    safe = name.isprintable() and not name.startswith(".") and not {"/", "\\"} & set(name)
    if not safe or not 0 < len(os.fsencode(name)) <= 200:
        raise UsageError(f"{option} {name[:200]!r}: not a folder's name", "Use letters, digits, `-` and `_`.")
    return name
