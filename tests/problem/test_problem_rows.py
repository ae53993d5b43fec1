"""Rows of files: what is read out of them, and how a bad one is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfimprove.answer.boxes import last_box
from selfimprove.errors import UsageError
from selfimprove.problem import load_problems
from selfimprove.problem.fields import problem_from_row
from selfimprove.problem.files import SUFFIXES, file_rows
from selfimprove.problem.preview import preview
from selfimprove.recipe import Problems
from tests import paths
from tests.paths import ROOT

CASES = paths.CASES / "problems"
FIELDS: list[dict[str, Any]] = json.loads((CASES / "fields.json").read_text())
ASIDE: dict[str, tuple[str, str]] = json.loads((CASES / "aside.json").read_text())
BAD: dict[str, str] = json.loads((CASES / "bad.json").read_text())


def sizes(train: int, heldout: int, sealed: int) -> dict[str, int]:
    return {"train_size": train, "heldout_size": heldout, "sealed_size": sealed}


@pytest.mark.parametrize("case", FIELDS, ids=[json.dumps(case["row"])[:60] for case in FIELDS])
def test_the_final_answer_is_read_out_of_each_form(case: dict[str, Any]) -> None:
    problem = problem_from_row(case["row"], Problems(), "f.jsonl:1", "f.jsonl:1")
    assert (problem.question, problem.answer) == ("q", case["answer"])


def test_named_fields_come_first_and_are_optional() -> None:
    named = Problems(question="text", answer="label")
    row = {"text": "a", "question": "b", "label": "1", "answer": "2"}
    named_problem = problem_from_row(row, named, "w", "s")
    other = problem_from_row({"question": "b", "answer": "2"}, named, "w", "s")
    assert (named_problem.question, named_problem.answer) == ("a", "1")
    assert (other.question, other.answer) == ("b", "2")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_all_formats_give_the_same_problems(suffix: str) -> None:
    def read(path: Path) -> list[tuple[str, str | None]]:
        problems = [problem_from_row(row, Problems(), "w", "s") for _, row in file_rows(path)]
        return [(problem.question, problem.answer) for problem in problems]

    rows = read(CASES / "good" / f"gsm8k{suffix}")
    assert rows == read(CASES / "good" / "gsm8k.jsonl")
    assert len(rows) == 30
    assert rows[2] == ("Tom has 3 apples and buys 9 more. How many are there?", "12")


@pytest.mark.parametrize(("suffix", "places"), [(".jsonl", [1, 2, 3]), (".json", [2, 6, 10]), (".csv", [2, 4, 6])])
def test_a_row_is_placed_where_it_starts(suffix: str, places: list[int]) -> None:
    assert [line for line, _ in file_rows(CASES / "good" / f"gsm8k{suffix}")][:3] == places


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_row_stops_the_run_and_is_named(name: str) -> None:
    path = CASES / "bad" / name
    with pytest.raises(UsageError) as caught:
        load_problems(Problems(train=str(path), heldout=str(CASES / "good" / "gsm8k.jsonl"), **sizes(1, 1, 1)))
    assert f"bad/{name}{BAD[name]}" in caught.value.message
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_every_bad_file_is_expected() -> None:
    assert {path.name for path in (CASES / "bad").iterdir()} == BAD.keys()


@pytest.mark.parametrize("name", sorted(ASIDE))
def test_a_row_without_a_usable_answer_is_set_aside_and_told(name: str) -> None:
    line, why = ASIDE[name]
    found = preview(str(CASES / "aside" / name), Problems())
    assert [one.where for one in found.stock.aside] == [f"{name}:{line}"]
    assert why in found.stock.aside[0].why
    assert [problem.answer for problem in found.problems].count(None) == 1
    assert found.stock.rows == 2


def test_every_file_with_a_row_set_aside_is_expected() -> None:
    assert {path.name for path in (CASES / "aside").iterdir()} == ASIDE.keys()


def test_rows_without_answers_are_trained_on_and_never_judged(tmp_path: Path) -> None:
    good = str(CASES / "good" / "gsm8k.jsonl")
    bare = tmp_path / "bare.jsonl"
    bare.write_text(
        '{"question": "What is 1 + 1?"}\n{"problem": "What is 1 + 2?", "solution": "It is three, I say."}\n'
    )
    problems = load_problems(Problems(train=str(bare), heldout=good, **sizes(2, 5, 5)))
    assert [problem.answer for problem in problems.train] == [None, None]
    with pytest.raises(UsageError, match=r"2 distinct problems, 0 of them with an answer, .*bare\.jsonl:2: `solution`"):
        load_problems(Problems(train=good, heldout=str(bare), **sizes(2, 1, 1)))


def test_a_named_field_that_no_row_has_is_refused_with_the_fields_there_are() -> None:
    good = str(CASES / "good" / "gsm8k.jsonl")
    with pytest.raises(UsageError, match=r"problems\.answer: no row of .* has a field `finall`") as caught:
        load_problems(Problems(train=good, answer="finall", **sizes(2, 1, 1)))
    assert "`question`, `answer`" in caught.value.hint


def test_rows_that_disagree_are_all_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [("What is 1?", "1"), ("what is 1", "2"), ("What is 2?", "1/2"), ("What is 2?", "0.5"), ("What is 3?", "3")]
    path.write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in rows))
    found = preview(str(path), Problems())
    assert [problem.answer for problem in found.problems] == ["0.5", "3"]
    assert [one.where for one in found.stock.aside] == ["rows.jsonl:1", "rows.jsonl:2"]
    assert found.stock.duplicates == 1


def test_a_folder_of_folders_is_refused_with_those_that_hold_problem_files(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / "clone" / "data" / split).mkdir(parents=True)
        shutil.copy(CASES / "good" / "gsm8k.parquet", tmp_path / "clone" / "data" / split / "0000.parquet")
    with pytest.raises(UsageError, match="a folder without problem files") as caught:
        load_problems(Problems(train=str(tmp_path / "clone"), **sizes(2, 1, 1)))
    assert f"`{tmp_path}/clone/data/test`, `{tmp_path}/clone/data/train`" in caught.value.hint


@pytest.mark.parametrize(
    ("train", "fault"),
    [
        ("nowhere.jsonl", "problems.train: nowhere.jsonl: no such file"),
        ("tests", "is a folder without problem files"),
        ("a b/c", "is neither a file nor the id of a dataset"),
        ("https://example.org/x", "is neither a file nor the id of a dataset"),
    ],
)
def test_a_source_that_is_not_there_is_one_line(train: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(UsageError) as caught:
        load_problems(Problems(train=train))
    assert fault in caught.value.message


@given(st.text(alphabet="{}\\ab $1", max_size=40))
def test_boxed_content_is_what_was_put_in(content: str) -> None:
    depths = [content[:end].count("{") - content[:end].count("}") for end in range(len(content) + 1)]
    if "\\" in content or min(depths) < 0 or depths[-1]:
        last_box("\\boxed{" + content)  # must end, whatever it says
    else:
        found, _ = last_box("\\boxed{0} then \\boxed{" + content + "}.")
        assert found is not None
        assert found.text == content


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["question", "problem", "answer", "solution", "x"]), inner)
        ),
    )
)
def test_any_row_is_a_problem_or_a_usage_error(row: object) -> None:
    try:
        problem = problem_from_row(row, Problems(), "f.jsonl:1", "f.jsonl:1")
    except UsageError as error:
        named = error.message.startswith("f.jsonl:1: ")
    else:
        named = bool(problem.question.strip() and problem.identity) and problem.answer != ""
    assert named


@pytest.mark.parametrize(
    "row",
    [
        {"system": [{"text": "In cents."}], "messages": [{"role": "user", "content": [{"text": "2 + 2?"}]}]},
        {"system": [{"type": "text", "text": "In cents."}], "messages": [{"role": "user", "content": "2 + 2?"}]},
        {"params": {"system": "In cents.", "messages": [{"role": "user", "content": "2 + 2?"}]}},
    ],
)
def test_a_system_turn_beside_a_chat_is_that_of_the_problem(row: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row | {"expected": "4"}) + "\n")
    found = preview(str(path), Problems())
    assert [(one.system, one.question, one.answer) for one in found.problems] == [("In cents.", "2 + 2?", "4")]
    assert not found.stock.unused
