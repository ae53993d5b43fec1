"""N-gram overlap of questions, held against the sets of words that it stands for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfimprove.problem.grams import STEP, leaked, resembled, shared_ngrams
from selfimprove.problem.wording import normal_form

FORMS = st.lists(
    st.lists(st.sampled_from(["a", "b", "7", "é", "²", "+", "\\\\frac", "["]), max_size=9).map(" ".join), max_size=12
)


def test_overlap_is_the_share_of_questions_with_eight_words_in_common() -> None:
    training = [normal_form("One two three four five six seven eight nine.")]
    questions = ["zero one TWO three, four five six seven eight", "two three four five six seven eight ten", "one two"]
    judged = [normal_form(question) for question in questions]
    assert shared_ngrams(judged, training) == pytest.approx(1 / 3)
    assert shared_ngrams(judged, []) == 0.0
    assert shared_ngrams([], training) == 0.0
    assert shared_ngrams(judged, training, length=2) == 1.0


def grams(form: str, length: int) -> set[tuple[str, ...]]:
    words = [word for word in form.split() if word[0].isalnum() or word[0] == "\\"]
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


@given(FORMS, FORMS, st.integers(1, 4), st.sampled_from([0.1, 0.5, 1.0]))
def test_all_that_the_filter_passes_and_stops_is_what_sets_of_words_say(
    judged: list[str], training: list[str], length: int, share: float
) -> None:
    asked = [grams(form, length) for form in judged]
    trained = [grams(form, length) for form in training]
    known = set().union(*trained)
    expected = sum(not own.isdisjoint(known) for own in asked) / len(judged) if judged else 0.0
    assert shared_ngrams(judged, training, length) == pytest.approx(expected)
    like = [
        {
            place
            for place, own in enumerate(asked)
            if trained_on & own and len(trained_on & own) >= share * len(trained_on)
        }
        for trained_on in trained
    ]
    assert leaked(training, judged, length, share) == [place for place, near in enumerate(like) if near]
    assert resembled(training, judged, length, share) == set().union(*like)


def test_places_go_on_from_one_step_of_the_filter_to_the_next() -> None:
    training = [f"question number {number} of many is asked here once" for number in range(2 * STEP + 3)]
    judged = [
        training[5],
        training[STEP + 1],
        training[2 * STEP + 2],
        "question number 17 of many is never asked there",
    ]
    assert leaked(training, judged, 8, 1.0) == [5, STEP + 1, 2 * STEP + 2]
    assert shared_ngrams(judged, training) == 0.75
