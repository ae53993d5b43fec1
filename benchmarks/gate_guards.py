"""Guards over whole runs, and what they detect: rows of docs/gate.md.

As in `gate_draws.py`, evidence is the program's own (`evidence_of_guard`), put once to each distinct state of a look.
The bet that aims at the last problem depends on the order of the problems, so it alone is written again here, for all
repeats at once; the last row holds it against `decide_guard`. A set is fixed for a run: each of its problems is one
that the champion solves or misses, and an accepted challenger's flips stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from gate_draws import ALPHA, BASE_ACCURACY, SETTINGS, Counts, Flags, Gains, looks, tally_of
from gate_figures import any_round, met_told, upper_bound
from gate_page import Row
from numpy.typing import NDArray
from scipy.special import ndtri

from selfimprove.gate.aimed import EXPECTED_SQUARE, EXPECTED_WEIGHT, LOST, MOST_STAKE
from selfimprove.gate.editions import NOW
from selfimprove.gate.evidence import evidence_against, rules_out
from selfimprove.gate.gains import Pair
from selfimprove.gate.guards import (
    TOGETHER,
    alphas_of_guards,
    decide_guard,
    drop_shown,
    evidence_of_guard,
    shifted,
    size_for_proof,
)
from selfimprove.gate.together import Passed, decide_together
from selfimprove.recipe import Guard, Recipe

JUDGEMENTS, SETS, SIZE = 10, 3, 200
FLIPS, DROP = 0.10, 0.08
HARM = Guard(problems="a.jsonl", size=SIZE)
PROOF = Guard(problems="a.jsonl", size=SIZE, rule="proof of no harm")

Differences = NDArray[np.int8]
"""Of challenger minus champion, (repeats, problems)."""
Drops = Callable[[int], float]
"""The true drop of a judgement's challenger on every set, from its number."""


# --- one guard, over many repeats at once ---


def passes(differences: Differences, guard: Guard, alpha: float) -> Flags:
    """Which repeats pass the guard."""
    return _passes(differences, guard, alpha, looks(differences.shape[1]), exact=guard.max_drop == 0)


def passes_together(differences: Sequence[Differences], guard: Guard, alpha: float) -> Flags:
    """Which repeats pass the test of all guards together, each of them like `guard`, one set of differences a guard."""
    starts = np.cumsum([0, *(part.shape[1] for part in differences)])
    seen = [
        int(start) + look for start, part in zip(starts, differences, strict=False) for look in looks(part.shape[1])
    ]
    return _passes(np.concatenate(differences, axis=1), guard, alpha, seen, exact=False)


def _passes(differences: Differences, guard: Guard, alpha: float, seen: Sequence[int], *, exact: bool) -> Flags:
    """`exact`: the evidence is McNemar's, which depends on the error and the total, and has no bet."""
    total = differences.shape[1]
    wealth = np.zeros((len(differences), len(seen))) if exact else _aimed(differences, guard, alpha, seen)
    wins, losses = ((differences == side).cumsum(axis=1)[:, np.array(seen) - 1] for side in (1, -1))
    refuted, shown = (np.zeros(len(differences), bool) for _ in range(2))
    for look, judged in enumerate(seen):
        states, which = np.unique(wins[:, look] * (judged + 1) + losses[:, look], return_inverse=True)
        how = (total, alpha) if exact else (0, ALPHA)
        found = [_state(judged, *divmod(int(state), judged + 1), guard, *how) for state in states]
        evidence, ruled_out = (np.array(part)[which] for part in zip(*found, strict=True))
        refuted |= evidence + NOW.last_look * wealth[:, look] >= 1 / alpha
        shown |= ruled_out & ~refuted
    return refuted & ~shown if guard.proves else ~refuted


