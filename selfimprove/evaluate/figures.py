"""From answers to figures: pure.

*Intervals.* The table of models has 95% intervals, each for itself: Wilson's of an accuracy, Tango's score interval of
a paired difference, and for averages over several answers the gate's betting interval. The table by fields has m
intervals, and among many rows some would miss by chance alone. So each is taken at the level 1 − 0.05/m (Bonferroni):
then all m hold at once with a chance of at least 95%, however the rows overlap. So far out in the tails Wilson's
interval falls short, so accuracies in this table have the exact one of Clopper and Pearson; Tango's holds there, as
docs/evaluate.md shows by simulation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TypedDict

from selfimprove.evaluate.groups import Group
from selfimprove.gate.decision import interval_of_gain, interval_of_rate, pass_at_k, split_of
from selfimprove.gate.intervals import clopper_pearson
from selfimprove.round.answers import AnswersByKey, pairs_of, share
from selfimprove.sampling import StopReason
from selfimprove.store.evaluations import GainFigures, GroupFigures, GroupGain, SideFigures
from selfimprove.store.records import SplitRecord

LEVEL = 0.95
Answers = Mapping[str, AnswersByKey]
"""The answers of each model by its name; the first is the one that others are compared with."""


class Figures(TypedDict):
    """The part of an `Evaluation` that comes from answers alone."""

    sides: tuple[SideFigures, ...]
    gains: tuple[GainFigures, ...]
    groups: tuple[GroupFigures, ...]
    intervals: int
    level: float


def figures_of(keys: Sequence[str], groups: Sequence[Group], answers: Answers) -> Figures:
    """All figures of these problems, which may be none, and of the groups, each of which has some."""
    first, *others = answers
    intervals = len(groups) * max(1, len(others))
    level = 1 - (1 - LEVEL) / max(1, intervals)
    return Figures(
        sides=tuple(_side(name, keys, found) for name, found in answers.items()) if keys else (),
        gains=tuple(_gain(first, other, keys, answers) for other in others) if keys else (),
        groups=tuple(_group(group, answers, level) for group in groups),
        intervals=intervals,
        level=level,
    )


def _side(name: str, keys: Sequence[str], answers: AnswersByKey) -> SideFigures:
    rows = [row for key in keys for row in answers[key]]
    right, samples = _right(keys, answers), len(rows) // len(keys)
    return SideFigures(
        model=name,
        accuracy=right / len(keys),
        interval=interval_of_rate(round(right), len(keys)),
        pass_at_k={str(k): _pass_at(k, keys, answers) for k in _powers(samples)},
        unreadable=sum(row.unreadable for row in rows) / len(rows),
        truncated=sum(row.stop is StopReason.LENGTH for row in rows) / len(rows),
        tokens=sum(len(row.token_ids) for row in rows),
        mean_tokens=sum(len(row.token_ids) for row in rows) / len(rows),
    )


def _gain(first: str, other: str, keys: Sequence[str], answers: Answers) -> GainFigures:
    pairs = pairs_of(keys, answers[first], answers[other])
    return GainFigures(
        model=other,
        over=first,
        gain=sum(pair.challenger - pair.champion for pair in pairs) / len(pairs),
        interval=interval_of_gain(pairs),
        wins=sum(pair.challenger > pair.champion for pair in pairs),
        losses=sum(pair.challenger < pair.champion for pair in pairs),
        split=SplitRecord(**asdict(split_of(pairs))),
    )


def _group(group: Group, answers: Answers, level: float) -> GroupFigures:
    n = len(group.keys)
    right = [_right(group.keys, found) for found in answers.values()]
    first, *others = answers
    paired = [pairs_of(group.keys, answers[first], answers[other]) for other in others]
    return GroupFigures(
        field=group.field,
        value=group.value,
        n=n,
        accuracies=tuple(one / n for one in right),
        interval=None if others else clopper_pearson(round(right[0]), n, level),
        gains=tuple(
            GroupGain(gain=(after - right[0]) / n, interval=interval_of_gain(pairs, level))
            for after, pairs in zip(right[1:], paired, strict=True)
        ),
    )


def _right(keys: Sequence[str], answers: AnswersByKey) -> float:
    """How many of the problems are answered right; of several answers to one, their share."""
    return sum(share(answers[key]) for key in keys)


def _pass_at(k: int, keys: Sequence[str], answers: AnswersByKey) -> float:
    found = [answers[key] for key in keys]
    return sum(pass_at_k(len(rows), sum(row.correct for row in rows), k) for rows in found) / len(found)


def _powers(samples: int) -> list[int]:
    """1, 2, 4, … up to the samples, and the samples; none of a single one."""
    return sorted({*(1 << power for power in range(samples.bit_length())), samples}) if samples > 1 else []
