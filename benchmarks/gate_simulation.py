"""How often the gate errs, how often it sees a gain, and how much judging it takes: a table and a picture.

`python benchmarks/gate_simulation.py` prints the table and writes it, with the picture, into docs/gate.md and
docs/gate.png.

Greedy outcomes are drawn as counts of wins and losses per batch, all repeats at once; each distinct state at each
look is then put once to the gate's own `standing_at`, so what is simulated is the gate and not a copy of it (the last
row holds a sample of runs against `decide`). Seeds are fixed. Bounds are 95%, of the simulation alone: Clopper and
Pearson's one-sided upper one for error rates, 1.96 standard errors elsewhere.
"""

from __future__ import annotations

import argparse
import time
from functools import cache

import numpy as np
from gate_draws import (
    ALPHA,
    BIG,
    BIG_FLIPS,
    ROUNDS,
    SET,
    SET_FLIPS,
    SETTINGS,
    Flags,
    Runs,
    better_first,
    decided,
    draw,
    gate_rule,
    in_turn,
    looks,
    mcnemar,
    naive_rule,
    null_after_accept,
    run_gate,
    simulate_runs,
    tally_of,
)
from gate_figures import any_round, lower_bound, mean_told, met_told, rate_told, ratio_of, upper_bound
from gate_guards import guard_rows
from gate_page import Row, as_table, draw_picture, write_table
from numpy.typing import NDArray

from selfimprove import recipe
from selfimprove.gate.budget import alpha_of_round, share_of_round
from selfimprove.gate.decision import Pair, decide
from selfimprove.gate.evidence import rules_out
from selfimprove.gate.intervals import power, smallest_gain, tango
from selfimprove.gate.reuse import LUCK, MOST_LUCK

GAINS = (0.0, 0.02, 0.05, 0.10)
BETTER = 0.05


# --- whole runs on one held-out set ---


def run_rows(repeats: int) -> tuple[list[Row], Runs, Runs]:
    """The rows about the chance of any false accept in a run; the runs of the first, by the gate and by new ≥ old."""
    fixed = simulate_runs(1, repeats, in_turn(0.0), adaptive=False)
    naive = simulate_runs(1, repeats, in_turn(0.0), naive_rule, adaptive=False)
    announced = gate_rule(recipe.Gate(rounds=ROUNDS))
    setting = f"{ROUNDS} rounds, one set of {SET}, flips {SET_FLIPS:.0%}"
    better = f"truly {100 * BETTER:g} points better: any false accept in the others"
    after_rejects = better.replace(":", " in every round that doesn't follow an accept:")
    adaptive = [
        ("the same, challengers chosen adaptively (an accepted one is the next champion)", 2, in_turn(0.0), None),
        (f"adaptive, rounds 1, 3, 5, … {better}", 3, in_turn(BETTER, 0.0), None),
        (f"adaptive, rounds 2, 5, 8, … {better}", 13, in_turn(0.0, BETTER, 0.0), None),
        (f"adaptive, rounds 1 to 9 {better}", 14, better_first(9, BETTER), None),
        (f"adaptive, {after_rejects}", 15, null_after_accept(BETTER), None),
        (f"`gate.rounds = {ROUNDS}`, adaptive, no true gain", 16, in_turn(0.0), announced),
        (f"`gate.rounds = {ROUNDS}`, adaptive, rounds 1 to 9 {better}", 17, better_first(9, BETTER), announced),
    ]
    rows = [
        _error_row(f"no true gain, {setting}: chance of any false accept in the run", fixed.false),
        Row("the naive rule (new ≥ old) in the same setting", rate_told(any_round(naive.false)), "for comparison"),
        *(_error_row(claim, simulate_runs(seed, repeats, *how).false) for claim, seed, *how in adaptive),
    ]
    return rows, fixed, naive


SMALL_GAINS = (in_turn(0.01), in_turn(0.02), in_turn(0.03), better_first(12, 0.04))


