"""Where two answers differ: both cut into pieces, those that only one of them has marked.

Words, numbers and signs, each with the space before it, are compared one by one (Myers' greedy algorithm), so that of
`84 + 81 is 102` and `84 + 81 is 165` the two results are marked and nothing else. Work is bounded: answers that differ
in more than `MOST_EDITS` words have little in common, and of these everything between a common start and a common end
is marked; of two answers that share neither nothing is, since a mark on all of it would say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from selfimprove.escaping import Excerpt, escape_lines

MOST_EDITS = 32
"""Words removed and added between two answers, at most, for these to be compared word by word."""
_WORDS = re.compile(r" ?(?:[^\W\d_]+|\d+|.)", re.DOTALL)


@dataclass(frozen=True)
class Piece:
    """Some text of an answer, and whether only this answer has it; `left_out` counts what is left out before it."""

    text: str
    own: bool
    left_out: int = 0


def side_by_side(left: str, right: str, limit: int) -> tuple[list[Piece], list[Piece]]:
    """Both answers in printing characters and line breaks, at most `limit` characters of each, differences marked."""
    one, other = escape_lines(left, limit), escape_lines(right, limit)
    words, others = _words(one), _words(other)
    common = _common(words, others)
    return (
        _pieces(words, {place for place, _ in common}, one.left_out),
        _pieces(others, {place for _, place in common}, other.left_out),
    )


def _words(excerpt: Excerpt) -> list[str]:
    """The words of both ends; the cut between them is an empty word, which is equal to any other cut."""
    start = _WORDS.findall(excerpt.start)
    return [*start, "", *_WORDS.findall(excerpt.end)] if excerpt.left_out else start


def _pieces(words: Sequence[str], common: set[int], left_out: int) -> list[Piece]:
    """Neighbouring words of one kind as one piece; with nothing in common none is marked."""
    own = bytearray(0 if place in common or not common else 1 for place in range(len(words)))
    cut = words.index("") if left_out else len(words)
    before = _runs(words, own, 0, cut)
    after = _runs(words, own, cut + 1, len(words))
    if after:
        after[0] = replace(after[0], left_out=left_out)
    return [*before, *after]


def _runs(words: Sequence[str], own: bytearray, start: int, end: int) -> list[Piece]:
    pieces: list[Piece] = []
    while start < end:
        after = own.find(1 - own[start], start, end)
        stop = end if after < 0 else after
        text = "".join(words[start:stop])
        if own[start] and pieces and text.startswith(" "):  # the space before a mark isn't marked
            pieces[-1] = replace(pieces[-1], text=f"{pieces[-1].text} ")
            text = text[1:]
        pieces.append(Piece(text, bool(own[start])))
        start = stop
    return pieces


def _common(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """Places of equal words, in order: those of a shortest edit script, or the common start and end."""
    start = _same_start(left, right)
    end = _same_start(left[start:][::-1], right[start:][::-1])
    ends = [(len(left) - back, len(right) - back) for back in range(end, 0, -1)]
    middle = _by_edits(left[start : len(left) - end], right[start : len(right) - end])
    return [*((place, place) for place in range(start)), *((a + start, b + start) for a, b in middle), *ends]


def _same_start(left: Sequence[str], right: Sequence[str]) -> int:
    return next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


def _by_edits(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """Places of equal words on a shortest edit script; none where that takes more than `MOST_EDITS` edits."""
    if abs(len(left) - len(right)) > MOST_EDITS:
        return []
    furthest, trail = {1: 0}, list[dict[int, int]]()
    for edits in range(MOST_EDITS + 1):
        trail.append(dict(furthest))
        for diagonal in range(-edits, edits + 1, 2):
            down = diagonal == -edits or (diagonal != edits and furthest[diagonal - 1] < furthest[diagonal + 1])
            x = furthest[diagonal + 1] if down else furthest[diagonal - 1] + 1
            while x < len(left) and x - diagonal < len(right) and left[x] == right[x - diagonal]:
                x += 1
            furthest[diagonal] = x
            if x >= len(left) and x - diagonal >= len(right):
                return _walked_back(trail, len(left), len(right))
    return []


def _walked_back(trail: Sequence[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    """The equal words of the script that ends at (x, y), read from the furthest points of each number of edits."""
    found: list[tuple[int, int]] = []
    for edits in range(len(trail) - 1, -1, -1):
        furthest, diagonal = trail[edits], x - y
        down = diagonal == -edits or (diagonal != edits and furthest[diagonal - 1] < furthest[diagonal + 1])
        before = diagonal + 1 if down else diagonal - 1
        begin_x = furthest[before]
        begin_y = begin_x - before
        while x > begin_x and y > begin_y and (x > 0 and y > 0):
            x, y = x - 1, y - 1
            found.append((x, y))
        x, y = begin_x, begin_y
    return found[::-1]
