"""A model that gives one answer to most problems is told of, and one that is right with it isn't."""

from __future__ import annotations

import pytest

from selfimprove.answer import Outcome
from selfimprove.problem.values import Problem, make_problem
from selfimprove.round.judge import one_answer_told
from selfimprove.sampling import StopReason
from selfimprove.store.rows import Answered

LETTERS = [("A", "B", "C", "D")[n % 4] for n in range(40)]


def told(given: list[str | None], wanted: list[str]) -> str:
    problems = [make_problem(f"Question {n}?", answer, "x") for n, answer in enumerate(wanted)]
    answers = {problem.key: [_row(problem, answer)] for problem, answer in zip(problems, given, strict=True)}
    return one_answer_told(1, answers, problems)


def _row(problem: Problem, answer: str | None) -> Answered:
    return Answered(
        model=1,
        key=problem.key,
        sample=0,
        outcome=Outcome.WRONG,
        candidate=answer,
        stage="string",
        reason="",
        stop=StopReason.EOS,
        token_ids=(1,),
        text="",
    )


def test_a_letter_that_is_always_given_is_told_of() -> None:
    found = told(["(B)"] * 30 + ["A"] * 10, LETTERS)
    assert found.startswith("the model of round 1 gives B in 30 of 40 answers, and that is the reference of 10 of 40")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (LETTERS, LETTERS),  # nothing dominates
        (["7"] * 30 + ["8"] * 10, ["7"] * 28 + ["9"] * 12),  # it is the answer to most
        (["B"] * 10, LETTERS[:10]),  # too few to tell
        ([None] * 40, LETTERS),  # nothing was read
    ],
)
def test_other_answers_are_not(given: list[str | None], wanted: list[str]) -> None:
    assert told(given, wanted) == ""
