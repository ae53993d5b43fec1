from __future__ import annotations

import dataclasses
import json
import time

import pytest

from selfimprove import recipe
from selfimprove.gate.decision import (
    Pair,
    Vitals,
    alpha_of_round,
    decide,
    entropy_alarm,
    guarded,
    sentence_of_gain,
)
from selfimprove.gate.evidence import Tally, evidence

WIN, LOSS, SAME = Pair(0, 1), Pair(1, 0), Pair(1, 1)
SETTINGS = recipe.Gate()


def mixed(wins: int, losses: int, size: int) -> list[Pair]:
    """Wins and losses spread evenly over the problems."""
    kinds = [(k / wins, WIN) for k in range(wins)] + [(k / losses, LOSS) for k in range(losses)]
    flips = [pair for _, pair in sorted(kinds, key=lambda kind: kind[0])]
    pairs = [SAME] * size
    for number, pair in enumerate(flips):
        pairs[number * size // len(flips)] = pair
    return pairs


def test_a_clear_gain_is_accepted_before_all_problems_are_judged() -> None:
    decision = decide(mixed(120, 20, 1000), 1000, SETTINGS, 0.025)
    assert decision is not None
    assert decision.accepted
    assert decision.reason == "evidence"
    assert decision.looks[-1].judged < 500
    assert decision.looks[-1].evidence >= decision.looks[-1].threshold == 40
    assert decision.robust


def test_a_worse_challenger_is_rejected_early_as_futile() -> None:
    decision = decide(mixed(50, 100, 1000), 1000, SETTINGS, 0.025)
    assert decision is not None
    assert (decision.accepted, decision.reason) == (False, "futile")
    assert decision.looks[-1].judged <= 350
    assert "of 1,000 problems" in decision.sentence


def test_too_little_evidence_at_the_end_is_undecided_and_rejected() -> None:
    decision = decide(mixed(13, 4, 100), 100, recipe.Gate(batch=100), 0.025)
    assert decision is not None
    assert (decision.accepted, decision.reason) == (False, "undecided")


def test_the_exact_test_decides_at_the_last_look_only() -> None:
    pairs = mixed(17, 4, 100)  # p = 0.0036, below 0.75 * 0.025; the mixture alone falls short
    at_end = decide(pairs, 100, recipe.Gate(batch=100), 0.025)
    earlier = decide(pairs, 1000, recipe.Gate(batch=100), 0.025)
    assert at_end is not None
    assert at_end.accepted
    assert earlier is None


def test_the_sentence_gives_the_numbers_in_words() -> None:
    decision = decide(mixed(31, 24, 400), 400, recipe.Gate(batch=400), 0.025)
    assert decision is not None
    assert decision.sentence == (
        "Rejected: 31 won, 24 lost of 55 flips after 400 problems; evidence 0.2, needs 40; "
        f"a gain above {100 * decision.looks[-1].gain_upper:.1f} points is ruled out."
    )


def test_looks_survive_json() -> None:
    decision = decide(mixed(900, 0, 1000), 1000, recipe.Gate(batch=1000), 1e-9)
    assert decision is not None
    plain = [dataclasses.asdict(look) for look in decision.looks]
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_the_point_rule_accepts_whatever_is_not_lower_once_all_is_judged() -> None:
    settings = recipe.Gate(rule="point")
    assert decide(mixed(10, 10, 200)[:192], 200, settings, 0.025) is None
    accepted, rejected = (decide(mixed(10, lost, 200), 200, settings, 0.025) for lost in (10, 11))
    assert accepted is not None
    assert rejected is not None
    assert (accepted.accepted, accepted.reason) == (True, "point")
    assert (rejected.accepted, rejected.reason) == (False, "point")


def test_unclear_verdicts_that_could_turn_the_decision_make_it_checker_dependent() -> None:
    pairs = mixed(60, 10, 300)
    unclear = [dataclasses.replace(pair, champion_unclear=True) if pair is WIN else pair for pair in pairs]
    clear, doubtful = decide(pairs, 300, SETTINGS, 0.025), decide(unclear, 300, SETTINGS, 0.025)
    assert clear is not None
    assert doubtful is not None
    assert clear.accepted
    assert clear.robust
    assert doubtful.accepted
    assert not doubtful.robust
    assert "checker-dependent" in doubtful.sentence


def test_a_rejection_is_checker_dependent_when_the_challengers_unclear_verdicts_could_save_it() -> None:
    pairs = [Pair(1, 0, challenger_unclear=True)] * 30 + [SAME] * 70 + [WIN] * 30
    decision = decide(pairs, len(pairs), recipe.Gate(batch=200), 0.025)
    assert decision is not None
    assert not decision.accepted
    assert not decision.robust


def test_averages_over_samples_are_judged_by_betting() -> None:
    settings = recipe.Gate(samples=4)
    better = [Pair(0.25, 0.5), Pair(0.5, 0.5), Pair(0.75, 0.5), Pair(0.5, 0.75)] * 100
    worse = [Pair(pair.challenger, pair.champion) for pair in better]
    accepted, rejected = decide(better, 400, settings, 0.025), decide(worse, 400, settings, 0.025)
    assert accepted is not None
    assert rejected is not None
    assert accepted.accepted
    assert not rejected.accepted


def test_scores_of_one_answer_are_judged_by_betting_alone() -> None:
    """Each score moves by a quarter: enough to bet on, while the exact test, which has no fractions, says nothing."""
    better = [Pair(0.25, 0.5), Pair(0.5, 0.5), Pair(0.75, 0.5), Pair(0.5, 0.75)] * 100
    accepted = decide(better, 400, SETTINGS, 0.025)
    rejected = decide([Pair(pair.challenger, pair.champion) for pair in better], 400, SETTINGS, 0.025)
    assert accepted is not None
    assert rejected is not None
    assert accepted.accepted
    assert not rejected.accepted
    whole, one = Tally(((-1, 2), (1, 14))), Tally(((-1, 2), (0.5, 1), (1, 14)))
    assert evidence(whole, 0.025, last=True, greedy=True) > 40 > evidence(one, 0.025, last=True, greedy=True)


@pytest.mark.parametrize(("pairs", "total"), [([SAME] * 101, 100), ([Pair(0, 2)] * 64, 100), ([], 0)])
def test_what_cannot_be_is_refused(pairs: list[Pair], total: int) -> None:
    with pytest.raises(ValueError, match=r"held-out|shares"):
        decide(pairs, total, SETTINGS, 0.025)


def test_rounds_are_numbered_from_one() -> None:
    assert alpha_of_round(0.05, 1) == 0.025
    with pytest.raises(ValueError, match="from 1"):
        alpha_of_round(0.05, 0)


@pytest.mark.parametrize(
    ("challenger", "reason"),
    [
        (Vitals(0.70, 0.05, 1.0), "evidence"),
        (Vitals(0.64, 0.05, 1.0), "pass@k"),
        (Vitals(0.70, 0.16, 1.0), "truncation"),
    ],
)
def test_a_guard_that_fires_rejects_with_its_name(challenger: Vitals, reason: str) -> None:
    decision = decide(mixed(120, 20, 1000), 1000, SETTINGS, 0.025)
    assert decision is not None
    after = guarded(decision, Vitals(0.70, 0.05, 1.0), challenger, SETTINGS)
    assert after.reason == reason
    assert after.accepted == (reason == "evidence")
    assert (f"the {reason} guard" in after.sentence) == (reason != "evidence")


def test_a_guard_leaves_a_rejection_as_it_is() -> None:
    decision = decide(mixed(50, 100, 1000), 1000, SETTINGS, 0.025)
    assert decision is not None
    assert guarded(decision, Vitals(0.7, 0, 1), Vitals(0, 1, 0), SETTINGS) == decision


def test_lost_prefix_entropy_raises_an_alarm_only() -> None:
    assert entropy_alarm(Vitals(0.7, 0, 2.0), Vitals(0.7, 0, 1.0), SETTINGS) == ""
    assert "0.90 nats" in entropy_alarm(Vitals(0.7, 0, 2.0), Vitals(0.7, 0, 0.9), SETTINGS)


def test_the_gain_is_said_with_its_interval_and_method() -> None:
    assert sentence_of_gain(mixed(68, 30, 1000), "base") == (
        "Gain over base: +3.8 points on 1,000 problems (95 % Tango's score interval +1.9 to +5.8)."
    )
    assert "betting interval" in sentence_of_gain([Pair(0, 0.5)] * 20, "placebo")


def test_deciding_is_cheap_enough_for_every_batch() -> None:
    pairs = mixed(100, 90, 2000)
    started = time.perf_counter()
    for judged in range(64, 2000, 64):
        decide(pairs[:judged], 2000, SETTINGS, 0.025)
    assert time.perf_counter() - started < 10
