"""The gain that can be hoped for, held against what the gate can detect: told before a run costs anything.

What can be hoped for is the largest gain that is known for such a recipe: even a round that gains as much would be
missed more than one time in five. What docs/study.md measured of such a recipe with a larger model is less, so where
the gate can detect the one and not the other, that is told. Another model and other problems may gain more, so nothing
is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from selfimprove.formatting import points_worth
from selfimprove.gate.budget import alpha_of_round
from selfimprove.gate.intervals import LIKELY_FLIPS, POWER, power, size_needed, smallest_gain
from selfimprove.problem import ProblemSets
from selfimprove.problem.generated import PREFIX
from selfimprove.recipe import EMBEDDED, Recipe

SLACK = 0.02
"""What power may lack without a warning: it goes up and down by as much from one size to the next."""


@dataclass(frozen=True)
class Hope:
    """A gain in accuracy as a share of the problems, and where it was seen."""

    gain: float
    seen: str


PUBLISHED = Hope(0.044, "the largest that the paper of the method reports")
"""arXiv 2503.02875, its tables: a 7B model's mean over four benchmarks."""
STUDIED = Hope(0.242, "that of generated arithmetic in docs/study-small.md")
"""The embedded model on generated arithmetic, trained on verified solutions."""
MEASURED = {
    ("all", False, False): Hope(0.006, "+0.6 (−2.0 to +3.1)"),
    ("verified", True, False): Hope(0.016, "+1.6 (−2.6 to +5.9)"),
    ("verified", True, True): Hope(-0.012, "−1.2 (−5.4 to +3.0)"),
    ("verified", False, True): Hope(-0.023, "−2.3 (−7.2 to +2.3)"),
    ("consistent", True, True): Hope(-0.031, "−3.1 (−8.2 to +1.8)"),
}
"""Gains of docs/study.md, and as it writes them: by selection, and by whether solutions were whole, and several."""


def hoped(recipe: Recipe) -> Hope:
    """The largest gain of one round that is known for such a recipe, beside what was measured with a larger model."""
    if recipe.model.name == EMBEDDED and recipe.problems.train.startswith(PREFIX) and recipe.prefixes.needs_answers:
        return STUDIED
    measured = _measured(recipe)
    return Hope(PUBLISHED.gain, f"{PUBLISHED.seen}; {_told(measured)}") if measured else PUBLISHED


def _measured(recipe: Recipe) -> Hope | None:
    """What was measured of such a recipe with a larger model than the embedded one; None for that one."""
    if recipe.model.name == EMBEDDED:
        return None
    return MEASURED.get((recipe.prefixes.select, recipe.prefixes.whole, recipe.sampling.samples > 1))


def _told(measured: Hope) -> str:
    return f"docs/study.md measured {measured.seen} on GSM8K with 1.5 billion parameters"


def heldout_needed(recipe: Recipe) -> int:
    """Held-out problems with which round 1 detects the gain hoped for at 80% power, if answers are greedy."""
    gain = hoped(recipe).gain
    return size_needed(gain, alpha_of_round(recipe.gate, ()), _flips(gain))


def power_gap(recipe: Recipe, heldout: int, most: int | None = None) -> tuple[str, str]:
    """That `heldout` problems can't detect the gain known for such a recipe, and what to do; both empty if they can.

    `most` are the problems that could be held out, None where more can be made: a size above it is not proposed.
    Empty also where power isn't computed: without a test, and for averages of several answers.
    """
    if recipe.gate.rule != "sequential" or recipe.gate.samples > 1:
        return "", ""
    hope = hoped(recipe)
    alpha, flips = alpha_of_round(recipe.gate, ()), _flips(hope.gain)
    if power(heldout, alpha, flips, hope.gain) >= POWER - SLACK:
        return _measured_gap(recipe, heldout, alpha)
    least = _detectable(heldout, alpha, flips)
    needed = heldout_needed(recipe)
    several = "several answers per problem (--set gate.samples=4)"
    if most is not None and needed > most:
        held = f"{needed:,} held-out problems, and at most {most:,} can be held out"
        advice = f"Detecting it takes {held}: add problems, or use {several}"
    else:
        size = f"--set problems.heldout_size={needed}"
        advice = f"Detecting it takes {needed:,} held-out problems ({size}), or {several}"
    return (
        f"{least}, and the gain that you can hope for is {points_worth(hope.gain)} ({hope.seen})",
        advice,
    )


def _measured_gap(recipe: Recipe, heldout: int, alpha: float) -> tuple[str, str]:
    """As `power_gap`, for what was measured with a larger model instead of what can be hoped for."""
    measured = _measured(recipe)
    if measured is None or power(heldout, alpha, LIKELY_FLIPS, measured.gain) >= POWER - SLACK:
        return "", ""
    return (
        f"{_detectable(heldout, alpha, LIKELY_FLIPS)}, and {_told(measured)} of a recipe like this one",
        "Your model and problems may gain more: to see which recipe does, try several with selfimprove compare",
    )


def _detectable(heldout: int, alpha: float, flips: float) -> str:
    found = smallest_gain(heldout, alpha, flips)
    least = "no gain is" if found is None else f"only a gain of {100 * found:.1f} points or more is"
    return f"with {heldout:,} held-out problems {least} detectable at {POWER:.0%} power"


def most_heldout(problems: ProblemSets) -> int | None:
    """The problems that could be held out beside the sealed ones and one to train on; None if they are generated."""
    tallies = dict(problems.tallies)
    source = tallies.get("problems.heldout")
    if source is None or source.source.startswith(PREFIX):
        return None
    shared = {name for name, tally in tallies.items() if tally.source == source.source}
    taken = (len(problems.sealed) if "problems.sealed" in shared else 0) + ("problems.train" in shared)
    return source.answered - taken


def power_warning(recipe: Recipe, heldout: int, most: int | None = None) -> str:
    """The gap of `power_gap` as one warning; empty without one."""
    fault, advice = power_gap(recipe, heldout, most)
    return f"warning: {fault}. {advice}" if fault else ""


def _flips(gain: float) -> float:
    """The share of problems that flip: what is likely, or somewhat more than the gain where that is larger."""
    return max(LIKELY_FLIPS, 1.25 * gain)
