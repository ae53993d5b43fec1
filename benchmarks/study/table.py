"""The tables and the picture of docs/study.md, from the records of comparisons.

`python benchmarks/study/table.py rounds/NAME…` prints a table; `--against rounds/NAME/ARM` names the arm that the
champions are set against (else the first one), `--picture FILE.svg` draws the gains as well.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean

from selfimprove.compare.folder import Folder
from selfimprove.compare.outcome import ArmOutcome, gain_over, read_outcome
from selfimprove.compare.pooling import Pooled
from selfimprove.formatting import MISSING

HEADER = (
    "| arm | seeds | greedy gain (95 %) | over {first} (95 %) | at T = 0.6 (seeds) | over placebo (seeds) "
    "| rows | targets | prompts | sampled | s |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def main() -> None:
    """Print one table for all the comparisons named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--picture", type=Path)
    typed = parser.parse_args()
    arms = [arm for folder in typed.folders for arm in _arms(folder) if arm.runs]
    first = arms[0] if typed.against is None else _named(typed.against)
    print(HEADER.format(first=first.name))
    for arm in arms:
        print(_row(arm, first))
    if typed.picture:
        _draw(arms, typed.picture)


def _arms(path: Path) -> tuple[ArmOutcome, ...]:
    folder = Folder(path)
    return read_outcome(folder, folder.plan()).arms


def _named(path: Path) -> ArmOutcome:
    return next(arm for arm in _arms(path.parent) if arm.name == path.name)


def _row(arm: ArmOutcome, first: ArmOutcome) -> str:
    cost = arm.cost
    assert cost, "an arm with runs has a cost"
    beside = [run.beside.gain for run in arm.runs if run.beside]
    placebo = [gain for run in arm.runs for gain in run.placebo]
    cells = (
        arm.name,
        f"{len(arm.runs)}",
        _pooled(arm.gain),
        MISSING if arm == first else _pooled(gain_over(arm.runs, first.runs)),
        _seeds(beside),
        _seeds(placebo),
        *(f"{count:,.0f}" for count in (cost.rows, cost.targets, cost.prompts, cost.sampled, cost.seconds)),
    )
    return f"| {' | '.join(cells)} |"


def _pooled(gain: Pooled | None) -> str:
    return f"{_points(gain.mean)} ({_points(gain.interval[0])} to {_points(gain.interval[1])})" if gain else MISSING


def _seeds(gains: list[float]) -> str:
    """Mean, smallest and largest."""
    if len(gains) < 2:
        return _points(gains[0]) if gains else MISSING
    return f"{_points(fmean(gains))} ({_points(min(gains))} to {_points(max(gains))})"


def _points(gain: float) -> str:
    return f"{100 * gain:+.1f}"


def _draw(arms: list[ArmOutcome], path: Path) -> None:
    """Gains from the best arm to the worst, with interval, range of the seeds, and trained targets."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.hashsalt": "study", "svg.fonttype": "none", "font.size": 9})
    told = sorted(
        [(arm.gain, arm.cost, arm.name) for arm in arms if arm.gain and arm.cost], key=lambda one: one[0].mean
    )
    figure = Figure(figsize=(8, 0.22 * len(told) + 0.9), layout="constrained")
    axes = figure.add_subplot()
    for place, (gain, _, _) in enumerate(told):
        axes.plot([100 * end for end in gain.interval], [place, place], color="tab:blue", linewidth=1)
        axes.plot([100 * end for end in gain.spread], [place, place], color="tab:gray", linewidth=4, alpha=0.5)
        axes.plot([100 * gain.mean], [place], "o", markersize=4, color="tab:blue")
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(told)), [f"{name} ({cost.targets:,.0f})" for _, cost, name in told])
    axes.set_ylim(-0.8, len(told) - 0.2)
    axes.grid(axis="x", linewidth=0.4)
    axes.set_xlabel("greedy gain, points: mean, 95 % interval, seeds (grey)")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
