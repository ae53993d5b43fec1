"""The checker against labelled rows: its own case file, and the shared one where it is at hand."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from selfimprove.answer import Mode, Outcome, asked, check, check_answer, explain, fault_of_reference
from tests import paths
from tests.paths import SHARED

CASES = (paths.CASES / "answers.jsonl", paths.CASES / "outputs.jsonl")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def shared(name: str) -> list[dict[str, Any]]:
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"needs {path}")
    return rows(path)


def accepted(row: dict[str, Any]) -> bool:
    text, reference, question = row["prediction"], row["gold"], asked(row.get("question", ""))
    if row["form"] == "bare":
        return check_answer(text, reference, asked=question).outcome is Outcome.CORRECT
    return check(text, reference, cut=row.get("stop") == "length", asked=question).outcome is Outcome.CORRECT


def decided(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of a case file that have a verdict, by their kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows(path):
        if row["equal"] is not None:
            found.setdefault(row["kind"], []).append(row)
    return found


DECIDED = [(f"{path.stem} {kind}", group) for path in CASES for kind, group in decided(path).items()]
MANY = 1000
"""Rows of a kind above which the default run takes every eighth."""


def groups() -> list[Any]:
    found = []
    for name, group in DECIDED:
        large = len(group) > MANY
        found += [pytest.param(group[::8], id=f"{name}, every eighth")] if large else []
        found += [pytest.param(group, id=name, marks=pytest.mark.slow if large else ())]
    return found


@pytest.mark.parametrize("group", groups())
def test_own_cases(group: list[dict[str, Any]]) -> None:
    assert [row for row in group if accepted(row) is not row["equal"]] == []


def test_shared_cases_reach_their_floors() -> None:
    judged = [(row, accepted(row)) for row in shared("checker_cases.jsonl") if row["equal"] is not None]
    wrong_accepts = [row["id"] for row, yes in judged if yes and row["equal"] is False]
    wrong_rejects = Counter(row["kind"] for row, yes in judged if not yes and row["equal"] is True)
    assert wrong_accepts == []
    assert not {kind: count for kind, count in wrong_rejects.items() if count > 1}
    assert wrong_rejects.total() <= 3


def test_references_of_math500_are_sound() -> None:
    assert [row["id"] for row in shared("math500_test.jsonl") if fault_of_reference(row["expected_answer"])] == []


def test_references_of_gsm8k_are_sound() -> None:
    answers = {str(row["answer"]).split("####")[-1].strip() for row in shared("gsm8k_test.jsonl")}
    assert [answer for answer in answers if fault_of_reference(answer)] == []


@pytest.mark.parametrize(
    ("mode", "text", "outcome"),
    [
        ("boxed", "The answer is 5.", Outcome.UNPARSED),
        ("boxed", r"The answer is \boxed{5}.", Outcome.CORRECT),
        ("marked", "The answer is 5.", Outcome.CORRECT),
        ("marked", "We get 5.", Outcome.UNPARSED),
        ("last", "We get 5.", Outcome.CORRECT),
        ("last", "", Outcome.UNPARSED),
    ],
)
def test_mode_decides_what_counts_as_an_answer(mode: Mode, text: str, outcome: Outcome) -> None:
    assert check(text, "5", mode).outcome is outcome


def test_explanation_shows_both_sides_and_the_stage() -> None:
    shown = explain(r"So \boxed{x = 0.5}.", r"\frac12")
    assert (shown.found_by, shown.candidate, shown.reference_normal) == ("boxed", "x = 0.5", r"\frac12")
    assert (shown.candidate_type, shown.reference_type) == ("named value", "expression")
    assert (shown.verdict.outcome, shown.verdict.stage) == (Outcome.CORRECT, "rational")


@pytest.mark.parametrize("reference", ["", "  ", "58 = 57", "(" * 4000])
def test_reference_with_a_fault_is_named(reference: str) -> None:
    assert fault_of_reference(reference)


@pytest.mark.parametrize("reference", ["5", r"\frac{1}{2}", "B", "Evelyn", "x^2+1", r"(2,\infty)", r"\emptyset"])
def test_sound_reference_has_no_fault(reference: str) -> None:
    assert fault_of_reference(reference) is None


def test_candidate_is_cut_to_a_bounded_length() -> None:
    verdict = check(r"\boxed{" + "1" * 2000 + "}", "5")
    assert verdict.outcome is Outcome.UNPARSED
    assert verdict.candidate is not None
    assert len(verdict.candidate) <= 300


@pytest.mark.parametrize(("text", "reference"), [("21 + 19 = 30", "40"), ("58 = 57", "57"), ("So 2 * 3 = 7.", "6")])
def test_a_false_equation_is_wrong_and_not_unclear(text: str, reference: str) -> None:
    assert check(text, reference, "last").outcome is Outcome.WRONG


@pytest.mark.parametrize(
    "answer", [r"\Gamma()", r"x+\Gamma()", r"\Gamma\left(\right)^9", r"\binom{}{}", r"\min()", r"2\max()"]
)
def test_a_function_of_nothing_is_no_crash(answer: str) -> None:
    assert check(f"\\boxed{{{answer}}}", "x+5", "boxed").outcome in (Outcome.WRONG, Outcome.UNPARSED)


def test_an_absolute_value_in_a_congruence_is_no_crash() -> None:
    assert check(r"\boxed{|x| \equiv 5}", "x > 2 or x < -2").outcome is Outcome.UNPARSED
