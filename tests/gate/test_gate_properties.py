"""Invariants of the gate, over generated outcomes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfimprove import recipe
from selfimprove.gate.aimed import Aim
from selfimprove.gate.budget import alpha_of_round, share_of_round
from selfimprove.gate.decision import Decision, Pair, decide, interval_of_gain
from selfimprove.gate.evidence import FLIP_SHAPE, Tally, evidence, gain_lower, gain_upper, log_evidence, rules_out

ALPHA = 0.025
counts = st.integers(0, 400)
shapes = st.sampled_from([1.0, FLIP_SHAPE, 10.0])


@st.composite
def judged_pairs(draw: st.DrawFn) -> list[Pair]:
    """Outcomes in judging order, from a challenger of any quality, some verdicts unclear."""
    weights = draw(st.tuples(*[st.integers(0, 10)] * 4).filter(any))
    seed = draw(st.randoms(use_true_random=False))
    kinds = [Pair(0, 1), Pair(1, 0), Pair(1, 1), Pair(0, 0, challenger_unclear=True)]
    return seed.choices(kinds, weights, k=draw(st.integers(1, 400)))


@st.composite
def gates(draw: st.DrawFn) -> recipe.Gate:
    batch, worthwhile = draw(st.integers(1, 120)), draw(st.sampled_from([0.001, 0.02, 0.1]))
    return recipe.Gate(batch=batch, worthwhile=worthwhile, samples=draw(st.sampled_from([1, 4])))


def tally(wins: int, losses: int, same: int = 0) -> Tally:
    return Tally(((-1.0, losses), (0.0, same), (1.0, wins)))


def judge(pairs: list[Pair], gate: recipe.Gate) -> Decision:
    """Batch by batch, as a round does it."""
    for judged in range(gate.batch, len(pairs), gate.batch):
        decision = decide(pairs[:judged], len(pairs), gate, ALPHA)
        if decision is not None:
            return decision
    decision = decide(pairs, len(pairs), gate, ALPHA)
    assert decision is not None
    return decision


@given(judged_pairs(), gates(), st.integers(0, 400))
@settings(deadline=None)
def test_a_decision_never_changes_and_a_resume_anywhere_decides_the_same(
    pairs: list[Pair], gate: recipe.Gate, cut: int
) -> None:
    decision = judge(pairs, gate)
    stopped = decision.looks[-1].judged
    early = decide(pairs[: min(cut, len(pairs))], len(pairs), gate, ALPHA)
    assert early == (decision if min(cut, len(pairs)) >= stopped else None)


@given(judged_pairs(), gates(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_is_free_within_a_fixed_set(pairs: list[Pair], gate: recipe.Gate, shuffler: st.DataObject) -> None:
    at_once = gate.model_copy(update={"batch": 400, "samples": 1})
    mixed = list(pairs)
    shuffler.shuffle(mixed)
    assert decide(pairs, len(pairs), at_once, ALPHA) == decide(mixed, len(pairs), at_once, ALPHA)


@given(judged_pairs(), gates(), st.data())
@settings(deadline=None, max_examples=settings().max_examples // 3)
def test_a_better_outcome_never_turns_acceptance_into_rejection(
    pairs: list[Pair], gate: recipe.Gate, data: st.DataObject
) -> None:
    gate = gate.model_copy(update={"samples": 1})
    at = data.draw(st.sets(st.integers(0, len(pairs) - 1), min_size=1, max_size=30))
    raised = [replace(pair, challenger=1) if number in at else pair for number, pair in enumerate(pairs)]
    assert judge(raised, gate).accepted >= judge(pairs, gate).accepted


@given(counts, counts, shapes)
def test_evidence_grows_with_wins_and_falls_with_losses(wins: int, losses: int, shape: float) -> None:
    here = log_evidence(tally(wins, losses), shape)
    assert log_evidence(tally(wins + 1, losses), shape) >= here - 1e-9
    assert log_evidence(tally(wins, losses + 1), shape) <= here + 1e-9


@given(counts, counts, shapes)
def test_renaming_the_models_mirrors_the_evidence(wins: int, losses: int, shape: float) -> None:
    """Evidence for one and for the other model are the two halves of one symmetric mixture, known in closed form."""
    from scipy.special import betaln

    flips = wins + losses
    whole = (flips + 1) * math.log(2) + betaln(wins + shape, losses + shape) - betaln(shape, shape)
    one, other = log_evidence(tally(wins, losses), shape), log_evidence(tally(losses, wins), shape)
    assert math.exp(one - whole) + math.exp(other - whole) == pytest.approx(1)


@given(judged_pairs().filter(lambda pairs: len(pairs) > 1))
@settings(deadline=None)
def test_renaming_the_models_mirrors_the_intervals(pairs: list[Pair]) -> None:
    low, high = interval_of_gain(pairs)
    renamed = interval_of_gain([Pair(pair.challenger, pair.champion) for pair in pairs])
    assert renamed == pytest.approx((-high, -low), abs=1e-6)
    one = Tally.of(pair.challenger - pair.champion for pair in pairs)
    assert gain_lower(one, greedy=True) == -gain_upper(one.exchanged(), greedy=True)


@given(st.integers(0, 60), st.floats(1e-4, 0.5))
def test_the_evidence_of_fair_flips_is_one_on_average(flips: int, alpha: float) -> None:
    """An e-value: its mean under the null, over all 2^n outcomes, is 1 (mixture) and at most 1 (with the last look)."""
    chance = [math.comb(flips, wins) / 2**flips for wins in range(flips + 1)]
    states = [tally(wins, flips - wins) for wins in range(flips + 1)]
    mixture = [math.exp(log_evidence(state, FLIP_SHAPE)) for state in states]
    fixed = [evidence(state, flips, alpha, greedy=True) for state in states]
    # the cut mixture bets on wins only; with its mirror image it is the whole one
    assert sum(p * e for p, e in zip(chance, mixture, strict=True)) == pytest.approx(1)
    assert sum(p * e for p, e in zip(chance, fixed, strict=True)) <= 1 + 1e-9


@given(st.integers(0, 150), st.integers(0, 150))
@settings(deadline=None)
def test_betting_on_fractions_is_the_same_test_for_whole_outcomes(wins: int, losses: int) -> None:
    """A fraction of weight zero sends the tally through the quadrature instead of the closed form."""
    state = tally(wins, losses)
    closed, quadrature = log_evidence(state, 3.0), log_evidence(state.plus([(0.5, 0)]), 3.0)
    if closed > -20:
        assert quadrature == pytest.approx(closed, abs=1e-6)


@given(judged_pairs(), st.booleans())
@settings(deadline=None)
def test_the_upper_bound_separates_what_is_ruled_out(pairs: list[Pair], greedy: bool) -> None:
    state = Tally.of(pair.challenger - pair.champion for pair in pairs)
    upper = gain_upper(state, greedy=greedy)
    assert upper >= state.gain - 1e-6
    assert not rules_out(state, upper - 1e-4, greedy=greedy)
    assert upper > 1 - 1e-4 or rules_out(state, upper + 1e-5, greedy=greedy)


@given(st.floats(1e-6, 0.999), st.integers(1, 2000), st.integers(0, 30))
def test_the_error_budget_is_never_overspent(alpha: float, rounds: int, announced: int) -> None:
    gate = recipe.Gate(alpha=alpha, rounds=announced)
    spent = math.fsum(share_of_round(gate, number) for number in range(1, rounds + 1))
    assert spent <= alpha
    if announced in (0, rounds):
        assert spent == pytest.approx(alpha * rounds / (rounds + 1))


@given(st.lists(st.sampled_from(["true gain", "missed gain", "null"]), max_size=40), st.integers(0, 12))
def test_nulls_never_spend_more_than_alpha_whatever_is_accepted_between_them(kinds: list[str], announced: int) -> None:
    """The pathwise bound of `gate/budget.py`: up to the first false accept, a share is spent by one null at most."""
    gate, earlier, spent = recipe.Gate(rounds=announced), list[bool](), 0.0
    for kind in kinds:
        spent += alpha_of_round(gate, earlier) * (kind == "null")
        earlier.append(kind == "true gain")
    assert spent <= gate.alpha + 1e-12
    # the first false accept may come at any null: it is the last one that counts
    assert all(alpha_of_round(gate, earlier[:place]) <= gate.alpha for place in range(len(kinds)))


@st.composite
def fair_differences(draw: st.DrawFn) -> tuple[tuple[float, float], ...]:
    """Differences with their chances, of mean 0: a loss of any size that a win of any other size makes up for."""
    win, loss = draw(st.sampled_from([0.25, 0.5, 1.0])), draw(st.sampled_from([0.25, 0.5, 1.0]))
    flips = draw(st.floats(0.05, 1.0))
    return ((win, flips * loss / (win + loss)), (-loss, flips * win / (win + loss)), (0.0, 1 - flips))


@given(fair_differences(), st.integers(1, 7), st.floats(1e-3, 0.5))
@settings(deadline=None)
def test_the_wealth_of_an_aimed_bet_is_one_on_average_whatever_the_differences(
    outcomes: tuple[tuple[float, float], ...], total: int, alpha: float
) -> None:
    """An e-value: its mean under the null, over all orders of outcomes, is 1, and it is never negative."""
    states = [(1.0, Aim(total=total, target=1 / alpha))]
    for _ in range(total):
        states = [(p * q, aim.after([value])) for p, aim in states for value, q in outcomes]
    assert all(aim.wealth >= 0 for _, aim in states)
    assert math.fsum(p * aim.wealth for p, aim in states) == pytest.approx(1)


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), max_size=60), st.integers(0, 60))
def test_an_aimed_bet_is_the_same_in_one_go_and_in_parts(values: list[float], cut: int) -> None:
    start = Aim(total=60, target=50.0)
    assert start.after(values[:cut]).after(values[cut:]) == start.after(values)


@given(judged_pairs(), gates())
@settings(deadline=None, max_examples=settings().max_examples // 3)
def test_clear_verdicts_make_a_robust_decision(pairs: list[Pair], gate: recipe.Gate) -> None:
    clear = [replace(pair, challenger_unclear=False) for pair in pairs]
    assert judge(clear, gate).robust