@cache
def _state(judged: int, wins: int, losses: int, guard: Guard, total: int, alpha: float) -> tuple[float, bool]:
    """The evidence without the bet (McNemar's with a `total`), and whether more than the harmless drop is shown."""
    tally = tally_of(judged, wins, losses)
    if total:
        return evidence_of_guard(tally, total, 0.0, guard, alpha, greedy=True), False
    evidence = (1 - NOW.last_look) * evidence_against(
        tally.exchanged() if guard.proves else tally, guard.max_drop if guard.proves else -guard.max_drop, greedy=True
    )
    return evidence, guard.proves and rules_out(tally, -guard.max_drop, greedy=True)


def _aimed(differences: Differences, guard: Guard, alpha: float, seen: Sequence[int]) -> Gains:
    """The wealth of `Aim` at each look, (repeats, looks)."""
    repeats, total = differences.shape
    target, wealth, at_looks = 1 / (NOW.last_look * alpha), np.ones(repeats), []
    square = np.full(repeats, EXPECTED_SQUARE * EXPECTED_WEIGHT)
    values = np.array([shifted(side, guard) for side in (-1, 0, 1)])
    for place in range(total):
        value = values[differences[:, place] + 1]
        share = wealth / target
        going = (share > LOST) & (share < 1)
        level = ndtri(np.where(going, share, 0.5))
        stake = target * np.exp(-level * level / 2) / np.sqrt(2 * np.pi)
        stake /= np.sqrt(square / (place + EXPECTED_WEIGHT) * (total - place))
        wealth = wealth + np.where(going, np.minimum(stake, MOST_STAKE * wealth) * value, 0.0)
        square += value * value
        if place + 1 in seen:
            at_looks.append(wealth)
    return np.stack(at_looks, axis=1)


def drawn(rng: np.random.Generator, repeats: int, size: int, flips: float, drop: float) -> Differences:
    """Independent problems of which `flips` flip, with a true drop of `drop`."""
    chance = rng.random((repeats, size))
    return np.where(chance < (flips - drop) / 2, 1, np.where(chance < flips, -1, 0)).astype(np.int8)


# --- whole runs, every challenger of which passes the gate ---


@dataclass(frozen=True)
class GuardedRuns:
    """Simulated runs, both (repeats, judgements)."""

    rejected: Flags
    harmful: Flags


def guarded_runs(rng: np.random.Generator, repeats: int, guards: Sequence[Guard], drops: Drops) -> GuardedRuns:
    """Runs of 10 judgements on fixed sets, with the budget that each run's own decisions leave it."""
    named = (guard.model_copy(update={"name": f"g{place}"}) for place, guard in enumerate(guards))
    recipe = Recipe(guards=tuple(named))
    right = [rng.random((repeats, guard.size)) < BASE_ACCURACY for guard in guards]
    accuracy = np.full((repeats, 1), BASE_ACCURACY)
    shown, passed = (np.zeros((repeats, JUDGEMENTS), bool) for _ in range(2))
    rejected, harmful = (np.zeros((repeats, JUDGEMENTS), bool) for _ in range(2))
    for place in range(JUDGEMENTS):
        drop = drops(place + 1)
        found, changes = np.zeros((len(guards), repeats), bool), []
        together, orders = np.ones(repeats, bool), list[Differences]()
        for number, guard in enumerate(recipe.guards):
            chance = rng.random((repeats, guard.size))
            lost = right[number] & (chance < (FLIPS + drop) / 2 / accuracy)
            won = ~right[number] & (chance < (FLIPS - drop) / 2 / (1 - accuracy))
            changes.append((lost, won))
            mixed = rng.permuted(won.astype(np.int8) - lost.astype(np.int8), axis=1)
            orders.append(mixed)
            for alpha, these in _alphas(recipe, guard.name, shown[:, :place], passed[:, :place]):
                found[number, these] = passes(mixed[these], guard, alpha)
        if TOGETHER in alphas_of_guards(recipe, (), ()):
            for alpha, these in _alphas(recipe, TOGETHER, shown[:, :place], passed[:, :place]):
                together[these] = passes_together([order[these] for order in orders], guards[0], alpha)
        of_rule = [np.array([guard.proves for guard in guards]) == proves for proves in (False, True)]
        shown[:, place] = (~found[of_rule[0]]).any(axis=0) | ~together
        passed[:, place] = found[of_rule[1]].all(axis=0)
        taken = (found.all(axis=0) & together)[:, None]
        rejected[:, place], harmful[:, place] = ~taken[:, 0], any(drop > guard.max_drop for guard in guards)
        for number, (lost, won) in enumerate(changes):
            right[number] = np.where(taken, right[number] & ~lost | won, right[number])
        accuracy = accuracy - drop * taken
    return GuardedRuns(rejected, harmful)


