"""Draws of greedy outcomes and the gate's decisions on them, for many repeats at once.

Outcomes are running counts of wins and losses at each look. Each distinct state at each look is put once to the gate's
own `standing_at`, so what is simulated is the gate and not a copy of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# the checkout beside this file is what is simulated, installed or not
sys.path.insert(0, str(Path(__file__).parents[1]))

from selfimprove import recipe
from selfimprove.gate.aimed import Aim
from selfimprove.gate.budget import alpha_of_round
from selfimprove.gate.decision import standing_at
from selfimprove.gate.editions import NOW
from selfimprove.gate.evidence import Tally, exact_p

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
Gains = NDArray[np.float64]

ALPHA = 0.05
ROUNDS = 20
SET, SET_FLIPS, BASE_ACCURACY = 500, 0.10, 0.4
BIG, BIG_FLIPS = 1000, 0.15
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


def decided(differences: Gains, settings: recipe.Gate, alpha: float) -> tuple[bool, int]:
    """Whether the gate accepts on averages over samples, and after how many problems; what `decide` says, faster."""
    total, tally = len(differences), Tally(())
    aim = Aim(total=total, target=1 / (NOW.last_look * alpha)) if settings.samples > 1 else None
    for start, end in pairwise([0, *looks(total)]):
        fresh = [float(each) for each in differences[start:end]]
        tally, aim = tally.plus(Tally.of(fresh).counts), aim and aim.after(fresh)
        if how := standing_at(tally, total, settings, alpha, aim):
            return how == "evidence", end
    raise AssertionError("the last look decides")


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

Challengers = Callable[[int, Flags], Gains]
"""The true gains of a round's challengers, one per repeat, from its number and what was accepted before it."""
Rule = Callable[[Counts, Counts, Flags], Flags]
"""Which repeats accept, from running wins and losses at each look and what was accepted before, (repeats, rounds)."""


@dataclass(frozen=True)
class Runs:
    """Simulated runs, all (repeats, rounds)."""

    accepted: Flags
    false: Flags
    """Accepted though no better."""
    luck: Gains
    """The champion's accuracy on the set after the round, above its true one, less that of the base."""


def in_turn(*gains: float) -> Challengers:
    """True gains that come round in turn, whatever is accepted."""
    return lambda number, accepted: np.full(len(accepted), gains[(number - 1) % len(gains)])


def better_first(rounds: int, gain: float) -> Challengers:
    """A true gain in each of the first rounds, so that almost every one is accepted; none afterwards."""
    return lambda number, accepted: np.full(len(accepted), gain if number <= rounds else 0.0)


def null_after_accept(gain: float) -> Challengers:
    """No true gain exactly in the rounds that an error was carried on to, a true one in all others."""

    def gains(number: int, accepted: Flags) -> Gains:
        return np.where(accepted[:, -1], 0.0, gain) if number > 1 else np.full(len(accepted), gain)

    return gains


def simulate_runs(
    seed: int, repeats: int, challengers: Challengers, rule: Rule | None = None, *, adaptive: bool = True
) -> Runs:
    """Runs of 20 rounds on one set of 500.

    The true accuracy of a model is that on all problems of its kind; the set is a sample of those, fixed for the run.
    A challenger solves some of what its champion missed and misses some of what it solved, anew in each round.
    `adaptive`: an accepted challenger is the next champion. `rule` is the gate's with an open-ended budget if none is
    given.
    """
    return _line(np.random.default_rng(seed), repeats, challengers, rule or gate_rule(SETTINGS), adaptive)


def gate_rule(settings: recipe.Gate) -> Rule:
    """The gate, each run with the budget that its own decisions leave it."""

    def accepts(wins: Counts, losses: Counts, earlier: Flags) -> Flags:
        accepted = np.zeros(len(wins), bool)
        histories, which = np.unique(earlier, axis=0, return_inverse=True)
        alphas = np.array([alpha_of_round(settings, [bool(each) for each in history]) for history in histories])
        of_run = alphas[which.reshape(-1)]
        for alpha in np.unique(of_run):
            with_it = np.flatnonzero(of_run == alpha)
            accepted[with_it] = run_gate(wins[with_it], losses[with_it], SET, float(alpha)).accepted
        return accepted

    return accepts


def naive_rule(wins: Counts, losses: Counts, earlier: Flags) -> Flags:
    """New ≥ old."""
    return np.asarray(wins[:, -1] >= losses[:, -1])


def _line(rng: np.random.Generator, repeats: int, challengers: Challengers, rule: Rule, adaptive: bool) -> Runs:
    """Problems of one batch are alike, so how many of each the champion solves is all there is to know of the set."""
    sizes = np.diff([0, *looks(SET)])
    accuracy = np.full((repeats, 1), BASE_ACCURACY)
    right = base = rng.binomial(sizes, accuracy)
    accepted, false = np.zeros((repeats, ROUNDS), bool), np.zeros((repeats, ROUNDS), bool)
    luck = np.zeros((repeats, ROUNDS))
    for place in range(ROUNDS):
        gain = challengers(place + 1, accepted[:, :place])[:, None]
        wins = rng.binomial(sizes - right, (SET_FLIPS + gain) / 2 / (1 - accuracy))
        losses = rng.binomial(right, (SET_FLIPS - gain) / 2 / accuracy)
        taken = rule(wins.cumsum(axis=1), losses.cumsum(axis=1), accepted[:, :place])
        accepted[:, place], false[:, place] = taken, taken & (gain[:, 0] <= 0)
        if adaptive:
            right = right + (wins - losses) * taken[:, None]
            accuracy = accuracy + gain * taken[:, None]
        luck[:, place] = (right - base).sum(axis=1) / SET - (accuracy[:, 0] - BASE_ACCURACY)
    return Runs(accepted, false, luck)
