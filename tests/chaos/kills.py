"""The kills to try: where, and how many of each sort, from the trace of an undisturbed run.

First every boundary once (a stage, a round, the sealed finish begun or done), then every sort of fault point in every
stage once, dealt so that a short plan has some of each sort; what is left are random instants, uniform over the run.
Fewer kills than that take a seeded choice of each: at most two thirds are boundaries, half of the rest fault points.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from tests.chaos.trace import Trace

Way = Literal["boundary", "write", "append", "sync", "rename", "renamed", "instant"]
WAYS: dict[Way, str] = {
    "boundary": "at a boundary",
    "write": "torn whole-file write",
    "append": "torn append",
    "sync": "before a sync",
    "rename": "before a rename",
    "renamed": "after a rename",
    "instant": "at a random instant",
}
"""The ways of killing, as a table calls them."""

TRIES = 5
"""How often a kill is tried that came too late, because the run was over before."""


@dataclass(frozen=True)
class Kill:
    """One kill: at the mark `where`, at the `nth` fault point of its sort in the place `where`, or at an instant.

    `time` is when the undisturbed run is there, in seconds; `seed` decides how much of a torn write is written.
    """

    way: Way
    where: str
    time: float
    nth: int = 1
    seed: int = 0
    tries: int = 0

    def again(self) -> Kill:
        """The same kill, easier to bring about."""
        return replace(self, nth=1, time=self.time * (0.7 if self.way == "instant" else 1), tries=self.tries + 1)


def plan_kills(trace: Trace, kills: int, seed: int) -> list[Kill]:
    """`kills` kills in random order, drawn by `seed` as the module says."""
    draw = random.Random(seed)
    ends = _boundaries(trace)
    chosen = draw.sample(ends, min(len(ends), (2 * kills + 2) // 3))
    points = _points(trace, draw)
    chosen += points[: (kills - len(chosen) + 1) // 2] if kills < len(ends) + len(points) else points
    whole = trace.rows[-1]["at"]
    chosen += [Kill("instant", "", draw.uniform(0, whole)) for _ in range(kills - len(chosen))]
    draw.shuffle(chosen)
    return [replace(kill, seed=draw.getrandbits(32)) for kill in chosen]


def _boundaries(trace: Trace) -> list[Kill]:
    named = [(row["name"], row["at"]) for row in trace.of("mark")]
    rounds = {name for name, _ in named if name.endswith("done") or name.count(" ") == 1}
    return [Kill("boundary", name, at) for name, at in named if name in rounds and not name[-1].isdigit()]


def _points(trace: Trace, draw: random.Random) -> list[Kill]:
    """One kill for each kind of fault point in each stage, cycling through the kinds."""
    found: dict[tuple[Way, str], list[float]] = {}
    for row in trace.of("point"):
        found.setdefault((row["point"], row["place"]), []).append(row["at"])
    kills = []
    for (way, place), times in found.items():
        nth = draw.randrange(len(times))
        kills.append(Kill(way, place, times[nth], nth + 1))
    draw.shuffle(kills)
    turn: Counter[Way] = Counter()
    turns: list[tuple[int, Kill]] = []
    for kill in kills:
        turns.append((turn[kill.way], kill))
        turn[kill.way] += 1
    return [kill for _, kill in sorted(turns, key=lambda pair: pair[0])]