def reuse_row(repeats: int) -> Row:
    """How far the champion's gain on the set lies above its true one, by how often a champion was picked on it."""
    runs = [simulate_runs(18, repeats, challengers) for challengers in SMALL_GAINS]
    accepts = [found.accepted.sum(axis=1) for found in runs]
    unit, parts, held = np.sqrt(SET_FLIPS / SET), [], True
    for count in range(1, 9):
        lucks = [found.luck[which == count, -1] / unit for found, which in zip(runs, accepts, strict=True)]
        seen = [luck for luck in lucks if len(luck) >= repeats // 50]
        mean, most = max(luck.mean() for luck in seen), max(np.quantile(luck, 0.95) for luck in seen)
        place = min(count, len(LUCK) - 1)
        held &= mean <= LUCK[place] and most <= MOST_LUCK[place]
        parts.append(f"{count}: {mean:.2f}, {most:.2f}")
    return Row(
        f"reuse, {ROUNDS} rounds, adaptive, one set: the champion's gain on the set minus its true gain, in units of "
        "√(flips/problems), by number of accepts: mean, 95th percentile; each is the maximum over those true gains "
        "from 1 to 4 points at which ≥ 2% of runs have that many accepts",
        f"{'; '.join(parts)} ({repeats:,} per gain)",
        "≤ those of `gate/reuse.py`",
        met_told(held),
    )


def _error_row(claim: str, false: Flags) -> Row:
    run = any_round(false)
    upper = upper_bound(int(run.sum()), len(run))
    figure = f"{run.mean():.4f}, upper bound {upper:.4f} ({len(run):,} runs)"
    return Row(claim, figure, f"≤ {ALPHA}", met_told(upper <= ALPHA))


# --- power and the share judged ---


def power_rows(repeats: int) -> list[Row]:
    """Power against McNemar's exact test on the same draws, at the α of several rounds."""
    rows = []
    wins, losses = draw(np.random.default_rng(4), repeats, BIG, BIG_FLIPS, 0.05)
    for label, alpha in [("whole α", ALPHA), *((f"round {k}", share_of_round(SETTINGS, k)) for k in (1, 5, 20))]:
        gate = run_gate(wins, losses, BIG, alpha).accepted
        fixed = mcnemar(wins[:, -1], losses[:, -1], alpha)
        ratio, half = ratio_of(gate, fixed)
        figure = f"{gate.mean():.3f}, McNemar's {fixed.mean():.3f}: ratio {ratio:.3f} ± {half:.3f} ({repeats:,})"
        claim = f"power, true gain 5 points, {BIG:,} problems, flips {BIG_FLIPS:.0%}, {label} (α {alpha:.2g})"
        rows.append(Row(claim, figure, "ratio ≥ 0.9", met_told(ratio - half >= 0.9)))
    return rows


AFTER_ACCEPTS = (
    (256, 0.10, 0.06, ((0.71, 0.88), (0.63, 0.88), (0.56, 0.90))),
    (1000, 0.12, 0.03, ((0.60, 0.80), (0.51, 0.81), (0.44, 0.82))),
)
"""Problems, flip rate, true gain; McNemar's power expected in rounds 2, 3, 4 after rejections and after accepts."""


def later_rows(repeats: int) -> list[Row]:
    """Power of later rounds, their error carried on or not, beside McNemar's at the same α."""
    rows, rng = [], np.random.default_rng(19)
    for size, flips, gain, expected in AFTER_ACCEPTS:
        for before, targets in enumerate(expected, start=1):
            gate, fixed = [], []
            for accepted in (False, True):
                alpha = alpha_of_round(SETTINGS, (accepted,) * before)
                wins, losses = draw(rng, repeats, size, flips, gain)
                gate.append(run_gate(wins, losses, size, alpha).accepted.mean())
                fixed.append(mcnemar(wins[:, -1], losses[:, -1], alpha).mean())
            figure = f"{gate[0]:.3f} → {gate[1]:.3f} (McNemar's {fixed[0]:.3f} → {fixed[1]:.3f}; {repeats:,} each)"
            setting = f"{size:,} problems, flips {flips:.0%}, gain {100 * gain:g} points"
            near = all(abs(seen - target) <= 0.02 for seen, target in zip(fixed, targets, strict=True))
            near &= abs(gate[1] - targets[1]) <= 0.02
            target = f"McNemar's {targets[0]:.2f} → {targets[1]:.2f} ± 0.02; after accepts, the gate's too"
            claim = f"power of round {before + 1} after rejections → after accepts, {setting}"
            rows.append(Row(claim, figure, target, met_told(near)))
    return rows


def share_rows(repeats: int) -> list[Row]:
    """Mean share of the problems judged before the decision, at the α of round 1, with the whole α, and in round 20."""
    alphas = [("round 1", share_of_round(SETTINGS, 1)), ("whole α", ALPHA), ("round 20", share_of_round(SETTINGS, 20))]
    return [row for label, alpha in alphas for row in _share_rows(repeats, label, alpha)]


def _share_rows(repeats: int, label: str, alpha: float) -> list[Row]:
    rng = np.random.default_rng(5)
    shares, parts = [], []
    for gain in GAINS:
        result = run_gate(*draw(rng, repeats, BIG, BIG_FLIPS, gain), BIG, alpha)
        shares.append(result.judged / BIG)
        parts.append(f"{100 * gain:g} points: {shares[-1].mean():.1%} (accepted {result.accepted.mean():.1%})")
    every = np.concatenate(shares)
    worse = run_gate(*draw(rng, repeats, BIG, BIG_FLIPS, -0.05), BIG, alpha)
    share = worse.judged / BIG
    setting = f"{BIG:,} problems, flips {BIG_FLIPS:.0%}, {label}"
    overall = f"{mean_told(every)} overall; {'; '.join(parts)} ({repeats:,} each)"
    figure = f"{mean_told(share)}, accepted {worse.accepted.mean():.2%} ({repeats:,})"
    return [
        Row(f"mean share judged before the decision, {setting}", overall, "≤ 60%", met_told(every.mean() <= 0.6)),
        Row(f"challenger worse by 5 points, {setting}: share judged", figure, "≤ 35%", met_told(share.mean() <= 0.35)),
    ]


def small_set_row(repeats: int) -> Row:
    """The same shares on the set size that a recipe has when nothing is said."""
    size, alpha, rng = recipe.Problems().heldout_size, share_of_round(SETTINGS, 1), np.random.default_rng(6)
    parts = []
    for gain in (*GAINS, -0.05):
        result = run_gate(*draw(rng, repeats, size, BIG_FLIPS, gain), size, alpha)
        parts.append(
            f"{100 * gain:g} points: {result.judged.mean() / size:.0%} (accepted {result.accepted.mean():.0%})"
        )
    return Row(f"share judged with {size} problems, flips {BIG_FLIPS:.0%}, round 1", "; ".join(parts))


def plan_row(repeats: int) -> Row:
    """Whether the gain that the plan calls visible at 80% power is seen that often by the whole gate."""
    rng, alpha, parts = np.random.default_rng(7), share_of_round(SETTINGS, 1), []
    for flips in (0.05, 0.10, 0.20):
        gain = smallest_gain(SET, alpha, flips)
        if gain is not None:
            seen = run_gate(*draw(rng, repeats, SET, flips, gain), SET, alpha).accepted.mean()
            planned = power(SET, alpha, flips, gain)
            parts.append(f"flips {flips:.0%}, {100 * gain:.1f} points: {planned:.1%} planned, {seen:.1%} seen")
    return Row(f"power that the plan prints, compared with the gate's, {SET} problems, round 1", "; ".join(parts))


# --- bounds and intervals ---


def bound_row(repeats: int) -> Row:
    """How often the true gain is ruled out at any look."""
    check = cache(_ruled_out)
    parts = []
    for gain in (0.0, 0.05):
        wins, losses = draw(np.random.default_rng(8), repeats, SET, SET_FLIPS, gain)
        out = np.zeros(repeats, bool)
        for look, judged in enumerate(looks(SET)):
            pairs = zip(wins[:, look], losses[:, look], strict=True)
            out |= np.array([check(judged, int(won), int(lost), gain) for won, lost in pairs])
        parts.append(f"{100 * gain:g} points: {rate_told(out)}")
    return Row(f"true gain ruled out at any look ({SET} problems, flips {SET_FLIPS:.0%})", "; ".join(parts), "≤ 0.05")


def interval_row(repeats: int) -> Row:
    """How often the sealed finish's interval holds the true gain."""
    check = cache(tango)
    parts = []
    for gain in (0.0, 0.05):
        wins, losses = draw(np.random.default_rng(9), repeats, 256, BIG_FLIPS, gain)
        ends = np.array([check(int(won), int(lost), 256) for won, lost in zip(wins[:, -1], losses[:, -1], strict=True)])
        parts.append(f"{100 * gain:g} points: {rate_told((ends[:, 0] <= gain) & (gain <= ends[:, 1]))}")
    return Row(
        f"sealed problems: the interval contains the true gain (256 problems, flips {BIG_FLIPS:.0%})",
        "; ".join(parts),
        "near 0.95",
    )


# --- averages over samples, and the check against `decide` ---


def fraction_rows(repeats: int) -> list[Row]:
    """False accepts and power when each problem is judged on several samples a side."""
    rows, alpha = [], share_of_round(SETTINGS, 1)
    for samples in (1, 2, 4):
        rng, settings, parts, held = np.random.default_rng(10), recipe.Gate(samples=samples), [], True
        for gain in (0.0, 0.03, 0.05):
            found = [decided(_sampled(rng, samples, gain), settings, alpha) for _ in range(repeats)]
            accepted, judged = (np.array(part) for part in zip(*found, strict=True))
            parts.append(f"{100 * gain:g} points: {accepted.mean():.3f}, {judged.mean() / SET:.0%}")
            held &= gain > 0 or lower_bound(int(accepted.sum()), repeats) <= alpha
        claim = f"avg@{samples}: accepted, share judged ({SET} problems, single samples flip in {BIG_FLIPS:.0%})"
        figure = "; ".join(parts) + f" ({repeats:,} each)"
        rows.append(Row(claim, figure, f"0 points: no more than {alpha:g}, by the lower 95% bound", met_told(held)))
    return rows


def _sampled(rng: np.random.Generator, samples: int, gain: float) -> NDArray[np.float64]:
    """Differences on a set of problems mostly easy or hard; the challenger masters a random part of them anew."""
    spread = BIG_FLIPS / (1 - 2 * BIG_FLIPS)
    chance = rng.beta(spread, spread, SET)
    better = np.where(rng.random(SET) < 2 * gain, 1.0, chance)
    old, new = rng.binomial(samples, chance) / samples, rng.binomial(samples, better) / samples
    return np.asarray(new - old)


def agreement_row(repeats: int) -> Row:
    """The fast path of this file against `decide` on the same outcomes."""
    rng, alpha, equal = np.random.default_rng(11), share_of_round(SETTINGS, 1), 0
    for number in range(repeats):
        gain = GAINS[number % len(GAINS)]
        d = rng.choice([1, -1, 0], SET, p=[(SET_FLIPS + gain) / 2, (SET_FLIPS - gain) / 2, 1 - SET_FLIPS])
        at = np.array(looks(SET)) - 1
        fast = run_gate((d > 0).cumsum()[None, at], (d < 0).cumsum()[None, at], SET, alpha)
        slow = decide([Pair(float(x < 0), float(x > 0)) for x in d], SET, SETTINGS, alpha)
        equal += slow is not None and (slow.accepted, slow.looks[-1].judged) == (fast.accepted[0], fast.judged[0])
    for number in range(repeats // 10):
        settings, gain = recipe.Gate(samples=2), GAINS[number % len(GAINS)]
        d = _sampled(rng, 2, gain)
        slow = decide([Pair(max(0.0, -float(x)), max(0.0, float(x))) for x in d], SET, settings, alpha)
        equal += slow is not None and (slow.accepted, slow.looks[-1].judged) == decided(d, settings, alpha)
    repeats += repeats // 10
    return Row("this simulation and `decide` agree", f"{equal} of {repeats}", "all", met_told(equal == repeats))


# --- figures in words ---


def _ruled_out(judged: int, wins: int, losses: int, gain: float) -> bool:
    return rules_out(tally_of(judged, wins, losses), gain, greedy=True)


def main() -> None:
    """Simulate, print the table, write table and picture into docs/."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20_000, help="simulated runs or decisions per row")
    parser.add_argument("--print-only", action="store_true", help="leave docs/ alone")
    options = parser.parse_args()
    started, repeats = time.perf_counter(), options.repeats
    rows, runs, naive = run_rows(repeats)
    rows += [reuse_row(repeats // 4), *later_rows(repeats)]
    rows += power_rows(repeats) + share_rows(repeats)
    rows += [small_set_row(repeats), plan_row(repeats), bound_row(repeats), interval_row(repeats)]
    rows += guard_rows(repeats)
    rows += [*fraction_rows(max(10, repeats // 20)), agreement_row(max(8, repeats // 50))]
    table = as_table(rows)
    print(table)
    if not options.print_only:
        write_table(table)
        draw_picture(runs, naive, repeats // 4)
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
