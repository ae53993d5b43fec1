"""Draws of greedy outcomes and the gate's decisions on them, for many repeats at once.

Outcomes are running counts of wins and losses at each look. Each distinct state at each look is put once to the gate's
own `standing_at`, so what is simulated is the gate and not a copy of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# the checkout beside this file is what is simulated, installed or not
sys.path.insert(0, str(Path(__file__).parents[1]))

from selfimprove import recipe
from selfimprove.gate.decision import alpha_of_round, standing_at
from selfimprove.gate.evidence import Tally, exact_p

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

ALPHA = 0.05
ROUNDS = 20
SET, SET_FLIPS = 500, 0.10
SETTINGS = recipe.Gate()


@dataclass(frozen=True)
class Judged:
    """Simulated decisions: accepted or not, and after how many problems; one entry per repeat."""

    accepted: Flags
    judged: Counts


# --- the gate, over many repeats at once ---


def tally_of(judged: int, wins: int, losses: int) -> Tally:
    """The tally of greedy outcomes."""
    return Tally(((-1.0, losses), (0.0, judged - wins - losses), (1.0, wins)))


@cache
def standing(judged: int, wins: int, losses: int, total: int, alpha: float) -> str:
    """How the gate stands at one look, cached per state."""
    return standing_at(tally_of(judged, wins, losses), total, SETTINGS, alpha)


def run_gate(wins: Counts, losses: Counts, total: int, alpha: float) -> Judged:
    """The gate's decisions on running counts of wins and losses, both (repeats, looks)."""
    accepted = np.zeros(len(wins), bool)
    judged = np.zeros(len(wins), np.int64)
    for look, seen in enumerate(looks(total)):
        going = np.flatnonzero(judged == 0)
        states = wins[going, look] * (total + 1) + losses[going, look]
        distinct, which = np.unique(states, return_inverse=True)
        verdicts = np.array([standing(seen, *divmod(int(state), total + 1), total, alpha) for state in distinct])
        accepted[going] = (verdicts == "evidence")[which]
        judged[going[(verdicts != "")[which]]] = seen
    return Judged(accepted, judged)


def looks(total: int) -> list[int]:
    """Problems judged at each look."""
    return [*range(SETTINGS.batch, total, SETTINGS.batch), total]


def draw(rng: np.random.Generator, repeats: int, total: int, flips: float, gain: float) -> tuple[Counts, Counts]:
    """Running counts of wins and losses at each look, both (repeats, looks), of independent problems."""
    chances = [(flips + gain) / 2, (flips - gain) / 2, 1 - flips]
    sizes = np.diff([0, *looks(total)])
    drawn = np.stack([rng.multinomial(size, chances, repeats) for size in sizes], axis=1).cumsum(axis=1)
    return drawn[:, :, 0], drawn[:, :, 1]


def mcnemar(wins: Counts, losses: Counts, alpha: float) -> Flags:
    """Whether the exact fixed-N test rejects at the final counts, both (repeats,)."""
    table = cache(exact_p)
    return np.array([table(int(won), int(lost)) <= alpha for won, lost in zip(wins, losses, strict=True)])


# --- whole runs on one held-out set ---


@dataclass(frozen=True)
class Runs:
    """False accepts of simulated runs: (repeats, rounds) for the gate, the same for the naive rule."""

    gate: Flags
    naive: Flags


def simulate_runs(seed: int, repeats: int, adaptive: bool, gains: tuple[float, ...]) -> Runs:
    """Runs of 20 rounds on one set of 500; the challengers' true gains are those of `gains`, in turn.

    The true accuracy of a model is that on all problems of its kind; the set is a sample of those, fixed for the run.
    A challenger solves some of what its champion missed and misses some of what it solved, anew in each round.
    `adaptive`: an accepted challenger is the next champion. The naive rule runs beside, on its own line of champions.
    """
    rng = np.random.default_rng(seed)
    parts = [_runs(rng, min(1000, repeats - done), adaptive, gains) for done in range(0, repeats, 1000)]
    return Runs(np.concatenate([part.gate for part in parts]), np.concatenate([part.naive for part in parts]))


def _runs(rng: np.random.Generator, repeats: int, adaptive: bool, gains: tuple[float, ...]) -> Runs:
    by_gate = _line(rng, repeats, adaptive, gains, _gate_rule)
    by_naive = _line(rng, repeats, adaptive, gains, _naive_rule)
    return Runs(by_gate, by_naive)


def _line(
    rng: np.random.Generator,
    repeats: int,
    adaptive: bool,
    gains: tuple[float, ...],
    rule: Callable[[Counts, Counts, int], Flags],
) -> Flags:
    """False accepts, (repeats, rounds), of one rule."""
    accuracy = np.full((repeats, 1), 0.4)
    right = rng.random((repeats, SET)) < accuracy
    false = np.zeros((repeats, ROUNDS), bool)
    for number in range(1, ROUNDS + 1):
        gain = gains[(number - 1) % len(gains)]
        win, lose = (SET_FLIPS + gain) / 2 / (1 - accuracy), (SET_FLIPS - gain) / 2 / accuracy
        flipped = rng.random((repeats, SET), dtype=np.float32) < np.where(right, lose, win)
        at = np.array(looks(SET)) - 1
        wins = (flipped & ~right).cumsum(axis=1)[:, at]
        losses = (flipped & right).cumsum(axis=1)[:, at]
        accepted = rule(wins, losses, number)
        false[:, number - 1] = accepted & (gain <= 0)
        if adaptive:
            right ^= flipped & accepted[:, None]
            accuracy = accuracy + gain * accepted[:, None]
    return false


def _gate_rule(wins: Counts, losses: Counts, number: int) -> Flags:
    return run_gate(wins, losses, SET, alpha_of_round(ALPHA, number)).accepted


def _naive_rule(wins: Counts, losses: Counts, number: int) -> Flags:
    return np.asarray(wins[:, -1] >= losses[:, -1])
