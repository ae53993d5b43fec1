"""The picture of a comparison: points gained on the sealed problems against tokens sampled and trained, as SVG.

Equal outcomes give equal bytes: no date is written, and the ids in the file depend on what is drawn.
"""

from __future__ import annotations

from io import BytesIO

from selfimprove.comparison.outcome import ArmOutcome, Outcome


def picture(outcome: Outcome) -> bytes:
    """The SVG; arms without a finished run aren't in it."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": outcome.name, "svg.fonttype": "none", "text.parse_math": False}):
        figure = Figure(figsize=(7.5, 4.5), layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(0, color="0.6", linewidth=0.8)
        for place, arm in enumerate(arm for arm in outcome.arms if arm.cost and arm.gain):
            x, gain, low, high = _place(arm)
            axes.errorbar(
                [x],
                [gain],
                [[max(0.0, gain - low)], [max(0.0, high - gain)]],
                fmt="o",
                capsize=3,
                color=f"C{place % 10}",
            )
            axes.annotate(arm.name, (x, gain), xytext=(6, 4), textcoords="offset points", fontsize=8)
        axes.set_xlabel("tokens sampled and trained in a run")
        axes.set_ylabel("gain over base on sealed problems, points")
        axes.set_title(f"{outcome.sealed:,} sealed problems, 95 % intervals", fontsize=10)
        axes.margins(x=0.2)
        file = BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _place(arm: ArmOutcome) -> tuple[float, float, float, float]:
    """Tokens, gain, and how far its interval reaches below and above it, in points."""
    assert arm.cost, "only arms with finished runs are drawn"
    assert arm.gain, "likewise"
    gain, (low, high) = arm.gain.mean, arm.gain.interval
    return arm.cost.spent, 100 * gain, 100 * max(0.0, gain - low), 100 * max(0.0, high - gain)
