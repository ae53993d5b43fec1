"""Several runs side by side: what they came to on the sealed problems, what a point cost, where their recipes differ.

Runs are named by a letter in the chart and by letter and name in the tables. Figures of runs on different problems
don't compare; whether the problems are the same is told by the fingerprint that each run is bound to, and said first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from selfimprove import formatting
from selfimprove.formatting import MISSING
from selfimprove.report.costs import costs, price
from selfimprove.report.records import RunRecords
from selfimprove.report.section import Section
from selfimprove.report.series import Interval
from selfimprove.report.settings import flat

TITLE = "Runs side by side"


def letter(place: int) -> str:
    """The letter of a run; numbers after Z."""
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def outcomes(runs: Sequence[RunRecords]) -> Section:
    """A row for each run: rounds, sealed outcome, cost and cost per point."""
    header = ("run", "rounds accepted", "base", "champion", "gain, points", "95% interval", "sealed problems", "time",
              "generated tokens", "time per point", "tokens per point")  # fmt: skip
    rows = tuple(_outcome(place, run) for place, run in enumerate(runs))
    return Section(TITLE, _cautions(runs), header, rows, frozenset({"run"}))


def _outcome(place: int, run: RunRecords) -> tuple[str, ...]:
    look = run.last_look
    total, per_point = costs(run.rounds)[1], price(run).per_point
    return (
        f"{letter(place)}: {run.name}",
        f"{len(run.accepted)} of {len(run.rounds)}",
        formatting.percent(look.base_accuracy if look else None),
        formatting.percent(look.champion_accuracy if look else None),
        formatting.points(look.gain if look else None),
        formatting.points_range(look.gain_interval) if look else MISSING,
        formatting.count(look.n if look else None),
        formatting.duration(total.seconds),
        formatting.count(total.sampled),
        formatting.duration(per_point.seconds if per_point else None),
        formatting.count(per_point.sampled if per_point else None),
    )


def _cautions(runs: Sequence[RunRecords]) -> tuple[str, ...]:
    told = []
    if len({run.bound.problems for run in runs}) > 1:
        told.append("These runs used different problems: their figures can't be compared.")
    if len({run.bound.model for run in runs}) > 1:
        told.append("These runs started from different base weights.")
    return tuple(told) or ("All runs have the same base weights and the same problems.",)


def splits(runs: Sequence[RunRecords]) -> Section:
    """What each run's sealed gain is made of, where its record tells it."""
    header = ("run", "became readable", "became right", "became unreadable", "became wrong", "gain")
    rows = tuple(
        (f"{letter(place)}: {run.name}", *formatting.split_cells(look.split), formatting.points(look.gain))
        for place, run in enumerate(runs)
        if (look := run.last_look) and look.split
    )
    return Section("What the sealed gains are made of, in points", (), header, rows, frozenset({"run"}))


def differences(runs: Sequence[RunRecords]) -> Section:
    """The recipe keys in which the runs differ, with each run's value."""
    recipes = [flat(run.bound.recipe) for run in runs]
    keys = sorted(set().union(*recipes))
    rows = tuple((key, *values) for key in keys if len(set(values := [_value(one, key) for one in recipes])) > 1)
    header = ("key", *(f"{letter(place)}: {run.name}" for place, run in enumerate(runs)))
    told = () if rows else ("The recipes don't differ.",)
    return Section("Where the recipes differ", told, header, rows, frozenset(header))


def _value(recipe: dict[str, object], key: str) -> str:
    return json.dumps(recipe[key], ensure_ascii=False, default=str) if key in recipe else MISSING


def gains(runs: Sequence[RunRecords]) -> list[tuple[str, str, float, Interval]]:
    """Each run's champion on the sealed problems, as rows of a sealed chart."""
    rows: list[tuple[str, str, float, Interval]] = []
    for place, run in enumerate(runs):
        if look := run.last_look:
            rows.append((letter(place), f"hue{place % 6}", float(look.champion_accuracy), look.champion_interval))
    return rows
