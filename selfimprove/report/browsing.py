"""The flips as a page lists and filters them: each a line in a list that opens to a section of its own.

A filter's options are the values that occur, each with a short token; a flip carries the tokens of its own values, and
is shown if it has those of all filters that are set. A filter with one option would filter nothing and isn't there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selfimprove.report.differences import Piece, side_by_side
from selfimprove.report.flips import Flip, RoundFlips
from selfimprove.report.questions import Asked
from selfimprove.report.reasons import OUTCOMES, in_words
from selfimprove.store.rows import Answered

_KEY = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, kw_only=True)
class Side:
    """One model's answer: its text in pieces, the checker's verdict in words, what it read, and how long it is."""

    title: str
    pieces: tuple[Piece, ...]
    correct: bool
    verdict: str
    reason: str
    read: str
    length: str


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A flip with what its line and its section say; `tokens` are what filters look for."""

    anchor: str
    key: str
    won: bool
    change: str
    asked: Asked | None
    sides: tuple[Side, Side]
    tokens: str


@dataclass(frozen=True, kw_only=True)
class ShownRound:
    """A round's flips: how many there are, how many aren't shown, and those that are."""

    number: int
    won: int
    lost: int
    left_out: int
    shown: tuple[Shown, ...]


@dataclass(frozen=True)
class Filter:
    """A choice over the flips: its options are (token, label, flips)."""

    name: str
    title: str
    options: tuple[tuple[str, str, int], ...]


_FILTERS: tuple[tuple[str, str, Callable[[Flip], str]], ...] = (
    ("round", "Round", lambda flip: str(flip.number)),
    ("change", "Change", lambda flip: f"became {flip.change}"),
    ("verdict", "Verdict on the failing answer", lambda flip: OUTCOMES[flip.failed.outcome]),
    ("source", "Source", lambda flip: flip.asked.source if flip.asked else ""),
    ("level", "Level", lambda flip: flip.asked.level if flip.asked else ""),
)
"""Name, title, and the value that a flip has."""


def browsed(rounds: Sequence[RoundFlips], limit: int) -> tuple[list[ShownRound], list[Filter]]:
    """The rounds with their flips as a page shows them, answers of at most `limit` characters; and the filters."""
    filters = _filters([flip for found in rounds for flip in found.shown])
    tokens = {(one.name, label): token for one in filters for token, label, _ in one.options}
    shown = [
        ShownRound(
            number=found.number,
            won=found.won,
            lost=found.lost,
            left_out=found.left_out,
            shown=tuple(_shown(place, flip, tokens, limit) for place, flip in enumerate(found.shown)),
        )
        for found in rounds
        if found.shown
    ]
    return shown, filters


def _filters(flips: Sequence[Flip]) -> list[Filter]:
    found = []
    for name, title, value in _FILTERS:
        counted = Counter(label for flip in flips if (label := value(flip)))
        labels = sorted(
            counted, key=lambda label: (not label.isdecimal(), label.zfill(9) if label.isdecimal() else label)
        )
        options = tuple((f"{name[0]}{place}", label, counted[label]) for place, label in enumerate(labels))
        found += [Filter(name, title, options)] if len(options) > 1 else []
    return found


def _shown(place: int, flip: Flip, tokens: dict[tuple[str, str], str], limit: int) -> Shown:
    before, after = side_by_side(flip.champion.text, flip.challenger.text, limit)
    own = [tokens.get((name, value(flip)), "") for name, _, value in _FILTERS]
    return Shown(
        anchor=f"flip-{flip.number}-{flip.key if _KEY.fullmatch(flip.key) else place}",
        key=flip.key,
        won=flip.won,
        change=flip.change,
        asked=flip.asked,
        sides=(
            _side("Champion", flip.champion, flip.champion_right, before),
            _side("Challenger", flip.challenger, flip.challenger_right, after),
        ),
        tokens=" ".join(filter(None, own)),
    )


def _side(title: str, answer: Answered, right: tuple[int, int], pieces: Sequence[Piece]) -> Side:
    count, samples = right
    cut = ", cut at the limit" if answer.stop == "length" else ""
    return Side(
        title=f"{title}, {count} of {samples} right" if samples > 1 else title,
        pieces=tuple(pieces),
        correct=answer.correct,
        verdict=OUTCOMES[answer.outcome],
        reason=in_words(answer.stage, answer.reason),
        read=answer.candidate or "",
        length=f"{len(answer.token_ids)} tokens{cut}",
    )
