"""The tables and the picture of docs/study-small.md, from the records of comparisons.

`python benchmarks/study/table.py rounds/NAME…` prints a table; `--against rounds/NAME/ARM` names the arm that the
champions are set against (else the first one), `--picture FILE.svg` draws the gains as well.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from selfimprove.compare.folder import Folder
from selfimprove.compare.outcome import ArmOutcome, gain_over, read_outcome
from selfimprove.compare.pooling import Pooled
from selfimprove.formatting import MISSING
from selfimprove.report.svg import ROLES, standalone

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = {
    "upft": "UPFT as in the paper: unselected, 8 tokens",
    "sft": "SFT: unselected, whole solutions",
    "rft": "RFT: verified, whole solutions",
    "rft-one-epoch": "RFT, one epoch",
    "rft-rate-5e-4": "RFT, learning rate 5e-4",
    "rft-rate-5e-5": "RFT, learning rate 5e-5",
    "modal": "modal, 8 tokens",
    "modal-512-8": "modal, 8 tokens, 512 problems",
    "modal-512-16": "modal, 16 tokens, 512 problems",
    "consistent": "consistent, 8 tokens",
    "consistent-full": "consistent, whole solutions",
    "rollout": "rollout, 8 tokens",
    "rollout-agreement": "rollout by agreement, 8 tokens",
    "rollout-pooled": "rollout pooled, 8 tokens",
    "rollout-unshrunk": "rollout without shrinkage, 8 tokens",
    "rollout-weighted": "rollout weighted, 8 tokens",
    "verified": "verified, 8 tokens, 10% whole",
    "verified-length-4": "verified, 4 tokens",
    "verified-length-8": "verified, 8 tokens",
    "verified-length-16": "verified, 16 tokens",
    "verified-length-32": "verified, 32 tokens",
    "verified-length-full": "verified, whole solutions",
    "verified-length-4-structure_ratio-0.1": "verified, 4 tokens, 10% whole",
    "verified-length-4-structure_ratio-0.3": "verified, 4 tokens, 30% whole",
    "verified-length-16-structure_ratio-0.1": "verified, 16 tokens, 10% whole",
    "verified-length-16-structure_ratio-0.3": "verified, 16 tokens, 30% whole",
    "v12-one-epoch": "verified, 12 tokens, one epoch",
    "v16-one-epoch": "verified, 16 tokens, one epoch",
    "v8-p30": "verified, 8 tokens, 30% whole",
    "v8-p50": "verified, 8 tokens, 50% whole",
    "v8-eos": "verified, 8 tokens and EOS",
    "v8-template": "verified, 8 tokens, the paper's template",
    "v8-template-eos": "verified, 8 tokens and EOS, the paper's template",
}
"""What the picture calls the arms: selection, prefix length, share of whole solutions, and what else is special."""


@dataclass(frozen=True)
class Drawn:
    """An arm in the picture: its name, target tokens, gain, the gain's interval and the range over the seeds."""

    name: str
    targets: float
    gain: float
    interval: tuple[float, float]
    spread: tuple[float, float]


HEADER = (
    "| arm | seeds | greedy gain (95%) | over {first} (95%) | at T = 0.6 (seeds) | over placebo (seeds) "
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
    told = [
        Drawn(NAMES.get(arm.name, arm.name), arm.cost.targets, arm.gain.mean, arm.gain.interval, arm.gain.spread)
        for arm in arms
        if arm.gain and arm.cost
    ]
    path.write_text(drawing(told), encoding="utf-8")


def drawing(arms: list[Drawn]) -> str:
    """The picture as SVG, in the style of a report's charts."""
    told = sorted(arms, key=lambda arm: arm.gain)
    best = f"{told[-1].name} {_points(told[-1].gain)}" if told else "none"
    caption = f"Gain of {len(told)} recipes on 512 sealed problems, greedy decoding; the best: {best} points."

    def paint(axes: Axes) -> None:
        axes.axvline(0, color=ROLES["muted"], linewidth=0.8)
        for place, arm in enumerate(told):
            axes.plot(
                [100 * end for end in arm.spread], [place, place], color=ROLES["champion"], linewidth=5, alpha=0.35
            )
            axes.plot([100 * end for end in arm.interval], [place, place], color=ROLES["challenger"], linewidth=1.2)
            axes.plot([100 * arm.gain], [place], "o", markersize=4.5, color=ROLES["challenger"])
        axes.set_yticks(range(len(told)), [f"{arm.name}  ({arm.targets:,.0f})" for arm in told])
        axes.set_ylim(-0.8, len(told) - 0.2)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(
            "gain over the base model, points: mean of 3 seeds, 95% interval (line), range of the seeds (band);\n"
            "in parentheses the tokens trained on"
        )

    return standalone("study", caption, paint, 0.23 * len(told) + 1.1, 8.0)


if __name__ == "__main__":
    main()
