"""When two questions are the same, and 8-gram overlap."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfimprove.problem.wording import normal_form
from tests import paths

CASES = json.loads((paths.CASES / "problems" / "wording.json").read_text())


@pytest.mark.parametrize(("left", "right"), CASES["same"])
def test_the_same_question_in_other_clothes(left: str, right: str) -> None:
    assert normal_form(left) == normal_form(right)


@pytest.mark.parametrize(("left", "right"), CASES["different"])
def test_signs_that_mean_something_are_kept(left: str, right: str) -> None:
    assert normal_form(left) != normal_form(right)


@given(st.text())
def test_a_question_that_is_not_blank_has_a_normal_form(question: str) -> None:
    assert bool(normal_form(question)) == bool(question.split())


@given(st.text(alphabet="abc 123"), st.sampled_from([" ", "  ", "\n", "\t"]))
def test_spaces_and_case_do_not_matter(question: str, space: str) -> None:
    assert normal_form(question.upper().replace(" ", space)) == normal_form(question)


@given(st.integers(0, 10**12))
def test_a_number_has_one_form(number: int) -> None:
    assert normal_form(f"{number:,}.00") == normal_form(f"{number}.0") == normal_form(str(number)) == str(number)


@pytest.mark.parametrize("piece", ["1,", "0.", "'", "a-", "\\", "1,000", "?", "9", "0.0"])
def test_hostile_text_costs_linear_time(piece: str) -> None:
    start = time.perf_counter()
    normal_form(piece * 200_000)
    assert time.perf_counter() - start < 5
