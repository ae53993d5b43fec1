"""The selections: what is kept of a problem's completions, and that nothing is lost without a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfimprove.answer.checking import Checker
from selfimprove.recipe import Answers, Prefixes
from selfimprove.round.agreement import answer_classes, majority
from selfimprove.round.prefixes import Choice
from selfimprove.round.selection import Tried, advantages, consistent, modal, pattern_of, rollout, verified
from selfimprove.sampling import Completion, StopReason

ROLLOUT = Prefixes(select="rollout", length=2, shrinkage=0.0, least_advantage=0.0)


def _completions(*problems: str) -> list[Completion]:
    """A completion for each letter of each word: equal letters are equal ids."""
    return [
        Completion(key=f"k{place}", sample=sample, token_ids=(ord(letter), 9), stop=StopReason.LENGTH, seed=0)
        for place, word in enumerate(problems)
        for sample, letter in enumerate(word)
    ]


words = st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=6)


def _is_whole(choice: Choice, completions: list[Completion]) -> None:
    rows = {completion.row for completion in completions}
    assert choice.weights.keys() | choice.reasons.keys() == rows
    assert not choice.weights.keys() & choice.reasons.keys()
    assert set(choice.solutions) <= set(choice.weights)


@given(words)
def test_modal_keeps_one_commonest_prefix_of_a_problem_or_none(problems: list[str]) -> None:
    found = _completions(*problems)
    choice = modal(found, 1)
    _is_whole(choice, found)
    for place, word in enumerate(problems):
        kept = [word[sample] for key, sample in choice.weights if key == f"k{place}"]
        most = max(word.count(letter) for letter in word)
        agreed = most > 1 or len(word) == 1
        assert len(kept) == agreed
        assert all(word.count(letter) == most for letter in kept)


@given(words)
def test_consistent_keeps_all_that_agree_with_a_true_majority(problems: list[str]) -> None:
    found = _completions(*problems)
    answers = {c.row: None if c.token_ids[0] == ord("c") else chr(c.token_ids[0]) for c in found}
    choice = consistent(found, answers)
    _is_whole(choice, found)
    for place, word in enumerate(problems):
        kept = {word[sample] for key, sample in choice.weights if key == f"k{place}"}
        a, b = word.count("a"), word.count("b")
        assert kept == ({"a"} if a > max(b, 1) else {"b"} if b > max(a, 1) else set())


def test_a_majority_needs_two_votes_and_more_than_any_other() -> None:
    assert majority([("1", 1), (None, 5)]) is None
    assert majority([("1", 2), ("2", 2)]) is None
    assert majority([("1", 2), ("2", 1), ("2", 2)]) == "2"
    assert majority([]) is None


def test_verified_keeps_what_is_right() -> None:
    found = _completions("ab")
    choice = verified(found, {("k0", 1)})
    assert choice == Choice({("k0", 1): 1.0}, {("k0", 0): "not_verified"})


tries = st.lists(
    st.tuples(st.sampled_from("xyz"), st.lists(st.booleans(), min_size=1, max_size=6), st.integers(1, 4)),
    min_size=1,
    max_size=8,
).map(
    lambda made: [
        Tried(key, tuple((key, 10 * place + n) for n in range(rows)), tuple(outcomes))
        for place, (key, outcomes, rows) in enumerate(made)
    ]
)


@given(tries, st.floats(0, 20))
def test_advantages_balance_within_a_problem_and_shrink_toward_zero(tried: list[Tried], shrinkage: float) -> None:
    plain, shrunk = advantages(tried, 0.0), advantages(tried, shrinkage)
    for key in {one.key for one in tried}:
        own = [(one, value) for one, value in zip(tried, plain, strict=True) if one.key == key]
        assert sum(len(one.rows) * value for one, value in own) == pytest.approx(0, abs=1e-9)
    for one, before, after in zip(tried, plain, shrunk, strict=True):
        n = len(one.outcomes)
        assert after == pytest.approx(before * n / (n + shrinkage))


@given(tries, st.booleans())
def test_rollout_keeps_one_row_of_each_better_prefix_at_mean_weight_one(tried: list[Tried], weighted: bool) -> None:
    found = [
        Completion(key=row[0], sample=row[1], token_ids=(1, 2), stop=StopReason.LENGTH, seed=0)
        for one in tried
        for row in one.rows
    ]
    choice = rollout(found, tried, ROLLOUT.model_copy(update={"weighted": weighted}))
    _is_whole(choice, found)
    better = [one for one, value in zip(tried, advantages(tried, 0.0), strict=True) if value > 0]
    assert choice.weights.keys() == {min(one.rows) for one in better}
    if better:
        assert sum(choice.weights.values()) / len(better) == pytest.approx(1)
    if not weighted:
        ratios = {round(choice.weights[min(one.rows)] / len(one.rows), 9) for one in better}
        assert len(ratios) <= 1


def test_a_prefix_without_luck_of_its_own_is_carried_by_its_pattern() -> None:
    good = [Tried(f"g{n}", ((f"g{n}", 0),), (True,) * 4, "add ⟨0⟩") for n in range(6)]
    bad = [Tried(f"g{n}", ((f"g{n}", 1),), (False,) * 4, "well") for n in range(6)]
    unlucky = [Tried("u", (("u", 0),), (False,), "add ⟨0⟩"), Tried("u", (("u", 1),), (False,), "well")]
    found = advantages([*good, *bad, *unlucky], 4.0)
    assert found[-2] > 0.2
    assert found[-1] < -0.2


def test_patterns_forget_the_problems_own_numbers_and_no_others() -> None:
    assert pattern_of("17 + 5 is 22", "What is 17 + 5?") == "⟨0⟩ + ⟨1⟩ is 22"
    assert pattern_of("5 + 5 is", "What is 5 + 5?") == "⟨0⟩ + ⟨0⟩ is"
    assert pattern_of("1.5 of 15", "1.5 times 2") == "⟨0⟩ of 15"


def test_answers_agree_where_the_checker_says_they_are_equal() -> None:
    texts = ["The answer is 12.", "12", "It is 24/2 = 12.", "3 + 9", "no idea", "13", "12.0"]
    with Checker(workers=1) as checker:
        classes = answer_classes(checker, ["k"] * 7, texts, Answers(finished=True))
        apart = answer_classes(checker, ["a", "b"], ["12", "12.0"], Answers())
    assert classes[0] == classes[1] == classes[2] == classes[6] == "12"
    assert classes[3] is None
    assert classes[4] is None
    assert classes[5] == "13"
    assert apart == ["12", "12.0"]
