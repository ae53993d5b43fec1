"""What the charts draw, as values from the records: accuracies with intervals, looks, losses, lengths, openings.

*Intervals of a round.* Judging ends when the gate has decided, so the number of problems isn't chosen beforehand. The
interval of a round's gain is therefore the gate's own, which holds at all looks at once (`gate/evidence.py`). The
intervals of the two accuracies are Wilson's: each describes one model by itself on the problems judged, and decides
nothing.

*Openings* are the first words of judged answers: training on first tokens moves them first, and some are right far more
often than others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan
from statistics import fmean

from selfimprove.gate.evidence import gain_lower, gain_upper
from selfimprove.gate.intervals import wilson
from selfimprove.recipe import Recipe
from selfimprove.report.contests import Contest
from selfimprove.round.answers import AnswersByKey
from selfimprove.sampling import StopReason
from selfimprove.store.records import RoundRecord
from selfimprove.store.rows import Answered

Interval = tuple[float | None, float | None]
UNKNOWN: Interval = (None, None)
OPENING_WORDS = (3, 2, 1)
"""How many words are an opening: the most for which the common ones cover `COVERED` of the answers."""
COVERED = 1 / 3
OPENINGS = 8
"""Openings shown of a round."""
LOSS_POINTS = 200
"""Points drawn of a round's losses; more are averaged in runs of neighbours."""


@dataclass(frozen=True)
class RoundFigures:
    """One round's accuracies on the problems judged, in [0, 1], its gain, and their intervals."""

    number: int
    accepted: bool
    champion: float
    champion_interval: Interval
    challenger: float
    challenger_interval: Interval
    gain: float
    gain_interval: Interval


@dataclass(frozen=True)
class Trail:
    """One round's looks: (problems judged, evidence over what was needed)."""

    number: int
    accepted: bool
    looks: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Loss:
    """One round's losses: (step, loss) of whole batches, and how many steps it took.

    `partial` are the steps whose batch had fewer rows than the others, the last of an epoch: a mean over a few rows
    jumps, and would look as if the training did.
    """

    number: int
    steps: int
    points: tuple[tuple[float, float], ...]
    partial: tuple[tuple[float, float], ...] = ()
    last: float | None = None
    """The loss of the last whole batch."""


@dataclass(frozen=True)
class Spread:
    """Lengths of a model's judged answers in tokens: median, ends of the middle 80%, and the share that was cut."""

    model: int
    answers: int
    low: int
    median: int
    high: int
    cut: float


@dataclass(frozen=True)
class Opening:
    """An opening with how many answers of each side begin so, and how many of them are right."""

    words: str
    champion: tuple[int, int]
    challenger: tuple[int, int]


def round_figures(record: RoundRecord, contest: Contest, greedy: bool) -> RoundFigures:
    """What the accuracy chart needs of a round."""
    card = record.scorecard
    return RoundFigures(
        number=record.round,
        accepted=record.accepted,
        champion=card.champion.accuracy,
        champion_interval=_wilson(card.champion.accuracy, card.judged),
        challenger=card.challenger.accuracy,
        challenger_interval=_wilson(card.challenger.accuracy, card.judged),
        gain=record.gain,
        gain_interval=_sequence(contest, greedy),
    )


def _wilson(share: float, judged: int | None) -> Interval:
    return wilson(round(share * judged), judged) if judged and 0 <= share <= 1 else UNKNOWN


def _sequence(contest: Contest, greedy: bool) -> Interval:
    tally = contest.tally()
    if not tally.counts:
        return UNKNOWN
    plain = greedy and tally.whole
    return gain_lower(tally, greedy=plain), gain_upper(tally, greedy=plain)


def trail(record: RoundRecord) -> Trail:
    """How a round's evidence grew; looks that lack a figure, or whose evidence is not above 0, are left out."""
    looks = []
    for look in record.decision.looks:
        judged, evidence, needed = look.judged, look.evidence, look.threshold
        if judged is not None and evidence is not None and needed is not None and evidence > 0 < needed:
            looks.append((float(judged), evidence / needed))
    return Trail(record.round, record.accepted, tuple(looks))


