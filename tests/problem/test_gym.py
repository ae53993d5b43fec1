"""Tasks of reasoning-gym that judge answers themselves: what is taken for the answer, and what an answer can't do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfimprove.answer import Outcome
from selfimprove.answer.checking import Checker
from selfimprove.problem.generated import draw
from selfimprove.problem.gym import HASHED, PLAIN, stated_answer
from selfimprove.problem.judging import open_checker
from selfimprove.problem.references import faulty_references
from selfimprove.problem.values import Problem
from selfimprove.recipe import Answers, MixturePart
from selfimprove.round.verdicts import check_completions
from tests.paths import ROOT

RIGHT, WRONG, UNPARSED = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED
PLAN = "1 0\n0 1"


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with open_checker(Answers()) as one:
        yield one


def outcome(checker: Checker, problem: Problem, text: str, settings: Answers | None = None) -> Outcome:
    return check_completions(checker, [(text, problem)], settings or Answers())[0].outcome


def one_of(task: str, **params: object) -> Problem:
    return draw("one", {"one": (MixturePart(name=task, params=params),)}, 0, 1)[0][0]


@pytest.mark.parametrize(
    ("text", "mode", "answer"),
    [
        ("<answer>olleh</answer>", "last", "olleh"),
        ("first <answer>a</answer>, no: <answer> b </answer>.", "marked", "b"),
        ("<answer>a</answer>", "boxed", None),
        ("So \\boxed{\\text{olleh}}.", "boxed", "olleh"),
        ("<answer>a</answer> so \\boxed{b}", "last", "b"),
        ("The grid is\n\n```\n1 0\n0 1\n```\nwhich is it.", "last", PLAN),
        ("The grid is\n\n1 0\n0 1", "last", PLAN),
        ("Answer:\n1 0\n0 1\n\nThat is all.", "last", PLAN),
        ("**Answer:** olleh", "marked", "olleh"),
        ("The answer is olleh", "last", "olleh"),
        ("I think so.", "marked", None),
        ("olleh", "last", "olleh"),
        ("**olleh**", "last", "olleh"),
        ("", "last", None),
        ("<think>olleh", "last", None),
        ("<think>no</think>olleh", "last", "olleh"),
    ],
)
def test_the_answer_is_what_the_text_states_last(text: str, mode: str, answer: str | None) -> None:
    assert stated_answer(text, mode) == answer


def test_of_a_cut_text_only_what_was_closed_counts() -> None:
    assert stated_answer("The answer is oll", cut=True) is None
    assert stated_answer("<answer>olleh</answer> and", cut=True) == "olleh"


def test_a_task_judges_its_own_answers(checker: Checker) -> None:
    problem = one_of("spell_backward")
    answer = problem.answer or ""
    assert outcome(checker, problem, f"It is <answer>{answer}</answer>") is RIGHT
    assert outcome(checker, problem, f"The answer is {answer}.") is RIGHT
    assert outcome(checker, problem, f"<answer>{answer}x</answer>") is WRONG
    assert outcome(checker, problem, answer, Answers(mode="boxed")) is UNPARSED
    assert faulty_references([problem], checker, Answers()) == ()


def test_another_right_answer_than_the_reference_is_right(checker: Checker) -> None:
    problem = one_of("countdown")
    assert outcome(checker, problem, f"<answer>(({problem.answer}))</answer>") is RIGHT
    assert outcome(checker, problem, f"<answer>{problem.answer} + 1</answer>") is WRONG


def test_tasks_without_a_reference_in_their_answer_have_one(checker: Checker) -> None:
    problems = [one_of(task) for task in ("graph_color", "propositional_logic", "rubiks_cube")]
    assert all(problem.answer for problem in problems)
    assert faulty_references(problems, checker, Answers()) == ()


def test_an_answer_that_the_scorer_cant_read_is_unparsed(checker: Checker) -> None:
    assert outcome(checker, one_of("prime_factorization"), "<answer>a × b</answer>") is UNPARSED
    assert outcome(checker, one_of("game_of_life_halting"), "<answer>perhaps</answer>") is WRONG


def test_numbers_stay_with_the_answer_checker(checker: Checker) -> None:
    problems = draw("sums", {}, 0, 50)[0]
    assert {problem.drawn for problem in problems} == {""}
    assert checker.own is not None
    check_completions(checker, [(problem.answer or "", problem) for problem in problems], Answers())
    assert "chain_sum" in PLAIN


def test_code_in_an_answer_that_a_scorer_evaluates_can_do_nothing(checker: Checker, tmp_path: Path) -> None:
    """`polynomial_multiplication` and others hand answers to sympy's parser, which evaluates them."""
    problem = one_of("intermediate_integration")
    marker = tmp_path / "marker"
    for deed in (
        f"__import__('pathlib').Path({str(marker)!r}).touch()",
        f"__import__('os').system('touch {marker}')",
        f"__import__('os').kill({os.getpid()}, 0) or open({str(marker)!r}, 'w')",
        f"open({str(marker)!r}, 'w')",
    ):
        assert outcome(checker, problem, f"<answer>{deed}</answer>") is not RIGHT
    assert outcome(checker, problem, f"<answer>{problem.answer}</answer>") is RIGHT
    assert not marker.exists()


def test_items_that_depend_on_the_hash_seed_are_the_same_in_every_process() -> None:
    """Whatever seed this process drew, its items are those that another one drew before they were written down."""
    pinned = json.loads((ROOT / "tests/cases/problems/pinned.json").read_text())["ransom_note keys"]
    assert [problem.key for problem in draw("ransom_note", {}, 0, 10)[0]] == pinned
    assert "ransom_note" in HASHED
