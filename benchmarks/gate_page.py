"""docs/gate.md and docs/gate.png: the simulation's table between its marks, and its picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from gate_draws import ALPHA, BIG, BIG_FLIPS, ROUNDS, SETTINGS, Runs, draw, mcnemar, run_gate

from selfimprove.gate.budget import share_of_round

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- simulation: begin -->", "<!-- simulation: end -->"


@dataclass(frozen=True)
class Row:
    """One line of the table; `met` is empty where no target was set."""

    claim: str
    figure: str
    target: str = ""
    met: str = ""


def as_table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| claim | simulated (repeats) | target | met |", "| --- | --- | --- | --- |"]
    return "\n".join(lines + [f"| {row.claim} | {row.figure} | {row.target} | {row.met} |" for row in rows]) + "\n"


def write_table(table: str) -> None:
    """Put the table between its marks in docs/gate.md."""
    page = DOCS / "gate.md"
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{table}{END}{rest.split(END)[1]}", encoding="utf-8")


# --- the picture ---


def draw_picture(runs: Runs, naive: Runs, repeats: int) -> None:
    """docs/gate.png: error over rounds, power over the true gain, share judged over the true gain."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    _plot_runs(left, runs, naive)
    _plot_power(middle, right, repeats)
    figure.savefig(DOCS / "gate.png", dpi=110, metadata={"Software": None})
    plt.close(figure)


def _plot_runs(axes: Axes, runs: Runs, naive: Runs) -> None:
    rounds = np.arange(1, ROUNDS + 1)
    for flags, label, style in ((naive.false, "new ≥ old", "C3-"), (runs.false, "this gate", "C0-")):
        axes.plot(rounds, np.logical_or.accumulate(flags, axis=1).mean(axis=0), style, label=label)
    axes.plot(rounds, ALPHA * rounds / (rounds + 1), "C7:", label="error budget spent")
    axes.axhline(ALPHA, color="k", lw=0.8, ls="--", label="α = 0.05")
    axes.set(yscale="log", xlabel="rounds", ylabel="chance of any false accept", title="no true gain, one set of 500")
    axes.set_xticks([1, 5, 10, 15, 20])
    axes.legend(fontsize=8)


def _plot_power(middle: Axes, right: Axes, repeats: int) -> None:
    rng, alpha = np.random.default_rng(12), share_of_round(SETTINGS, 1)
    gains = np.arange(-0.06, 0.101, 0.01)
    gate, fixed, share = [], [], []
    for gain in gains:
        wins, losses = draw(rng, repeats, BIG, BIG_FLIPS, float(gain))
        result = run_gate(wins, losses, BIG, alpha)
        gate.append(result.accepted.mean())
        fixed.append(mcnemar(wins[:, -1], losses[:, -1], alpha).mean())
        share.append(result.judged.mean() / BIG)
    middle.plot(100 * gains, fixed, "C7--", label="McNemar's exact test, all judged")
    middle.plot(100 * gains, gate, "C0-", label="this gate")
    middle.set(xlabel="true gain, points", ylabel="chance of acceptance", title="1,000 problems, flips 15%, round 1")
    middle.legend(fontsize=8, loc="upper left")
    right.plot(100 * gains, share, "C0-")
    right.axhline(1, color="C7", ls="--")
    right.set(xlabel="true gain, points", ylabel="mean share judged", ylim=(0, 1.05), title="what a decision costs")
