"""The whole files of GSM8K and MATH-500, where they are at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfimprove.answer.boxes import last_box
from selfimprove.problem import load_problems
from selfimprove.problem.fields import problem_from_row
from selfimprove.problem.files import file_rows
from selfimprove.recipe import Problems
from tests.paths import SHARED

DATA = SHARED / "data"
TRAIN, TEST, MATH = (DATA / name for name in ("gsm8k_train.jsonl", "gsm8k_test.jsonl", "math500_test.jsonl"))

pytestmark = pytest.mark.skipif(not MATH.exists(), reason=f"no data in {DATA}; SELFIMPROVE_SHARED names the folder")


@pytest.mark.parametrize(
    ("path", "rows"),
    [pytest.param(TRAIN, 7473, marks=pytest.mark.slow), (TEST, 1319), (MATH, 500)],
    ids=lambda value: str(value),
)
def test_every_row_has_a_question_and_a_final_answer(path: Path, rows: int) -> None:
    problems = [problem_from_row(row, Problems(), str(line), "s") for line, row in file_rows(path)]
    assert len(problems) == rows
    assert all(problem.answer and "####" not in problem.answer for problem in problems)
    assert len({problem.identity for problem in problems}) == rows


def test_gsm8k_answers_are_numbers() -> None:
    problems = [problem_from_row(row, Problems(), str(line), "s") for line, row in file_rows(TEST)]
    assert all(float((problem.answer or "").replace(",", "")).is_integer() for problem in problems)


def test_the_box_of_a_math_solution_holds_the_expected_answer() -> None:
    rows = [json.loads(line) for line in MATH.read_text().splitlines()]
    boxes = [box.text.strip() for row in rows if (box := last_box(row["solution"])[0])]
    assert len(boxes) == len(rows)
    # The others differ in spelling (`expected_answer` has no units and no spaces); one has two boxes, joined by or.
    assert sum(box == row["expected_answer"] for box, row in zip(boxes, rows, strict=True)) == 413


def test_gsm8k_is_split_whole() -> None:
    wanted = Problems(train=str(TRAIN), heldout=str(TEST), train_size=0, heldout_size=660, sealed_size=659)
    problems = load_problems(wanted)
    assert (len(problems.train), len(problems.heldout), len(problems.sealed)) == (7473, 660, 659)
    assert not any(problems.dropped.values())
    assert 0.05 < problems.overlap_8gram < 0.07
    assert problems.train[0].source.startswith("gsm8k_train.jsonl:")


def test_three_files_serve_three_sets() -> None:
    wanted = Problems(
        train=str(TRAIN), heldout=str(TEST), sealed=str(MATH), train_size=0, heldout_size=1319, sealed_size=500
    )
    problems = load_problems(wanted)
    assert (len(problems.train), len(problems.heldout), len(problems.sealed)) == (7473, 1319, 500)


def test_a_leak_is_taken_out_of_training(tmp_path: Path) -> None:
    leaky = tmp_path / "leaky.jsonl"
    test_rows = [json.loads(line) for line in TEST.read_text().splitlines()[:40]]
    leaked = [json.dumps({"question": f"  {row['question'].upper()} ", "answer": row["answer"]}) for row in test_rows]
    leaky.write_text(TRAIN.read_text() + "\n".join(leaked) + "\n")
    wanted = Problems(train=str(leaky), heldout=str(TEST), train_size=7473, heldout_size=1000, sealed_size=319)
    problems = load_problems(wanted)
    assert problems.dropped["train in heldout"] + problems.dropped["train in sealed"] == 40
    assert len(problems.train) == 7473
