"""Which kills are tried: how many of each way, and where, from the trace of the reference run.

First every boundary once (the begin or end of a stage, a round or the sealed finish), then every kind of fault point in
every stage once; the remaining kills are at random instants, uniform over the run's duration. With too few kills for
that, at most two thirds are boundaries, half of the rest are fault points, and both are drawn at random by the seed.
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
    "instant": "at a random moment",
}
"""Each kind of kill, with its name in the report."""

MAX_RETRIES = 5
"""How often a kill is tried again whose run was over before it came."""


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill: at the mark `where`, at the `nth` fault point of kind `way` in the place `where`, or at an instant.

    `time` is when the reference run is there, in seconds; `seed` decides how much of a torn write is written.
    """

    way: Way
    where: str
    time: float
    nth: int = 1
    seed: int = 0
    retries: int = 0

    def again(self) -> Kill:
        """The same kill for the next try, placed earlier so that it is less likely to come too late."""
        return replace(self, nth=1, time=self.time * (0.7 if self.way == "instant" else 1), retries=self.retries + 1)


def plan_kills(trace: Trace, kills: int, seed: int) -> list[Kill]:
    """`kills` kills in random order, drawn by `seed` as the module's docstring says."""
    draw = random.Random(seed)
    boundaries = _boundaries(trace)
    chosen = draw.sample(boundaries, min(len(boundaries), (2 * kills + 2) // 3))
    points = _fault_points(trace, draw)
    chosen += points[: (kills - len(chosen) + 1) // 2] if kills < len(boundaries) + len(points) else points
    duration = trace.rows[-1]["at"]
    chosen += [Kill(way="instant", where="", time=draw.uniform(0, duration)) for _ in range(kills - len(chosen))]
    draw.shuffle(chosen)
    return [replace(kill, seed=draw.getrandbits(32)) for kill in chosen]


def _boundaries(trace: Trace) -> list[Kill]:
    named = [(row["name"], row["at"]) for row in trace.of("mark")]
    rounds = {name for name, _ in named if name.endswith("done") or name.count(" ") == 1}
    return [
        Kill(way="boundary", where=name, time=at) for name, at in named if name in rounds and not name[-1].isdigit()
    ]


def _fault_points(trace: Trace, draw: random.Random) -> list[Kill]:
    """One kill for each kind of fault point in each stage, in round-robin order of the kinds.

    So any prefix of the list, which a short plan takes, covers the kinds evenly.
    """
    found: dict[tuple[Way, str], list[float]] = {}
    for row in trace.of("point"):
        found.setdefault((row["point"], row["place"]), []).append(row["at"])
    kills = []
    for (way, place), times in found.items():
        nth = draw.randrange(len(times))
        kills.append(Kill(way=way, where=place, time=times[nth], nth=nth + 1))
    draw.shuffle(kills)
    earlier: Counter[Way] = Counter()
    ranked: list[tuple[int, Kill]] = []
    for kill in kills:
        ranked.append((earlier[kill.way], kill))
        earlier[kill.way] += 1
    return [kill for _, kill in sorted(ranked, key=lambda pair: pair[0])]
