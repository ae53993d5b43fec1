"""Judged answers as a report needs them: both sides of each round, read once from its verdict rows.

The champion's answers stand where they were first judged, so the files of all rounds are read in order and each answer
is looked up as the round itself counted it: earlier rounds first, unless the checker ran out of time there. Token
ids are counted and let go: a report needs no tokenizer, and a long run's ids would fill the memory.

A row that lacks a key is read as far as it goes; a file that can't be read at all leaves its round without answers and
a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfimprove.errors import UsageError
from selfimprove.gate.evidence import Tally
from selfimprove.report.records import Record, RunRecords, items, number, word
from selfimprove.store.durable import read_rows
from selfimprove.store.journal import Journal


@dataclass(frozen=True)
class Judged:
    """One judged answer: a row of `verdicts.jsonl` whose token ids are counted."""

    model: int
    key: str
    sample: int
    outcome: str
    candidate: str
    stage: str
    reason: str
    cut: bool
    tokens: int
    text: str

    @property
    def correct(self) -> bool:
        """Whether the checker accepted the answer."""
        return self.outcome == "correct"


ByKey = Mapping[str, tuple[Judged, ...]]
"""Answers of one model by problem key, in order of the sample number."""


@dataclass(frozen=True)
class Contest:
    """Both sides of a round on the problems that both answered, and what couldn't be read."""

    number: int
    champion: ByKey
    challenger: ByKey
    fault: str = ""

    def both(self) -> list[str]:
        """The problems that both sides answered, sorted."""
        return sorted(self.champion.keys() & self.challenger.keys())

    def tally(self) -> Tally:
        """The differences in the share of right answers, challenger minus champion."""
        return Tally.of(share(self.challenger[key]) - share(self.champion[key]) for key in self.both())


def share(answers: Sequence[Judged]) -> float:
    """The share of right answers."""
    return sum(answer.correct for answer in answers) / len(answers)


def contests(run: RunRecords) -> list[Contest]:
    """Each finished round's two sides."""
    journal = Journal(run.folder)
    seen: dict[int, dict[str, tuple[Judged, ...]]] = {}
    found: list[Contest] = []
    for place, record in enumerate(run.rounds, start=1):
        own, fault = _answers(journal.round(place).verdicts)
        parent = int(number(record, "parent") or 0)
        known = {**own.get(parent, {}), **seen.get(parent, {})}
        challenger = own.get(place, {})
        found.append(Contest(place, {key: known[key] for key in challenger if key in known}, challenger, fault))
        for model, answers in own.items():
            seen.setdefault(model, {}).update(_settled(answers))
    return found


def sealed_flips(run: RunRecords) -> tuple[int, int] | None:
    """Sealed problems that the last look's champion won and lost against the base; None where the rows don't tell."""
    answers, _ = _answers(Journal(run.folder).sealed_verdicts)
    champion = number(run.sealed, "looks", -1, "champion")
    if champion is None or int(champion) not in answers or 0 not in answers:
        return None
    base, best = answers[0], answers[int(champion)]
    tally = Tally.of(share(best[key]) - share(base[key]) for key in base.keys() & best.keys())
    return int(tally.wins), int(tally.losses)


def _answers(path: Path) -> tuple[dict[int, dict[str, tuple[Judged, ...]]], str]:
    """The answers in a verdicts file by model and problem, and why there are none."""
    try:
        rows = read_rows(path)
    except (OSError, UsageError) as error:
        return {}, f"{path.name}: can't be read: {error}"
    found: dict[int, dict[str, tuple[Judged, ...]]] = {}
    for row in sorted(map(_judged, rows), key=lambda row: row.sample):
        answers = found.setdefault(row.model, {})
        answers[row.key] = (*answers.get(row.key, ()), row)
    return found, "" if rows else f"{path.parent.name}/{path.name}: no answers there."


def _settled(answers: ByKey) -> ByKey:
    return {key: rows for key, rows in answers.items() if all(row.outcome != "timed_out" for row in rows)}


def _judged(row: Record) -> Judged:
    return Judged(
        int(number(row, "model") or 0),
        word(row, "key"),
        int(number(row, "sample") or 0),
        word(row, "outcome"),
        word(row, "candidate"),
        word(row, "stage"),
        word(row, "reason"),
        word(row, "stop") == "length",
        len(items(row, "token_ids")),
        word(row, "text"),
    )
