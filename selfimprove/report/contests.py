"""Both sides of each round as a report needs them: the answers that the round itself counted, each file read once.

A file of verdicts that can't be read leaves its round without answers and a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from selfimprove.errors import UsageError
from selfimprove.gate.evidence import Tally
from selfimprove.report.records import RunRecords
from selfimprove.round.answers import AnswersByKey, RunAnswers, read_answers, share
from selfimprove.store.journal import Journal
from selfimprove.store.rows import Answered


@dataclass(frozen=True)
class Contest:
    """Both sides of a round on the problems that both answered, and what couldn't be read."""

    number: int
    champion: AnswersByKey
    challenger: AnswersByKey
    fault: str = ""

    def both(self) -> list[str]:
        """The problems that both sides answered, sorted."""
        return sorted(self.champion.keys() & self.challenger.keys())

    def tally(self) -> Tally:
        """The differences in the share of right answers, challenger minus champion."""
        return _tally(self.both(), self.champion, self.challenger)


class _ReadableAnswers(RunAnswers):
    """The answers of the rounds whose files can be read; `faults` says of the others why not."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self.faults: dict[int, str] = {}

    def rows(self, number: int) -> list[Answered]:
        path = self.journal.round(number).verdicts
        try:
            rows = super().rows(number)
        except (OSError, UsageError) as error:
            self.faults[number] = f"{path.name}: can't be read: {error}"
            return []
        if not rows:
            self.faults[number] = f"{path.parent.name}/{path.name}: contains no answers."
        return rows


def contests(run: RunRecords) -> list[Contest]:
    """Each finished round's two sides."""
    answers = _ReadableAnswers(run.journal)
    found: list[Contest] = []
    for record in run.rounds:
        challenger = answers.of(record.round, record.round)
        champion = answers.champion(record.round, record.parent)
        judged = {key: champion[key] for key in challenger if key in champion}
        found.append(Contest(record.round, judged, challenger, answers.faults.get(record.round, "")))
    return found


def sealed_flips(run: RunRecords) -> tuple[int, int] | None:
    """Sealed problems that the last look's champion won and lost against the base; None where the rows don't tell."""
    if run.last_look is None:
        return None
    path = run.journal.sealed_verdicts
    try:
        look = run.last_look
        base, best = (read_answers(path, model, look.setup) for model in (0, look.champion))
    except (OSError, UsageError):
        return None
    if not base or not best:
        return None
    tally = _tally(base.keys() & best.keys(), base, best)
    return int(tally.wins), int(tally.losses)


def _tally(keys: Iterable[str], before: AnswersByKey, after: AnswersByKey) -> Tally:
    return Tally.of(share(after[key]) - share(before[key]) for key in keys)