def _alphas(recipe: Recipe, name: str, shown: Flags, passed: Flags) -> list[tuple[float, Counts]]:
    """The error that the guard may spend, with the repeats whose history leaves it that."""
    histories, which = np.unique(np.concatenate([shown, passed], axis=1), axis=0, return_inverse=True)
    alphas = []
    for history in histories.astype(bool).tolist():
        harm, proof = history[: shown.shape[1]], history[shown.shape[1] :]
        alphas.append(alphas_of_guards(recipe, harm, proof)[name])
    of_run = np.array(alphas)[which.reshape(-1)]
    return [(float(alpha), np.flatnonzero(of_run == alpha)) for alpha in np.unique(of_run)]


# --- rows of the table ---


def guard_rows(repeats: int) -> list[Row]:
    """What guards err, what they detect, and this file held against `decide_guard`."""
    runs = max(10, repeats // 5)
    return [*_error_rows(runs), *_drop_rows(runs), _proof_row(runs), agreement_row(max(8, repeats // 100))]


def _error_rows(repeats: int) -> list[Row]:
    edge = HARM.max_drop
    setting = f"{SETS} sets of {SIZE}, {JUDGEMENTS} rounds that pass the gate, flips {FLIPS:.0%}"
    cases: list[tuple[str, Drops]] = [
        (f"guards, no proof of harm, {setting}, no drop: any of them rejects a harmless challenger", lambda place: 0.0),
        (f"the same, each challenger worse by {100 * edge:g} points on each set, the most that is harmless",
         lambda place: edge),
        ("the same, but rounds 1, 3, 5, … worse by 15 points (rejected, error carried on): any of the others rejected",
         lambda place: 0.15 if place % 2 else edge),
    ]  # fmt: skip
    rows = []
    for seed, (claim, drops) in enumerate(cases, start=30):
        found = guarded_runs(np.random.default_rng(seed), repeats, [HARM] * SETS, drops)
        rows.append(_bounded(claim, any_round(found.rejected & ~found.harmful)))
    proof = guarded_runs(np.random.default_rng(33), repeats, [PROOF], lambda place: edge)
    claim = f"guard, proof of no harm, {JUDGEMENTS} rounds, each challenger worse by {100 * edge:g} points: any passes"
    return [*rows, _bounded(claim, any_round(~proof.rejected))]


def _bounded(claim: str, run: Flags) -> Row:
    bound = upper_bound(int(run.sum()), len(run))
    figure = f"{run.mean():.4f}, upper bound {bound:.4f} ({len(run):,} runs)"
    return Row(claim, figure, f"≤ {ALPHA}", met_told(bound <= ALPHA))


def _drop_rows(repeats: int) -> list[Row]:
    """How often a drop of 8 points is shown, and the size of a set that shows it in 90%."""
    rows = []
    for most in (HARM.max_drop, 0.0):
        guard = HARM.model_copy(update={"max_drop": most, "name": "g0"})
        recipe = Recipe(guards=tuple(guard.model_copy(update={"name": f"g{place}"}) for place in range(SETS)))
        for flips, place in ((FLIPS, 1), (0.15, 1), (0.20, 1), (FLIPS, 5)):
            alpha = alphas_of_guards(recipe, (False,) * (place - 1), ())["g0"]
            rng = np.random.default_rng(34)
            sets = [drawn(rng, repeats, SIZE, flips, DROP) for _ in range(SETS)]
            found = np.array([passes(part, guard, alpha) for part in sets])
            caught = 1 - found.mean(), 1 - found.all(axis=0).mean()
            all_sets = 1 - (found.all(axis=0) & passes_together(sets, guard, alpha)).mean()
            size = _size_for(guard, flips, alpha, repeats)
            which = {1: "first", 5: "fifth"}[place]
            claim = (
                f"guards, no proof of harm, max_drop {most:g}, {SETS} sets of {SIZE}, flips {flips:.0%}, {which} round "
                f"that passes the gate: chance that a drop of {100 * DROP:g} points is shown, on one set → on all, by "
                "any guard → by any guard or all together"
            )
            figure = f"{caught[0]:.3f} → {caught[1]:.3f} → {all_sets:.3f} ({repeats:,}); 0.90 on one set of {size}"
            rows.append(Row(claim, figure, "≥ 0.90 on all", met_told(all_sets >= 0.9)))
    return rows


def _size_for(guard: Guard, flips: float, alpha: float, repeats: int) -> int:
    """The size, in steps of 25, at which the drop is shown in 90% of the repeats."""
    low, high = 0, 40
    while high - low > 1:
        middle = (low + high) // 2
        differences = drawn(np.random.default_rng(35), repeats, 25 * middle, flips, DROP)
        low, high = (low, middle) if passes(differences, guard, alpha).mean() <= 0.1 else (middle, high)
    return 25 * high


def _proof_row(repeats: int) -> Row:
    """Whether the sizes and drops that the plan prints at 80% power are seen that often."""
    rng, parts = np.random.default_rng(36), []
    first = alphas_of_guards(Recipe(guards=(PROOF,)), (), ())[PROOF.name]
    for flips in (0.05, FLIPS):
        size = size_for_proof(PROOF, first, flips)
        seen = passes(drawn(rng, repeats // 4, size, flips, 0.0), PROOF, first).mean()
        worse = passes(drawn(rng, repeats // 4, size, flips, min(flips, DROP)), PROOF, first).mean()
        parts.append(
            f"`proof of no harm`, flips {flips:.0%}, {size:,} problems: {seen:.1%} of harmless challengers pass, "
            f"{worse:.1%} of those worse by {100 * min(flips, DROP):g} points"
        )
    drop = drop_shown(HARM, first, FLIPS) or FLIPS
    seen = 1 - passes(drawn(rng, repeats, SIZE, FLIPS, drop), HARM, first).mean()
    parts.append(f"`no proof of harm`, {SIZE} problems: a drop of {100 * drop:.1f} points shown in {seen:.1%}")
    return Row("guards: what the plan prints for 80% power, as simulated", "; ".join(parts))


def agreement_row(repeats: int) -> Row:
    """The fast paths of this file against `decide_guard` and `decide_together` on the same outcomes."""
    rng, equal, alpha = np.random.default_rng(37), 0, 0.025
    guards = [HARM, PROOF, HARM.model_copy(update={"max_drop": 0.0}), PROOF.model_copy(update={"max_drop": 0.1})]
    for number in range(repeats):
        guard = guards[number % len(guards)]
        drop = (0.0, DROP, 0.05)[number // len(guards) % 3]
        sets = [drawn(rng, 1, SIZE, FLIPS, drop) for _ in range(SETS)]
        pairs = [tuple(Pair(float(x < 0), float(x > 0)) for x in part[0]) for part in sets]
        slow = decide_guard(pairs[0], SIZE, guard, SETTINGS, alpha)
        equal += slow is not None and slow.passed == passes(sets[0], guard, alpha)[0]
        if not guard.proves:
            whole = decide_together([Passed(guard=guard, pairs=part) for part in pairs], SETTINGS, alpha)
            equal += whole.passed == passes_together(sets, guard, alpha)[0]
    repeats += repeats // 2
    figure = f"{equal} of {repeats}"
    return Row("this simulation, `decide_guard` and `decide_together` agree", figure, "all", met_told(equal == repeats))
