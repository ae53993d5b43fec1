from __future__ import annotations

import dataclasses
import json
import time

import pytest

from selfimprove import recipe
from selfimprove.gate.budget import alpha_of_round, share_of_round
from selfimprove.gate.decision import (
    Pair,
    Vitals,
    decide,
    entropy_alarm,
    guarded,
    sentence_of_gain,
)
from selfimprove.gate.editions import FORMAT_2
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
    pairs = mixed(17, 4, 100)  # p = 0.0036, below 0.97 * 0.025; the mixture alone falls short
    at_end = decide(pairs, 100, recipe.Gate(batch=100), 0.025)
    earlier = decide(pairs, 1000, recipe.Gate(batch=100), 0.025)
    assert at_end is not None
    assert at_end.accepted
    assert earlier is None


def test_the_sentence_gives_the_numbers_in_words() -> None:
    decision = decide(mixed(31, 24, 400), 400, recipe.Gate(batch=400), 0.025)
    assert decision is not None
    assert decision.sentence == (
        "Rejected as undecided: all problems are judged and the evidence falls short; 55 flips in 400 problems: 31 won "
        "(all became right), 24 lost (all became wrong); evidence 0.0, needs 40; "
        f"a gain above {100 * decision.looks[-1].gain_upper:.1f} points is ruled out."
    )


@pytest.mark.parametrize(
    ("pairs", "settings", "told"),
    [
        (mixed(0, 300, 1000), recipe.Gate(), " as futile: a gain of 2 points or more is ruled out; "),
        (mixed(0, 0, 1000), recipe.Gate(), " as futile: even if the other 872 problems go well, the gain stays below "),
        (mixed(40, 40, 400), recipe.Gate(worthwhile=0.001), " as futile: even if the other 144 problems go well, th"),
        (
            mixed(13, 4, 100),
            recipe.Gate(batch=100),
            " as undecided: all problems are judged and the evidence falls short; ",
        ),
        (mixed(10, 11, 200), recipe.Gate(rule="point"), ": accuracy fell; "),
    ],
)
def test_a_rejection_says_first_why_judging_stopped(pairs: list[Pair], settings: recipe.Gate, told: str) -> None:
    decision = decide(pairs, len(pairs), settings, 0.025)
    assert decision is not None
    assert decision.sentence.startswith(f"Rejected{told}")
    assert decision.sentence.index(told) < decision.sentence.index(" won")


def test_the_sentence_splits_flips_by_what_the_answers_were() -> None:
    read, cut = Pair(0, 1, champion_unreadable=1), Pair(1, 0, challenger_unreadable=1)
    decision = decide([read] * 25 + [WIN] * 3 + [cut] * 2 + [LOSS] + [SAME] * 69, 100, recipe.Gate(batch=100), 0.025)
    assert decision is not None
    assert decision.sentence.startswith(
        "Accepted: 31 flips in 100 problems: 28 won (25 became readable, 3 became right), "
        "3 lost (2 became unreadable, 1 became wrong); "
    )


def test_averages_are_split_in_points() -> None:
    better = [Pair(0.25, 0.5, champion_unreadable=0.25), Pair(0.5, 0.5), Pair(0.75, 0.5), Pair(0.5, 0.75)] * 100
    decision = decide(better, 400, recipe.Gate(samples=4), 0.025)
    assert decision is not None
    assert "; became readable +6.2, right +6.2, unreadable 0.0, wrong −6.2; evidence " in decision.sentence


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
    assert doubtful.sentence.endswith(
        f"checker-dependent: the champion's unparsed or timed-out answers to {doubtful.looks[-1].wins} problems "
        "could reverse the decision."
    )


def test_a_rejection_is_checker_dependent_when_the_challengers_unclear_verdicts_could_save_it() -> None:
    pairs = [Pair(1, 0, challenger_unclear=True)] * 30 + [SAME] * 70 + [WIN] * 30
    decision = decide(pairs, len(pairs), recipe.Gate(batch=200), 0.025)
    assert decision is not None
    assert not decision.accepted
    assert not decision.robust
    told = "the challenger's unparsed or timed-out answers to 30 problems could reverse the decision"
    assert told in decision.sentence