def losses(record: RoundRecord, rows: int = 0) -> Loss:
    """A round's training losses as its record holds them, thinned by averaging neighbours.

    `rows` are those of a whole batch; where they are 0 no batch counts as partial.
    """
    found: list[float] = []
    short: set[int] = set()
    for counts in record.counts_by_step("train"):
        steps = _partial_steps(counts.examples or 0, rows, len(counts.losses))
        short |= {len(found) + step for step in steps}
        found += [float("nan") if value is None else float(value) for value in counts.losses]
    whole = [(step, loss) for step, loss in enumerate(found, start=1) if step not in short and not isnan(loss)]
    run = -(-len(whole) // LOSS_POINTS) or 1
    parts = [whole[start : start + run] for start in range(0, len(whole), run)]
    points = tuple((fmean(step for step, _ in part), fmean(loss for _, loss in part)) for part in parts)
    partial = tuple((float(step), found[step - 1]) for step in sorted(short) if not isnan(found[step - 1]))
    return Loss(record.round, len(found), points, partial, whole[-1][1] if whole else None)


def batch_rows(recipe: Recipe | None) -> int:
    """Rows of a whole batch; 0 where the recipe can't be read."""
    return recipe.training.batch_rows if recipe else 0


def _partial_steps(examples: int, rows: int, steps: int) -> set[int]:
    """The last step of each epoch, if its batch has at most half the rows of the others."""
    if not examples or not rows or not 0 < examples % rows <= rows / 2:
        return set()
    an_epoch = -(-examples // rows)
    return set(range(an_epoch, steps + 1, an_epoch)) if an_epoch > 1 else set()


def spreads(rounds: Sequence[Contest]) -> list[Spread]:
    """Lengths of the answers of each model that was judged: the first round's champion and every challenger."""
    sides = [(contest.number, contest.challenger) for contest in rounds]
    if rounds:
        sides.insert(0, (0, rounds[0].champion))
    return [_spread(model, answers) for model, answers in sides if answers]


def _spread(model: int, answers: AnswersByKey) -> Spread:
    rows = [row for found in answers.values() for row in found]
    lengths = sorted(len(row.token_ids) for row in rows)
    low, median, high = (lengths[min(len(lengths) - 1, int(part * len(lengths)))] for part in (0.1, 0.5, 0.9))
    return Spread(model, len(rows), low, median, high, sum(row.stop is StopReason.LENGTH for row in rows) / len(rows))


def openings(contest: Contest) -> tuple[int, list[Opening]]:
    """How many words are an opening here, and the most common openings of both sides, the most common first."""
    for words in OPENING_WORDS:
        sides = [_counted(answers, words) for answers in (contest.champion, contest.challenger)]
        total = sides[0][0] + sides[1][0]
        common = sorted(total, key=lambda opening: (-total[opening], opening))[:OPENINGS]
        if sum(total[opening] for opening in common) >= COVERED * total.total():
            break
    return words, [
        Opening(opening, *((begun[opening], right[opening]) for begun, right in sides)) for opening in common
    ]


def _counted(answers: AnswersByKey, words: int) -> tuple[Counter[str], Counter[str]]:
    """How many answers have each opening, and how many of them are right."""
    rows = [(_opening(row, words), row.correct) for found in answers.values() for row in found]
    return Counter(opening for opening, _ in rows), Counter(opening for opening, correct in rows if correct)


def _opening(row: Answered, words: int) -> str:
    """The first words; text beyond the first few hundred characters can't be part of an opening that is shown."""
    return " ".join(row.text[:400].split(None, words)[:words])


def known(values: Iterable[float | None]) -> int:
    """How many of the values there are."""
    return sum(value is not None for value in values)
