"""Guards on paired outcomes: what each rule decides and says, and the error that it may spend."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfimprove import recipe
from selfimprove.gate.decision import Pair, decide
from selfimprove.gate.editions import FORMAT_3
from selfimprove.gate.guards import (
    TOGETHER,
    GuardDecision,
    alphas_of_guards,
    decide_guard,
    decided_with_guards,
    guard_lines,
    size_for_proof,
)
from selfimprove.gate.together import Passed, decide_together
from selfimprove.recipe.reading import parse_recipe

WIN, LOSS, SAME = Pair(0, 1), Pair(1, 0), Pair(1, 1)
SETTINGS = recipe.Gate(batch=50)
HARM = recipe.Guard(problems="english.jsonl")
PROOF = recipe.Guard(problems="code.jsonl", rule="proof of no harm", max_drop=0.05)


def spread(wins: int, losses: int, size: int) -> list[Pair]:
    """Flips spread evenly over the problems, wins and losses mixed."""
    flips = sorted([(k / max(1, wins), WIN) for k in range(wins)] + [(k / losses, LOSS) for k in range(losses)],
                   key=lambda flip: flip[0])  # fmt: skip
    pairs = [SAME] * size
    for number, (_, pair) in enumerate(flips):
        pairs[number * size // len(flips)] = pair
    return pairs


def decided(pairs: list[Pair], guard: recipe.Guard, alpha: float = 0.025) -> GuardDecision:
    found = decide_guard(pairs, len(pairs), guard, SETTINGS, alpha)
    assert found is not None
    return found


def test_a_large_drop_is_shown_before_all_is_judged_and_rejects() -> None:
    found = decided(spread(2, 60, 200), HARM)
    assert (found.passed, found.reason) == (False, "harm shown")
    assert found.judged < 200
    assert found.evidence >= found.threshold == 40
    assert found.gain < -0.1
    assert found.told.startswith("a drop of more than 2 points is shown; ")
    assert "of 200 problems" in found.told


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (10, 10), (8, 12), (30, 5)])
def test_what_is_not_shown_to_be_harmful_passes_with_the_drop_that_is_ruled_out(wins: int, losses: int) -> None:
    found = decided(spread(wins, losses, 200) if losses else [SAME] * 200, HARM)
    assert (found.passed, found.reason, found.judged) == (True, "no harm shown", 200)
    assert found.gain_lower < found.gain == (wins - losses) / 200
    assert found.robust


def test_proof_of_no_harm_takes_as_many_problems_as_it_says() -> None:
    size = size_for_proof(PROOF, 0.025, 0.1)
    assert 300 < size < 500
    flips = size // 10
    found = [decided(spread(n * flips // 200, n * flips // 200, n * size // 100), PROOF) for n in (100, 25)]
    assert [one.reason for one in found] == ["harm ruled out", "harm not ruled out"]
    assert [one.passed for one in found] == [True, False]
    assert found[0].told.startswith("a drop of 5 points or more is ruled out; ")


def test_proof_of_no_harm_ends_early_where_harm_is_shown() -> None:
    found = decided(spread(2, 60, 200), PROOF)
    assert (found.passed, found.reason) == (False, "harm shown")
    assert found.judged < 200


@pytest.mark.parametrize("guard", [HARM, PROOF])
@settings(max_examples=30)
@given(
    outcomes=st.lists(st.sampled_from([WIN, LOSS, SAME, SAME]), min_size=10, max_size=230),
    cut=st.integers(0, 230),
)
def test_a_decision_never_changes_with_more_pairs(guard: recipe.Guard, outcomes: list[Pair], cut: int) -> None:
    whole = decide_guard(outcomes, len(outcomes), guard, SETTINGS, 0.025)
    part = decide_guard(outcomes[:cut], len(outcomes), guard, SETTINGS, 0.025)
    assert whole is not None
    assert part in (None, whole)


def test_averages_and_scores_are_judged_too() -> None:
    worse = [Pair(0.75, 0.5), Pair(0.5, 0.5)] * 200
    found = decide_guard(worse, 400, HARM, recipe.Gate(batch=50, samples=4), 0.025)
    assert found is not None
    assert found.reason == "harm shown"


def test_unread_answers_that_could_turn_it_are_said() -> None:
    pairs = [dataclasses.replace(pair, challenger_unclear=pair is LOSS) for pair in spread(2, 60, 200)]
    found = decided(pairs, HARM)
    assert not found.passed
    assert not found.robust
    assert "the challenger's unparsed or timed-out answers" in found.told


def test_a_decision_names_the_guard_that_rejects_and_the_changes_on_those_that_pass() -> None:
    accepted = decide([WIN] * 30 + [SAME] * 20, 50, SETTINGS, 0.025)
    assert accepted is not None
    fine, worse = decided(spread(10, 9, 200), HARM), decided(spread(2, 60, 200), HARM)
    passed = decided_with_guards(accepted, {"english": fine, "code": fine})
    assert passed.accepted
    assert passed.sentence == f"{accepted.sentence} Guards passed: english +0.5 points, code +0.5 points."
    rejected = decided_with_guards(accepted, {"english": fine, "code": worse})
    assert (rejected.accepted, rejected.reason, rejected.looks) == (False, "guard code", accepted.looks)
    assert rejected.sentence == f"Rejected by the guard code: {worse.told}."


GUARDS = parse_recipe(
    {"guards": [{"problems": f"{name}.jsonl"} for name in "abc"] + [{"problems": "d.jsonl", "rule": PROOF.rule}]},
    "here",
)


def test_the_error_of_guards_is_shared_by_those_that_ask_for_harm_and_carried_on_by_what_is_refuted() -> None:
    first = alphas_of_guards(GUARDS, (), ())
    assert first == {"a": 0.025 / 4, "b": 0.025 / 4, "c": 0.025 / 4, "d": 0.025, TOGETHER: 0.025 / 4}
    second = alphas_of_guards(GUARDS, (False,), (False,))
    assert second["a"] == pytest.approx(0.05 / 6 / 4)
    carried = alphas_of_guards(GUARDS, (True,), (True,))
    assert [carried["a"], carried["d"]] == pytest.approx([0.05 * 4 / 6 / 4, 0.05 * 4 / 6])


def test_one_guard_that_asks_for_harm_and_old_runs_have_no_test_of_all_together() -> None:
    assert alphas_of_guards(GUARDS, (), (), FORMAT_3) == {"a": 0.025 / 3, "b": 0.025 / 3, "c": 0.025 / 3, "d": 0.025}
    one = parse_recipe({"guards": [{"problems": "a.jsonl"}, {"problems": "d.jsonl", "rule": PROOF.rule}]}, "here")
    assert alphas_of_guards(one, (), ()) == {"a": 0.025, "d": 0.025}


@given(history=st.lists(st.booleans(), max_size=30))
def test_the_shares_of_harmless_challengers_never_sum_to_more_than_guard_alpha(history: list[bool]) -> None:
    """Up to the first false rejection harm is shown of harmful challengers alone: those are the ones that carry on."""
    spent = 0.0
    for place, harmful in enumerate([*history, False]):
        alphas = alphas_of_guards(GUARDS, history[:place], ())
        spent += 0 if harmful else sum(alphas[name] for name in ("a", "b", "c", TOGETHER))
    assert spent <= GUARDS.gate.guard_alpha


def test_the_plan_says_what_guards_detect_and_what_a_proof_takes() -> None:
    lines = guard_lines(GUARDS)
    assert len(lines) == 4
    assert lines[0].startswith(
        "guard a, 200 problems: a drop of more than 2 points must not be shown; detectable at 80%"
    )
    assert lines[0].endswith(" power, in points: none at 5% flips, 9.9 at 10% flips, 13.1 at 20% flips")
    assert lines[3].startswith("guard d, 200 problems: a drop of 2 points or more must be ruled out; ")
    assert lines[3].endswith(" at 80% power: 1,090 at 5% flips, 2,179 at 10% flips, 4,358 at 20% flips")


def test_where_nothing_may_be_lost_mcnemars_exact_test_has_the_last_look() -> None:
    guard = recipe.Guard(problems="a.jsonl", max_drop=0)
    pairs = spread(4, 17, 200)  # p = 0.0036, below 0.97 * 0.025, though the bets alone fall short
    assert decided(pairs, guard).reason == "harm shown"
    assert decided(pairs, guard).judged == 200
    assert decided(spread(17, 4, 200), guard).passed


def together(*sets: tuple[recipe.Guard, list[Pair]], alpha: float = 0.025 / 4) -> GuardDecision:
    return decide_together([Passed(guard=guard, pairs=tuple(pairs)) for guard, pairs in sets], SETTINGS, alpha)


def test_a_drop_that_no_guard_shows_by_itself_is_shown_by_all_together() -> None:
    """7 points on each of three sets of 200, a tenth of which flips."""
    pairs = spread(3, 17, 200)
    assert all(decided(pairs, HARM, 0.025 / 4).passed for _ in range(3))
    found = together(*[(HARM, pairs)] * 3)
    assert (found.passed, found.reason, found.judged) == (False, "harm shown", 600)
    assert found.told.startswith("harm on at least one of the 3 guards is shown; 9 won, 51 lost in 600 problems, ")
    assert found.evidence >= found.threshold
    assert found.robust


def test_what_is_harmless_on_each_guard_is_harmless_together() -> None:
    assert together(*[(HARM, spread(10, 10, 200))] * 3).passed
    edge = HARM.model_copy(update={"max_drop": 0.08})
    found = together(*[(edge, spread(2, 18, 200))] * 3)
    assert (found.passed, found.reason) == (True, "no harm shown")
    assert found.gain == pytest.approx(-0.08)


def test_unread_answers_that_could_turn_the_test_of_all_are_said() -> None:
    pairs = [dataclasses.replace(pair, challenger_unclear=pair is LOSS) for pair in spread(2, 18, 200)]
    found = together(*[(HARM, pairs)] * 3)
    assert not found.passed
    assert not found.robust
    assert "the challenger's unparsed or timed-out answers to 54 problems could reverse the decision" in found.told


def test_a_rejection_by_all_together_says_so_and_their_passing_is_not_told() -> None:
    accepted = decide([WIN] * 30 + [SAME] * 20, 50, SETTINGS, 0.025)
    assert accepted is not None
    fine, worse = decided(spread(10, 9, 200), HARM), together(*[(HARM, spread(2, 18, 200))] * 3)
    rejected = decided_with_guards(accepted, {"english": fine, "code": fine, TOGETHER: worse})
    assert (rejected.accepted, rejected.reason) == (False, "all guards together")
    assert rejected.sentence == f"Rejected by all guards together: {worse.told}."
    alike = together(*[(HARM, spread(10, 10, 200))] * 2)
    passed = decided_with_guards(accepted, {"english": fine, "code": fine, TOGETHER: alike})
    assert passed.sentence.endswith("Guards passed: english +0.5 points, code +0.5 points.")


@given(outcomes=st.lists(st.sampled_from([WIN, LOSS, SAME]), min_size=1, max_size=60), cut=st.integers(1, 59))
@settings(deadline=None)
def test_a_win_in_place_of_a_loss_never_shows_more_harm(outcomes: list[Pair], cut: int) -> None:
    better = [WIN if pair is LOSS and place == cut else pair for place, pair in enumerate(outcomes)]
    worse, found = together((HARM, outcomes)), together((HARM, better))
    assert found.passed or not worse.passed
