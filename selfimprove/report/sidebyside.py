"""Several runs side by side: what they came to on the sealed problems, what a point cost, where their recipes differ.

Runs are named by a letter in the chart and by letter and name in the tables. Figures of runs on different problems
don't compare; whether the problems are the same is told by the fingerprint that each run is bound to, and said first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from selfimprove.errors import UsageError
from selfimprove.report.costs import costs, price
from selfimprove.report.records import RunRecords, accepted, interval, items, number, word
from selfimprove.report.series import Interval
from selfimprove.report.summary import Section, flat
from selfimprove.store.durable import read_json
from selfimprove.store.journal import Journal
from selfimprove.text import formatting
from selfimprove.text.formatting import MISSING

TITLE = "Runs side by side"


@dataclass(frozen=True)
class Bound:
    """The fingerprints that a run is bound to, empty where its record doesn't tell."""

    recipe: str
    model: str
    problems: str


def bound(run: RunRecords) -> Bound:
    """What the run's recipe.json is bound to."""
    try:
        stored = read_json(Journal(run.folder).recipe_path)
    except UsageError:
        stored = {}
    return Bound(word(stored, "fingerprint"), word(stored, "model"), word(stored, "problems"))


def letter(place: int) -> str:
    """The letter of a run; numbers after Z."""
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def outcomes(runs: Sequence[RunRecords]) -> Section:
    """A row for each run: rounds, sealed outcome, cost and cost per point."""
    header = ("run", "rounds", "accepted", "base", "champion", "gain", "95 % interval", "n", "time", "sampled tokens",
              "time per point", "tokens per point")  # fmt: skip
    rows = tuple(_outcome(place, run) for place, run in enumerate(runs))
    return Section(TITLE, _cautions(runs), header, rows, frozenset({"run"}))


def _outcome(place: int, run: RunRecords) -> tuple[str, ...]:
    last = items(run.sealed, "looks")[-1:]
    total, per_point = costs(run.rounds)[1], price(run).per_point
    return (
        f"{letter(place)}: {run.name}",
        str(len(run.rounds)),
        str(sum(map(accepted, run.rounds))),
        formatting.percent(number(last, 0, "base_accuracy")),
        formatting.percent(number(last, 0, "champion_accuracy")),
        formatting.points(number(last, 0, "gain")),
        formatting.points_range(interval(last, 0, "gain_interval")) if last else MISSING,
        formatting.count(number(last, 0, "n")),
        formatting.duration(total.seconds),
        formatting.count(total.sampled),
        formatting.duration(per_point.seconds if per_point else None),
        formatting.count(per_point.sampled if per_point else None),
    )


def _cautions(runs: Sequence[RunRecords]) -> tuple[str, ...]:
    bounds = [bound(run) for run in runs]
    told = []
    if len({found.problems for found in bounds}) > 1:
        told.append("These runs were made on different problems: their figures don't compare.")
    if len({found.model for found in bounds}) > 1:
        told.append("These runs started from different base weights.")
    return tuple(told) or ("All runs have the same base weights and the same problems.",)


def differences(runs: Sequence[RunRecords]) -> Section:
    """The recipe keys in which the runs differ, with each run's value."""
    recipes = [flat(run.recipe) for run in runs]
    keys = sorted(set().union(*recipes))
    rows = tuple((key, *values) for key in keys if len(set(values := [_value(one, key) for one in recipes])) > 1)
    header = ("key", *(f"{letter(place)}: {run.name}" for place, run in enumerate(runs)))
    told = () if rows else ("The recipes don't differ.",)
    return Section("Where the recipes differ", told, header, rows, frozenset(header))


def _value(recipe: dict[str, object], key: str) -> str:
    return json.dumps(recipe[key], ensure_ascii=False, default=str) if key in recipe else MISSING


def gains(runs: Sequence[RunRecords]) -> list[tuple[str, str, float, Interval]]:
    """Each run's champion on the sealed problems, as rows of a sealed chart."""
    rows = []
    for place, run in enumerate(runs):
        look = items(run.sealed, "looks")[-1:]
        share = number(look, 0, "champion_accuracy")
        if share is not None:
            rows.append((letter(place), f"hue{place % 6}", float(share), interval(look, 0, "champion_interval")))
    return rows
