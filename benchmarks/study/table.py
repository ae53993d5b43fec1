"""The tables and the picture of docs/study.md, from the records of comparisons.

`python benchmarks/study/table.py rounds/NAME…` prints a table; with `--picture FILE.svg` gains are drawn as well.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean
from typing import Any

from selfimprove.comparison.folder import Folder
from selfimprove.comparison.outcome import read_outcome, results

HEADER = (
    "| arm | seeds | greedy gain | 95 % | at T = 0.6 | range of seeds | rows | targets | prompts | sampled | s |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def main() -> None:
    """Print one table for all the comparisons named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--picture", type=Path)
    typed = parser.parse_args()
    arms = [arm for folder in typed.folders for arm in _arms(Folder(folder)) if arm["runs"]]
    print("\n".join([HEADER, *map(_row, arms)]))
    if typed.picture:
        _draw(arms, typed.picture)


def _arms(folder: Folder) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = results(read_outcome(folder, folder.plan()))["arms"]
    return found


def _row(arm: dict[str, Any]) -> str:
    gain, cost = arm["gain"], arm["cost"]
    seconds = [100 * run["beside"]["gain"] for run in arm["runs"] if run["beside"]]
    told = f"{fmean(seconds):+.1f} | {min(seconds):+.1f} to {max(seconds):+.1f}" if seconds else "– | –"
    low, high = gain["interval"]
    return (
        f"| {arm['name']} | {len(arm['runs'])} | {100 * gain['mean']:+.1f} | {100 * low:+.1f} to {100 * high:+.1f} "
        f"| {told} | {cost['rows']:.0f} | {cost['targets']:,.0f} | {cost['prompts']:,.0f} | {cost['sampled']:,.0f} "
        f"| {cost['seconds']:.0f} |"
    )


def _draw(arms: list[dict[str, Any]], path: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.hashsalt": "study", "svg.fonttype": "none", "font.size": 8})
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.add_subplot()
    for place, arm in enumerate(sorted(arms, key=lambda arm: arm["gain"]["mean"])):
        x, y = arm["cost"]["targets"], 100 * arm["gain"]["mean"]
        seeds = [100 * (run["champion"] - run["base"]) for run in arm["runs"]]
        axes.plot([x, x], [min(seeds), max(seeds)], color="tab:gray", linewidth=1)
        axes.plot([x], [y], "o", markersize=4, color="tab:blue")
        side, offset = ("left", 4) if place % 2 else ("right", -4)
        axes.annotate(arm["name"], (x, y), xytext=(offset, 2), textcoords="offset points", ha=side)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("target tokens trained in the round, all epochs")
    axes.set_ylabel("gain on the sealed problems, points (bar: range of the seeds)")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
