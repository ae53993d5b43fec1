"""The picture of a comparison: points gained on the sealed problems against tokens sampled and trained, as SVG.

Equal outcomes give equal bytes: no date is written, and the ids in the file depend on what is drawn.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from selfimprove.compare.outcome import ArmOutcome, Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = 10
MARKERS = "osD^v"
"""Markers, one for each round through the colours: fifty arms can be told apart."""


def picture(outcome: Outcome) -> bytes:
    """The SVG; arms without a finished run aren't in it."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": outcome.name, "svg.fonttype": "none", "text.parse_math": False}):
        file = BytesIO()
        drawn(outcome).savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def drawn(outcome: Outcome) -> Figure:
    """The picture as a figure of matplotlib: a point with its interval for each arm, named in a legend."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0, color="0.6", linewidth=0.8)
    arms = [arm for arm in outcome.arms if arm.cost and arm.gain]
    points: list[Any] = []
    for place, arm in enumerate(arms):
        tokens, gain, reach = _place(arm)
        marker, colour = MARKERS[place // COLOURS % len(MARKERS)], f"C{place % COLOURS}"
        reaches = [[reach[0]], [reach[1]]]
        points.append(axes.errorbar([tokens], [gain], reaches, fmt=marker, color=colour, capsize=3))
    axes.set_xlabel("tokens sampled and trained in a run")
    axes.set_ylabel("gain over base on sealed problems, points")
    axes.set_title(f"{outcome.sealed:,} sealed problems, 95 % intervals", fontsize=10)
    axes.margins(x=0.1)
    if points:
        figure.legend(points, [arm.name for arm in arms], loc="outside right upper", fontsize=8)
    return figure


def _place(arm: ArmOutcome) -> tuple[float, float, tuple[float, float]]:
    """Tokens, gain, and how far its interval reaches below and above it, in points."""
    assert arm.cost, "only arms with finished runs are drawn"
    assert arm.gain, "likewise"
    gain, (low, high) = arm.gain.mean, arm.gain.interval
    return arm.cost.spent, 100 * gain, (100 * max(0.0, gain - low), 100 * max(0.0, high - gain))