def test_averages_over_samples_are_judged_by_betting() -> None:
    settings = recipe.Gate(samples=4)
    better = [Pair(0.25, 0.5), Pair(0.5, 0.5), Pair(0.75, 0.5), Pair(0.5, 0.75)] * 100
    worse = [Pair(pair.challenger, pair.champion) for pair in better]
    accepted, rejected = decide(better, 400, settings, 0.025), decide(worse, 400, settings, 0.025)
    assert accepted is not None
    assert rejected is not None
    assert accepted.accepted
    assert not rejected.accepted


def test_averages_have_a_last_look_that_old_runs_did_without() -> None:
    """Two samples a side, a gain of 4.7 points on 320 problems: enough for a bet that aims at the last of them."""
    settings = recipe.Gate(samples=2, batch=160)
    pairs = ([Pair(0, 0.5)] * 7 + [Pair(0.5, 0)] * 4 + [SAME] * 21) * 10
    aimed, alone = decide(pairs, 320, settings, 0.025), decide(pairs, 320, settings, 0.025, FORMAT_2)
    assert aimed is not None
    assert alone is not None
    assert (aimed.accepted, alone.accepted) == (True, False)
    assert aimed.looks[-1].evidence >= 40 > alone.looks[-1].evidence


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
    assert evidence(whole, 17, 0.025, greedy=True) > 40 > evidence(one, 17, 0.025, greedy=True)


@pytest.mark.parametrize(("pairs", "total"), [([SAME] * 101, 100), ([Pair(0, 2)] * 64, 100), ([], 0)])
def test_what_cannot_be_is_refused(pairs: list[Pair], total: int) -> None:
    with pytest.raises(ValueError, match=r"held-out|shares"):
        decide(pairs, total, SETTINGS, 0.025)


def test_rounds_are_numbered_from_one() -> None:
    assert share_of_round(SETTINGS, 1) == 0.025
    with pytest.raises(ValueError, match="from 1"):
        share_of_round(SETTINGS, 0)


@pytest.mark.parametrize(
    ("earlier", "parts"),
    [
        ("", [1 / 2]),
        ("r", [1 / 6]),
        ("a", [1 / 2, 1 / 6]),
        ("ra", [1 / 6, 1 / 12]),
        ("ar", [1 / 12]),
        ("aaa", [1 / 2, 1 / 6, 1 / 12, 1 / 20]),
        ("arraa", [1 / 20, 1 / 30, 1 / 42]),
    ],
)
def test_the_error_of_accepted_rounds_is_carried_on_to_the_next(earlier: str, parts: list[float]) -> None:
    before = [letter == "a" for letter in earlier]
    assert alpha_of_round(SETTINGS, before) == pytest.approx(0.05 * sum(parts))
    assert alpha_of_round(SETTINGS, before, carried=False) == pytest.approx(0.05 * parts[-1])


def test_a_budget_without_accepts_is_that_of_the_round_alone() -> None:
    for number in range(1, 30):
        assert alpha_of_round(SETTINGS, [False] * (number - 1)) == 0.05 / (number * (number + 1))


def test_announced_rounds_share_the_error_equally_and_leave_a_part_for_rounds_beyond() -> None:
    five = recipe.Gate(rounds=5)
    assert [share_of_round(five, number) for number in (1, 5)] == [0.05 / 6, 0.05 / 6]
    assert share_of_round(five, 6) == 0.05 / 6 / 2
    assert alpha_of_round(five, [True, True]) == pytest.approx(0.05 / 2)
    assert share_of_round(recipe.Gate(rounds=1), 1) == share_of_round(SETTINGS, 1)


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
        "Gain over base: +3.8 points on 1,000 problems (Tango's 95% score interval +1.9 to +5.8): "
        "became readable 0.0, right +6.8, unreadable 0.0, wrong −3.0."
    )
    assert "betting interval" in sentence_of_gain([Pair(0, 0.5)] * 20, "placebo")


def test_deciding_is_cheap_enough_for_every_batch() -> None:
    pairs = mixed(100, 90, 2000)
    started = time.perf_counter()
    for judged in range(64, 2000, 64):
        decide(pairs[:judged], 2000, SETTINGS, 0.025)
    assert time.perf_counter() - started < 10
