"""The tables of docs/study.md, from the results of comparisons: `python benchmarks/study/table.py rounds/NAME…`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

HEADER = (
    "| arm | seeds | greedy gain | 95 % | at T = 0.6 | range of seeds | rows | targets | prompts | sampled | s |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def main(folders: list[str]) -> None:
    """Print one table for all the comparisons named."""
    sys.stdout.write(HEADER + "\n")
    for folder in folders:
        for arm in json.loads((Path(folder) / "results.json").read_text())["arms"]:
            sys.stdout.write(_row(arm) + "\n")


def _row(arm: dict[str, Any]) -> str:
    name = arm["name"]
    if not arm["runs"]:
        return f"| {name} | 0 | failed: {'; '.join(arm['failed'].values())} |"
    gain, cost = arm["gain"], arm["cost"]
    seconds = [100 * run["beside"]["gain"] for run in arm["runs"] if run["beside"]]
    told = f"{fmean(seconds):+.1f} | {min(seconds):+.1f} to {max(seconds):+.1f}" if seconds else "– | –"
    low, high = gain["interval"]
    return (
        f"| {name} | {len(arm['runs'])} | {100 * gain['mean']:+.1f} | {100 * low:+.1f} to {100 * high:+.1f} | {told} "
        f"| {cost['rows']:.0f} | {cost['targets']:,.0f} | {cost['prompts']:,.0f} | {cost['sampled']:,.0f} "
        f"| {cost['seconds']:.0f} |"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
