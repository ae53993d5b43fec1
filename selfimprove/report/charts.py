"""The charts of a report's page: what is drawn of a run, each as one small picture with a sentence that says it too.

Every figure that is drawn also stands in a table of the page. Colour never speaks alone: accepted rounds have a filled
mark, rejected ones a hollow one, lines differ in mark and dash. Axes show what the records hold; a missing figure
leaves a gap, and a chart without any figure isn't drawn.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from selfimprove import formatting
from selfimprove.report.costs import Spent
from selfimprove.report.series import Interval, Loss, RoundFigures, Spread, Trail, known
from selfimprove.report.svg import HUES, ROLES, Chart, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = "osD^vP"
DASHES = ("-", "--", "-.", ":")
TICKS = 10
"""Rounds named on an axis."""
FEW = 6
"""Rounds up to which each line of the evidence has its number."""


def sealed_chart(name: str, rows: Sequence[tuple[str, str, float, Interval]]) -> Chart | None:
    """Accuracies on the sealed problems with their intervals, one below the other: (label, role, share, interval)."""
    if not rows:
        return None

    seen = _room(rows)

    def paint(axes: Axes) -> None:
        for place, (label, role, share, ends) in enumerate(rows):
            _whiskers(axes.hlines, place, ends, role)
            axes.plot([100 * share], [place], "o", color=ROLES[role], markersize=8)
            told = f"{label}  {formatting.percent(share)}"
            axes.annotate(told, (100 * share, place), (0, 9), textcoords="offset points", ha=_aligned(share, seen))
        axes.set_xlim(*seen)
        axes.set_ylim(len(rows) - 0.5, -0.8)
        axes.set_yticks([])
        axes.set_xlabel("accuracy on the sealed problems, %, with 95% intervals")
        axes.spines["left"].set_visible(False)

    caption = "; ".join(
        f"{label} {formatting.percent(share)} ({formatting.percent_range(ends)})" for label, _, share, ends in rows
    )
    return drawn(name, f"Sealed problems: {caption}.", paint, 0.9 + 0.5 * len(rows))


def _room(rows: Sequence[tuple[str, str, float, Interval]]) -> tuple[float, float]:
    """The range of an axis in percent, with room around all shares and their intervals."""
    told = [100 * value for _, _, share, ends in rows for value in (share, *ends) if value is not None]
    low, high = min(told), max(told)
    aside = max(0.08 * (high - low), 0.5)
    return low - aside, high + aside


def _aligned(share: float, seen: tuple[float, float]) -> str:
    """On which side of its mark a label stands so that it stays inside the axes."""
    part = (100 * share - seen[0]) / (seen[1] - seen[0])
    return "left" if part < 0.3 else "right" if part > 0.7 else "center"


def accuracy_chart(rounds: Sequence[RoundFigures]) -> Chart | None:
    """Champion and challenger by round with their intervals; filled marks were accepted."""
    if not any(found.champion is not None or found.challenger is not None for found in rounds):
        return None

    def paint(axes: Axes) -> None:
        for shift, role in ((-0.1, "champion"), (0.1, "challenger")):
            shares = [getattr(found, role) for found in rounds]
            places = [found.number + shift for found in rounds]
            for place, found in zip(places, rounds, strict=True):
                _whiskers(axes.vlines, place, getattr(found, f"{role}_interval"), role, 1.2)
            axes.plot(places, _percents(shares), _line(role), color=ROLES[role], linewidth=1)
            for place, share, found in zip(places, shares, rounds, strict=True):
                _mark(axes, place, share, role, role == "champion" or found.accepted)
        for role, mark in (("champion", "s"), ("challenger", "o")):
            axes.plot([], [], mark + _line(role), color=ROLES[role], label=role, linewidth=1)
        _by_round(axes, [found.number for found in rounds], "accuracy, %")
        _legend_above(axes)

    return drawn(
        "accuracy",
        "Accuracy of champion and challenger on the same held-out problems, by round, each with its own 95% interval. "
        "A filled circle is an accepted challenger, a hollow one a rejected challenger.",
        paint,
    )


def gain_chart(rounds: Sequence[RoundFigures]) -> Chart | None:
    """The gain of each round with the interval that holds at all looks at once."""
    if known(found.gain for found in rounds) == 0:
        return None

    def paint(axes: Axes) -> None:
        axes.axhline(0, color=ROLES["muted"], linewidth=1)
        for found in rounds:
            role = "good" if found.accepted else "bad"
            _whiskers(axes.vlines, found.number, found.gain_interval, role, 1.6)
            _mark(axes, found.number, found.gain, role, found.accepted)
        _by_round(axes, [found.number for found in rounds], "gain, points")

    return drawn(
        "gain",
        "Gain of the challenger over the champion by round, with a 95% interval that is simultaneously valid at all "
        "looks. Filled marks: accepted.",
        paint,
    )


def evidence_chart(trails: Sequence[Trail]) -> Chart | None:
    """Evidence over what the round needed, by problems judged, on a logarithmic scale; above 1 the gate accepts.

    Where there are many rounds the rejected ones step back, without numbers.
    """
    drawable = [trail for trail in trails if trail.looks]
    if not drawable:
        return None
    named = drawable if len(drawable) <= FEW else [trail for trail in drawable if trail.accepted]

    def paint(axes: Axes) -> None:
        for trail in drawable:
            _trail(axes, trail, named.index(trail) if trail in named else None)
        axes.axhline(1, color=ROLES["ink"], linewidth=1)
        axes.annotate("accept", (0, 1), (3, 3), xycoords=("axes fraction", "data"), textcoords="offset points")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda value, _: "")
        axes.set_xlim(left=0)
        axes.margins(x=0.1)
        axes.set_xlabel("held-out problems judged")
        axes.set_ylabel("evidence ÷ evidence needed")

    told = "Each line has its round's number" if named == drawable else "Accepted rounds (thick lines) have a number"
    return drawn(
        "evidence",
        f"How the evidence grew as problems were judged. {told}; the gate accepts where a line reaches 1.",
        paint,
    )


def _trail(axes: Axes, trail: Trail, place: int | None) -> None:
    """One round's line, with its number at the end if it is the `place`-th that has one."""
    judged, shares = zip(*trail.looks, strict=True)
    colour = ROLES["good" if trail.accepted else "bad"]
    if place is None:
        axes.plot(judged, shares, color=colour, linewidth=0.7, alpha=0.5)
        return
    axes.plot(judged, shares, DASHES[place % 4], marker=".", color=colour, linewidth=1.4)
    aside = (4 + 14 * (place % 3), 9 * (place // 3 % 2))  # ends that coincide keep their numbers apart
    axes.annotate(str(trail.number), (judged[-1], shares[-1]), aside, textcoords="offset points", va="center")


def cost_chart(rounds: Sequence[tuple[int, dict[str, Spent]]]) -> Chart | None:
    """Seconds of each round, stacked by stage; stages beyond the colours are one."""
    named = list(dict.fromkeys(name for _, spent in rounds for name in spent))
    if not any(cost.seconds for _, spent in rounds for cost in spent.values()):
        return None
    shown = named if len(named) <= HUES else named[: HUES - 1]

    def paint(axes: Axes) -> None:
        numbers = [number for number, _ in rounds]
        floor = [0.0] * len(rounds)
        for place, stage in enumerate([*shown, *(["others"] if shown != named else [])]):
            told = [_seconds(spent, [stage] if stage in shown else named[HUES - 1 :]) for _, spent in rounds]
            label = stage if stage.isascii() and stage.isidentifier() else f"stage {place + 1}"
            axes.bar(numbers, told, 0.7, floor, color=ROLES[f"hue{place}"], label=label[:12])
            floor = [low + more for low, more in zip(floor, told, strict=True)]
        _by_round(axes, numbers, "seconds")
        _legend_above(axes)

    return drawn("cost", "Time of each round by stage, in seconds.", paint)


def loss_chart(losses: Sequence[Loss]) -> Chart | None:
    """The training loss over the optimizer steps of all rounds, one after the other."""
    drawable = [loss for loss in losses if loss.points]
    if not drawable:
        return None

    def paint(axes: Axes) -> None:
        before = 0
        for place, loss in enumerate(drawable):
            steps, values = zip(*loss.points, strict=True)
            colour = ROLES[f"hue{place % 2}"]
            axes.plot([before + step for step in steps], values, color=colour, linewidth=1.3)
            for step, value in loss.partial:
                axes.plot([before + step], [value], "o", color=colour, markerfacecolor="none", markersize=4)
            axes.annotate(
                str(loss.number), (before + steps[0], 1), (0, 2), xycoords=("data", "axes fraction"),
                textcoords="offset points",
            )  # fmt: skip
            before += loss.steps
            axes.axvline(before + 0.5, color=ROLES["rule"], linewidth=0.8)
        axes.set_xlabel("optimizer step over all rounds (round numbers above)")
        axes.set_ylabel("loss, nats per token")

    told = "Training loss by optimizer step, over all rounds in order."
    if any(loss.partial for loss in drawable):
        told += " Hollow marks: the last batch of an epoch, whose mean varies more because it has few rows."
    return drawn("loss", told, paint)


def entropy_chart(numbers: Sequence[int], entropy: Sequence[float | None], cut: Sequence[float | None]) -> Chart | None:
    """Entropy of the sampled prefixes by round."""
    if known(entropy) == 0:
        return None

    def paint(axes: Axes) -> None:
        axes.plot(numbers, _gaps(entropy), "o-", color=ROLES["champion"], linewidth=1.3)
        _by_round(axes, numbers, "prefix entropy, nats")
        axes.set_ylim(0, 1.15 * max(value for value in entropy if value is not None) or 1)

    told = f" Cut samples: {formatting.percent(cut[0])} in the first round, {formatting.percent(cut[-1])} in the last."
    return drawn("entropy", f"Entropy of the first tokens of the training samples by round.{told}", paint)


def length_chart(spreads: Sequence[Spread]) -> Chart | None:
    """Median length of the judged answers of each model with the middle 80%, and the share that was cut."""
    if not spreads:
        return None

    def paint(axes: Axes) -> None:
        for spread in spreads:
            axes.vlines(spread.model, spread.low, spread.high, color=ROLES["challenger"], linewidth=5, alpha=0.35)
            axes.plot([spread.model], [spread.median], "o", color=ROLES["challenger"])
        _by_round(axes, [spread.model for spread in spreads], "tokens per answer")
        axes.set_xlabel("model (0 is the base)")
        axes.set_ylim(0, 1.1 * max(spread.high for spread in spreads) or 1)

    return drawn("lengths", "Length of the judged answers by model: median, and range of the middle 80%.", paint)


def runs_chart(runs: Sequence[tuple[str, Sequence[RoundFigures]]]) -> Chart | None:
    """The challenger's accuracy by round, a line for each run; filled marks were accepted."""
    if not any(found.challenger is not None for _, rounds in runs for found in rounds):
        return None

    def paint(axes: Axes) -> None:
        for place, (letter, rounds) in enumerate(runs):
            role, mark = f"hue{place % HUES}", MARKS[place % len(MARKS)]
            numbers = [found.number for found in rounds]
            line = _percents([found.challenger for found in rounds])
            axes.plot(numbers, line, DASHES[place % 4], color=ROLES[role], linewidth=1.2)
            axes.plot([], [], DASHES[place % 4] + mark, color=ROLES[role], label=letter)
            for found in rounds:
                _mark(axes, found.number, found.challenger, role, found.accepted, mark)
        _by_round(axes, sorted({found.number for _, rounds in runs for found in rounds}), "challenger's accuracy, %")
        _legend_above(axes)

    return drawn("runs", "Accuracy of the challenger by round for each run; filled marks were accepted.", paint)


def _line(role: str) -> str:
    return "--" if role == "champion" else "-"


def _mark(axes: Axes, place: float, share: float | None, role: str, filled: bool, mark: str = "") -> None:
    if share is not None:
        shape = mark or ("s" if role == "champion" else "o")
        face = ROLES[role] if filled else "none"
        axes.plot([place], [100 * share], shape, color=ROLES[role], markerfacecolor=face, markersize=5.5)


def _whiskers(lines: Callable[..., object], place: float, ends: Interval, role: str, width: float = 3) -> None:
    low, high = ends
    if low is not None and high is not None:
        lines(place, 100 * low, 100 * high, color=ROLES[role], linewidth=width, alpha=0.6)


def _by_round(axes: Axes, numbers: Sequence[int], title: str) -> None:
    axes.set_xlabel("round")
    axes.set_ylabel(title)
    axes.grid(visible=False, axis="x")
    if numbers:
        axes.set_xticks(_ticks(min(numbers), max(numbers)))
        axes.set_xlim(min(numbers) - 0.6, max(numbers) + 0.6)


def _ticks(first: int, last: int) -> list[int]:
    """Whole rounds, at most `TICKS`, evenly apart."""
    apart = next(step for step in itertools.count(1) if (last - first) // step < TICKS)
    return list(range(first, last + 1, apart))


def _legend_above(axes: Axes) -> None:
    """The legend in rows above the axes, where it hides nothing."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=6, borderaxespad=0.2, columnspacing=1.2, handlelength=1.6,
        handletextpad=0.5,
    )  # fmt: skip


def _percents(shares: Sequence[float | None]) -> list[float]:
    return [100 * share for share in _gaps(shares)]


def _gaps(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _seconds(spent: dict[str, Spent], stages: Sequence[str]) -> float:
    return sum((spent[stage].seconds or 0.0) for stage in stages if stage in spent)
