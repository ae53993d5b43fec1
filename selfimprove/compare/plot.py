"""The picture of a comparison: points gained on the sealed problems against tokens generated and trained, as SVG.

It is drawn in the style of a report's charts (`report/svg.py`). Equal outcomes give equal bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfimprove.compare.outcome import ArmOutcome, Outcome
from selfimprove.report.svg import HUES, ROLES, standalone

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vP"
"""Markers, one for each round through the colours: 72 arms, filled and hollow, can be told apart."""
WIDTH, HEIGHT = 8.0, 4.5
"""Inches."""
ROW = 0.2
"""Inches of a row of the legend."""


def picture(outcome: Outcome) -> bytes:
    """The SVG; arms without a finished run aren't in it."""
    arms = [arm for arm in outcome.arms if arm.cost and arm.gain]
    told = "; ".join(f"{arm.name} {100 * arm.gain.mean:+.1f} points" for arm in arms if arm.gain)
    caption = f"Gains on {outcome.sealed:,} sealed problems: {told or 'no run is finished'}."
    height = max(HEIGHT, ROW * len(arms) + 0.6)
    return standalone("compare", caption, lambda axes: paint(axes, outcome), height, WIDTH).encode()


def paint(axes: Axes, outcome: Outcome) -> None:
    """A point with its 95% interval for each arm, named in a legend beside the axes."""
    axes.axhline(0, color=ROLES["muted"], linewidth=0.8)
    arms = [arm for arm in outcome.arms if arm.cost and arm.gain]
    for place, arm in enumerate(arms):
        tokens, gain, reach = _place(arm)
        turn, colour = place // HUES, ROLES[f"hue{place % HUES}"]
        axes.errorbar(
            [tokens],
            [gain],
            [[reach[0]], [reach[1]]],
            fmt=MARKERS[turn % len(MARKERS)],
            color=colour,
            markerfacecolor=colour if turn // len(MARKERS) % 2 == 0 else "none",
            capsize=3,
            label=arm.name,
        )
    axes.set_xlabel("tokens generated and trained on, per run")
    axes.set_ylabel("gain over the base model, points")
    axes.set_title(f"{outcome.sealed:,} sealed problems, with 95% intervals", fontsize=9, loc="left")
    axes.xaxis.set_major_formatter(lambda value, _: _short(value))
    axes.margins(x=0.1)
    if arms:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02))


def _short(tokens: float) -> str:
    """A number of tokens on the axis: `20k`, `1.5M`."""
    if abs(tokens) >= 1e6:
        return f"{tokens / 1e6:g}M"
    return f"{tokens / 1e3:g}k" if abs(tokens) >= 1e3 else f"{tokens:g}"


def _place(arm: ArmOutcome) -> tuple[float, float, tuple[float, float]]:
    """Tokens, gain, and how far its interval reaches below and above it, in points."""
    assert arm.cost, "only arms with finished runs are drawn"
    assert arm.gain, "likewise"
    gain, (low, high) = arm.gain.mean, arm.gain.interval
    return arm.cost.spent, 100 * gain, (100 * max(0.0, gain - low), 100 * max(0.0, high - gain))
