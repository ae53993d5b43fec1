"""What stands before and beside rows: lines that tell of the set, texts for all rows, passages under other names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfimprove.errors import UsageError
from selfimprove.problem.preview import Preview, preview
from selfimprove.recipe import Problems

ROWS = [{"question": f"What is {number} + 10?", "answer": str(number + 10)} for number in range(6)]
CSV = "question,answer\nWhat is 1 + 1?,2\nWhat is 1 + 2?,3\n"
TALE = "On the first day of May Ann went to the old mill and sat there until the evening came."


def read(path: Path, text: str, **named: str) -> Preview:
    path.write_text(text)
    return preview(str(path), Problems(**named))  # type: ignore[arg-type]


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("first", [{"header": {"dataset": "x"}}, {"name": "x", "version": 2, "num_rows": 6}])
def test_a_first_line_that_describes_the_set_is_no_row(first: dict[str, Any], tmp_path: Path) -> None:
    found = read(tmp_path / "rows.jsonl", lines([first, *ROWS]))
    assert (found.stock.rows, found.answered) == (6, 6)
    assert sorted(problem.source for problem in found.problems)[0] == "rows.jsonl:2"


def test_a_first_line_with_a_text_of_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"rows\.jsonl:1: no question"):
        read(tmp_path / "rows.jsonl", lines([{"passage": TALE}, *ROWS]))


ABOVE = {
    "a warning": '"Warning: made up, not to be shared.",\n,\n',
    "comments": "# made by hand, 2024\n#\n",
    "an empty line": "\n",
    "a title": "Sums\n\n",
}


@pytest.mark.parametrize("kind", ABOVE)
def test_lines_above_the_column_names_are_passed_over(kind: str, tmp_path: Path) -> None:
    found = read(tmp_path / "rows.csv", ABOVE[kind] + CSV)
    above = ABOVE[kind].count("\n")
    assert sorted(problem.source for problem in found.problems) == [f"rows.csv:{above + 2}", f"rows.csv:{above + 3}"]


def test_a_separator_is_told_by_the_column_names(tmp_path: Path) -> None:
    assert read(tmp_path / "rows.csv", "sep=;\n" + CSV.replace(",", ";")).answered == 2


def answers(path: Path, *cells: str, separator: str = ";") -> list[str | None]:
    rows = [f"What is number {place}?{separator}{cell}" for place, cell in enumerate(cells)]
    found = read(path, "\n".join([f"question{separator}answer", *rows, ""]))
    return [problem.answer for problem in found.problems]


def test_a_comma_in_a_number_beside_semicolons_is_a_decimal_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    assert answers(path, "3,5", "-0,25", "4", "1,125", "3,5 cm") == ["3.5", "-0.25", "4", "1.125", "3.5 cm"]
    for kept in (["3,5", "1,2,3"], ["1,234", "5,678"], ["3,5", "2.5"]):
        assert answers(path, *kept) == kept
    assert answers(path, '"3,5"', '"4,5"', separator=",") == ["3,5", "4,5"]


def test_rows_that_speak_of_questions_are_no_column_names(tmp_path: Path) -> None:
    found = read(tmp_path / "rows.csv", "text,result\nquestion,1\nproblem,2\n", question="text", answer="result")
    assert found.answered == 2


@pytest.mark.parametrize("key", ["instruction", "task_prefix", "passage"])
def test_a_text_beside_a_list_of_rows_belongs_to_each(key: str, tmp_path: Path) -> None:
    rows = [{"input": f"What is {number} + 10?", "target": str(number + 10)} for number in range(6)]
    found = read(tmp_path / "rows.json", json.dumps({"name": "x", key: TALE, "examples": rows}))
    assert all(problem.question.startswith(TALE) for problem in found.problems)
    named = read(tmp_path / "rows.json", json.dumps({"name": "x", key: "Sums", "examples": rows}))
    assert not any("Sums" in problem.question for problem in named.problems)


ASKED = [f"Where did Ann sit on day {number}?" for number in range(6)]
TALES = [TALE.replace("first", f"day {number} and first") for number in range(6)]
SHOWN: dict[str, Any] = {
    "a list of steps": lambda n: {"question": ASKED[n], "question_para_step": TALES[n].split(" and "), "answer": "x"},
    "a passage in its language": lambda n: {"question": ASKED[n], "passage_en": TALES[n], "answer": "x"},
    "columns of passages": lambda n: {
        "question": ASKED[n], "passages": {"url": ["u"], "texts": [TALES[n]]}, "answer": "x",
    },
    "a summary inside": lambda n: {
        "document": {"id": "d", "summary": {"text": TALES[n]}}, "question": ASKED[n], "answer": "x",
    },
    "a question object": lambda n: {"question": {"stem": ASKED[n], "para": TALES[n]}, "answer": "x"},
}  # fmt: skip


@pytest.mark.parametrize("kind", SHOWN)
def test_a_passage_is_shown_from(kind: str, tmp_path: Path) -> None:
    found = read(tmp_path / "rows.jsonl", lines([SHOWN[kind](number) for number in range(6)]))
    for problem in found.problems:
        number = next(number for number, asked in enumerate(ASKED) if asked in problem.question)
        assert all(part in problem.question for part in TALES[number].split(" and "))
        assert not problem.question.startswith(("u\n", "d\n"))


OPEN: dict[str, Any] = {
    "evidence": lambda n: {"question": ASKED[n], "evidence": TALES[n], "answer": "x"},
    "source_text": lambda n: {"question": ASKED[n], "source_text": TALES[n], "answer": "x"},
    "info.passage": lambda n: {"question": ASKED[n], "info": {"passage": TALES[n]}, "answer": "x"},
    "material": lambda n: {"question": ASKED[n], "material": {"heading": "May", "words": TALES[n]}, "answer": "x"},
}


@pytest.mark.parametrize("field", OPEN)
def test_a_text_that_may_be_needed_is_asked_about(field: str, tmp_path: Path) -> None:
    rows = lines([OPEN[field](number) for number in range(6)])
    with pytest.raises(UsageError, match=f"`{field}`: nothing says whether the question needs it"):
        read(tmp_path / "rows.jsonl", rows)
    found = read(tmp_path / "rows.jsonl", rows, context=field)
    assert all(any(tale in problem.question for tale in TALES) for problem in found.problems)


def test_sentences_beside_a_guessed_question_are_asked_about(tmp_path: Path) -> None:
    rows = [{"zork": ASKED[number], "blorp": TALES[number].split(" and "), "answer": "x"} for number in range(6)]
    with pytest.raises(UsageError, match="it may be in `zork`, `blorp`"):
        read(tmp_path / "rows.jsonl", lines(rows))


def test_another_wording_of_the_question_is_no_context(tmp_path: Path) -> None:
    rows = [{"machine_question": f"ann sit where day {n}", "question": ASKED[n], "answer": "x"} for n in range(6)]
    found = read(tmp_path / "rows.jsonl", lines(rows))
    assert {problem.question for problem in found.problems} == set(ASKED)


def test_a_short_question_about_the_long_one_is_asked_about(tmp_path: Path) -> None:
    rows = [{"question": TALES[n], "query": f"Did Ann sit in the mill on day {n}?", "answer": "yes"} for n in range(6)]
    with pytest.raises(UsageError, match="`query`: nothing says whether the question needs it"):
        read(tmp_path / "rows.jsonl", lines(rows))


def test_what_annotators_answered_is_no_context(tmp_path: Path) -> None:
    rows = [{"annotations": [{"long_answer": TALES[n]}], "question": ASKED[n], "answer": "x"} for n in range(6)]
    found = read(tmp_path / "rows.jsonl", lines(rows))
    assert {problem.question for problem in found.problems} == set(ASKED)


CHATS: dict[str, Any] = {
    "parts": lambda n: {"contents": [{"role": "user", "parts": [{"text": ASKED[n]}]}]},
    "two objects deep": lambda n: {"request": {"body": {"messages": [{"role": "user", "content": ASKED[n]}]}}},
    "a developer's turn": lambda n: {
        "messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": ASKED[n]}],
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", CHATS)
def test_a_question_is_read_from_a_chat_of(kind: str, tmp_path: Path) -> None:
    found = read(tmp_path / "rows.jsonl", lines([{**CHATS[kind](n), "expected_answer": "x"} for n in range(6)]))
    assert {problem.question for problem in found.problems} == set(ASKED)
    assert found.answered == 6


OFFERED: dict[str, Any] = {
    "two lists": ({"ids": ["1", "2", "3"], "sentences": ["a mill", "a hut", "a barn"]}, "2"),
    "objects of one key": ([{"A": "a mill"}, {"B": "a hut"}, {"C": "a barn"}], "B"),
    "pairs": ([["A", "a mill"], ["B", "a hut"], ["C", "a barn"]], "B"),
}


@pytest.mark.parametrize("kind", OFFERED)
def test_options_are_read_from(kind: str, tmp_path: Path) -> None:
    options, answer = OFFERED[kind]
    found = read(tmp_path / "rows.jsonl", lines([{"question": q, "choices": options, "answer": answer} for q in ASKED]))
    assert all(problem.question.endswith("A. a mill\nB. a hut\nC. a barn") for problem in found.problems)
    assert {problem.answer for problem in found.problems} == {"B"}


def test_options_before_a_closing_remark_are_not_shown_again(tmp_path: Path) -> None:
    shown = "\nA: a mill\nB: a hut\n\nChoose one. At the end write: Option Selected: X"
    rows = [{"question": q + shown, "choices": ["a mill", "a hut"], "answer": "B"} for q in ASKED]
    found = read(tmp_path / "rows.jsonl", lines(rows))
    assert {problem.question for problem in found.problems} == {q + shown for q in ASKED}


def test_lists_of_questions_side_by_side_are_questions(tmp_path: Path) -> None:
    row = {"article": TALE, "questions": ASKED[:2], "options": [["a mill", "a hut"]] * 2, "answers": ["A", "B"]}
    found = read(tmp_path / "rows.jsonl", lines([row]))
    assert {problem.answer for problem in found.problems} == {"A", "B"}
    assert all(problem.question.startswith(TALE) for problem in found.problems)
    with pytest.raises(UsageError):
        read(tmp_path / "rows.jsonl", lines([{name: value for name, value in row.items() if name != "options"}]))
