"""Marks that say of an answer whether it is right: what is marked wrong is no reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfimprove.problem.preview import Preview, preview
from selfimprove.recipe import Problems

Row = dict[str, Any]


def read(folder: Path, *beside: Row, **given: str) -> Preview:
    """Sums of which every other one is wrong, with these fields in turn."""
    path = folder / "rows.jsonl"
    rows = [
        {"question": f"What is {n} + 10?", given.get("name", "answer"): str(n + 10 + n % 2), **beside[n % len(beside)]}
        for n in range(8)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return preview(str(path), Problems())


MARKS: dict[str, tuple[object, object]] = {
    "is_correct": (1, 0),
    "isCorrect": ("yes", "no"),
    "correct": ("1", "0"),
    "score": (1.0, 0.0),
    "reward": (1, -1),
    "grade": ("correct", "incorrect"),
    "verdict": ("right", "wrong"),
    "judgment": ("A: CORRECT", "B: INCORRECT"),
    "status": ("accepted", "rejected"),
    "exact_match": (True, False),
    "verified": ("True", "False"),
}


@pytest.mark.parametrize("name", MARKS)
@pytest.mark.parametrize("field", ["answer", "output", "answer_text"])
def test_an_answer_that_is_marked_wrong_is_none(name: str, field: str, tmp_path: Path) -> None:
    right, wrong = MARKS[name]
    found = read(tmp_path, {name: right}, {name: wrong}, name=field)
    assert sorted(one.answer or "" for one in found.problems) == ["", "", "", "", "10", "12", "14", "16"]
    assert found.stock.aside[0].why == f"`{name}` says that `{field}` is wrong"


NO_MARKS: dict[str, tuple[Row, Row]] = {
    "points of a test": ({"score": 2}, {"score": 0}),
    "a school year": ({"grade": 1}, {"grade": 4}),
    "a rate": ({"pass_rate": 0.5}, {"pass_rate": 0.0}),
    "words of a state": ({"status": "done"}, {"status": "failed"}),
    "what a model said": ({"response": "10", "reward": 1}, {"response": "11", "reward": 0}),
    "rows that nobody verified": ({"verified": False}, {"verified": False}),
}


@pytest.mark.parametrize("kind", NO_MARKS)
def test_what_tells_of_something_else_is_no_mark(kind: str, tmp_path: Path) -> None:
    assert read(tmp_path, *NO_MARKS[kind]).answered == 8


def test_a_reference_is_not_what_a_mark_speaks_of(tmp_path: Path) -> None:
    assert read(tmp_path, {"acc": 1}, {"acc": 0}, name="ground_truth").answered == 8


def test_a_question_at_fault_has_no_answer(tmp_path: Path) -> None:
    found = read(tmp_path, {"problem_is_valid": "Yes"}, {"problem_is_valid": "No"})
    assert found.answered == 4
