"""The flips of a run: problems that one side of a round solved and the other didn't, with both answers side by side.

Flips are what the gate counts, so they come from the verdict rows, those that `selfimprove verify` recounts. What was
asked comes from elsewhere (`questions.py`) and may stay unknown. Each flip is one of four kinds, by what the answer of
the side that failed was: wrong, or unreadable (`gate/gains.py`).

A page is for reading: of each round it shows at most a number of flips, lost ones and won ones alike, in the order of
their keys, which are hashes and so as good as a draw. The rest stands in the verdict files. Sealed problems are
counted, never shown: who reads them could choose the next recipe by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from selfimprove.report.contests import Contest
from selfimprove.report.questions import Asked, questions_of
from selfimprove.report.records import RunRecords
from selfimprove.round.answers import share
from selfimprove.store.rows import Answered


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A problem that one side solved and the other didn't: an answer of each, and how many were right."""

    number: int
    key: str
    won: bool
    champion: Answered
    challenger: Answered
    champion_right: tuple[int, int]
    challenger_right: tuple[int, int]
    asked: Asked | None = None

    @property
    def failed(self) -> Answered:
        """The answer of the side that didn't solve it."""
        return self.champion if self.won else self.challenger

    @property
    def change(self) -> str:
        """What the answer became: `readable` or `right` if the problem was won, `unreadable` or `wrong` if lost."""
        if self.won:
            return "readable" if self.failed.unreadable else "right"
        return "unreadable" if self.failed.unreadable else "wrong"


@dataclass(frozen=True)
class RoundFlips:
    """A round's flips: how many there are, and those that are shown."""

    number: int
    won: int
    lost: int
    shown: tuple[Flip, ...]

    @property
    def left_out(self) -> int:
        """Flips that aren't shown."""
        return self.won + self.lost - len(self.shown)


def flips(contest: Contest) -> list[Flip]:
    """All flips of a round, lost ones first, in the order of their keys."""
    found = []
    for key in contest.both():
        before, after = contest.champion[key], contest.challenger[key]
        won = share(after) > share(before)
        if share(after) != share(before):
            found.append(
                Flip(
                    number=contest.number,
                    key=key,
                    won=won,
                    champion=_telling(before, not won),
                    challenger=_telling(after, won),
                    champion_right=_right(before),
                    challenger_right=_right(after),
                )
            )
    return sorted(found, key=lambda flip: flip.won)


def _right(rows: Sequence[Answered]) -> tuple[int, int]:
    return sum(row.correct for row in rows), len(rows)


def _telling(rows: Sequence[Answered], right: bool) -> Answered:
    """The first answer that shows what the side did: a right one of the better side, a wrong one of the worse."""
    return next((row for row in rows if row.correct == right), rows[0])


def shown_flips(run: RunRecords, rounds: Sequence[Contest], most: int) -> tuple[list[RoundFlips], str]:
    """At most `most` flips of each round with their questions, and a sentence on questions that aren't known."""
    every = {contest.number: flips(contest) for contest in rounds}
    kept = {place: _kept(found, most) for place, found in every.items()}
    questions = questions_of(run, rounds, [(place, flip.key) for place, found in kept.items() for flip in found])
    asked = questions.asked
    told = [
        RoundFlips(
            place,
            sum(flip.won for flip in found),
            sum(not flip.won for flip in found),
            tuple(replace(flip, asked=asked.get((place, flip.key))) for flip in kept[place]),
        )
        for place, found in every.items()
    ]
    return told, questions.sentence


def _kept(found: Sequence[Flip], most: int) -> list[Flip]:
    """At most `most`: as many lost as won, more of one where there are fewer of the other."""
    lost, won = [flip for flip in found if not flip.won], [flip for flip in found if flip.won]
    few = min(len(lost), max(most - len(won), most // 2))
    return lost[:few] + won[: most - few]
