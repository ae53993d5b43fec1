"""The *margin* of a champion: how much more than the base it prefers the base's right answers to its wrong ones.

On 128 held-out problems accuracy moves by 8 points by luck alone, so it can't tell a good learning rate from a bad one.
The base's own answers to those problems can be scored instead: with l(y) the mean log-likelihood of an answer's tokens,
an arm's margin is the mean of l_champion(y) - l_base(y) over right answers less that over wrong ones, in nats a token.
It takes one forward pass of each answer and no sampling. Answers that nobody can read are left out: they are neither.
A problem's right answers count as one, the mean of their changes, and so do its wrong ones; the 95% interval is Welch's
over problems.

It chooses among arms in a study, and decides no round: docs/study-small.md says how far it foretells gains. Scores are
kept in the run's folder (`margin.json`) with the champion that they are of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Annotated

from pydantic import Field

from selfimprove.problem import ProblemSets
from selfimprove.recipe import Recipe
from selfimprove.round.answers import AnswersByKey, RunAnswers
from selfimprove.round.job import prompt_of
from selfimprove.round.machinery import Machinery
from selfimprove.round.model_cache import ModelCache
from selfimprove.round.prefixes import Example
from selfimprove.store.durable import read_json, write_json
from selfimprove.store.journal import Journal
from selfimprove.store.parsing import parsed
from selfimprove.store.records import Count, Number, Record
from selfimprove.store.rows import Kind

FILE = "margin.json"
LEVEL = 0.95


class ScoredAnswer(Record):
    """An answer of the base to a held-out problem, with its mean log-likelihood a token under base and champion."""

    key: str
    sample: Count
    right: bool
    base: Number
    champion: Number


class Scores(Record):
    """`margin.json`: the round whose model was scored, and the answers."""

    champion: Count
    answers: Annotated[tuple[ScoredAnswer, ...], Field(strict=False)]


@dataclass(frozen=True, kw_only=True)
class Margin:
    """Changes of log-likelihood in nats a token, means over problems: of right answers, of wrong ones, and the margin.

    `right` and `wrong` count problems. The interval is None where either has fewer than two.
    """

    right: int
    wrong: int
    change_right: float
    change_wrong: float
    margin: float
    interval: tuple[float, float] | None


def read_scores(journal: Journal) -> Scores | None:
    """The scores of the run's champion; None if there are none, or only of an earlier champion."""
    path = journal.folder / FILE
    if not path.exists():
        return None
    found = parsed(read_json(path), Scores, path)
    return found if found.champion == journal.champion().number else None


def score_run(
    recipe: Recipe, journal: Journal, problems: ProblemSets, machinery: Machinery, models: ModelCache
) -> None:
    """Score the base's answers to the held-out problems under base and champion into the run's folder."""
    champion = journal.champion()
    rounds = len(journal.rounds())
    answers = RunAnswers(journal).champion(rounds, 0) if rounds else {}
    asked = {problem.key: problem for problem in problems.heldout}
    rows = [row for found in _clear(answers).values() for row in found if row.key in asked]
    examples = [
        Example(
            key=row.key,
            sample=row.sample,
            kind=Kind.FULL,
            prompt_ids=prompt_of(machinery.tokenizer, recipe.sampling, asked[row.key]),
            target_ids=row.token_ids,
        )
        for row in rows
    ]
    base = machinery.score(machinery.base, examples)
    scored = machinery.score(models.folder(champion), examples) if champion.number else base
    record = Scores(
        champion=champion.number,
        answers=tuple(
            ScoredAnswer(key=row.key, sample=row.sample, right=row.correct, base=before, champion=after)
            for row, before, after in zip(rows, base, scored, strict=True)
        ),
    )
    write_json(journal.folder / FILE, record.plain())


def _clear(answers: AnswersByKey) -> AnswersByKey:
    """The answers without those that are neither right nor wrong: unread, cut, or without a token."""
    return {key: [row for row in found if row.token_ids and not row.unreadable] for key, found in answers.items()}


def margin_of(answers: Sequence[ScoredAnswer]) -> Margin | None:
    """The margin of these answers; None without a right one and a wrong one."""
    sides: list[list[float]] = []
    for right in (True, False):
        changes: dict[str, list[float]] = {}
        for answer in answers:
            if answer.right == right:
                changes.setdefault(answer.key, []).append(answer.champion - answer.base)
        sides.append([fmean(found) for found in changes.values()])
    ours, theirs = sides
    if not ours or not theirs:
        return None
    return Margin(
        right=len(ours),
        wrong=len(theirs),
        change_right=fmean(ours),
        change_wrong=fmean(theirs),
        margin=fmean(ours) - fmean(theirs),
        interval=_welch(ours, theirs),
    )


def _welch(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float] | None:
    """The interval of the difference of two means, by Welch's t; None where a spread can't be seen."""
    from scipy.stats import t

    if min(len(ours), len(theirs)) < 2:
        return None
    mean = fmean(ours) - fmean(theirs)
    errors = [variance(side) / len(side) for side in (ours, theirs)]
    if not any(errors):
        return mean, mean
    freedom = sum(errors) ** 2 / sum(e**2 / (len(side) - 1) for e, side in zip(errors, (ours, theirs), strict=True))
    reach = float(t.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(sum(errors))
    return mean - reach, mean + reach
