"""Programs, queries, calls and the like are no final answers: a source of them is refused, whatever a few rows hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfimprove.errors import UsageError
from selfimprove.problem.preview import Preview, preview
from selfimprove.problem.programs import formal_kind
from selfimprove.recipe import Problems
from tests import paths

TEXTS: dict[str, list[str]] = json.loads((paths.CASES / "problems" / "formal.json").read_text())
QUERY = "SELECT name FROM boats WHERE built < {}"


def read(folder: Path, rows: list[dict[str, Any]], *, as_written: bool = False) -> Preview:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return preview(str(path), Problems(), as_written=as_written)


def answers(found: Preview) -> list[str | None]:
    return [problem.answer for problem in found.problems]


@pytest.mark.parametrize("text", TEXTS["formal"])
def test_a_text_in_a_formal_language_is_told(text: str) -> None:
    assert formal_kind(text)


@pytest.mark.parametrize("text", TEXTS["plain"])
def test_an_answer_in_words_numbers_or_formulas_is_none(text: str) -> None:
    assert not formal_kind(text)


@pytest.mark.parametrize("name", ["answer", "solution", "output"])
def test_queries_are_no_answers_and_the_refusal_names_a_checker(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(
            tmp_path, [{"question": f"Which boats are older than {year}?", name: QUERY.format(year)} for year in (1, 2)]
        )
    assert f"`{name}` holds a query" in caught.value.message
    assert "answers.checker" in caught.value.hint


def test_a_checker_of_ones_own_gets_queries_as_they_stand(tmp_path: Path) -> None:
    rows = [{"question": f"Which boats are older than {year}?", "answer": QUERY.format(year)} for year in (1, 2)]
    assert answers(read(tmp_path, rows, as_written=True)) == [QUERY.format(1), QUERY.format(2)]


def test_a_short_text_among_commands_is_one_too(tmp_path: Path) -> None:
    commands = ["ls -la", "rm -rf build", "wc -l a.log", "pwd"]
    with pytest.raises(UsageError, match="a command"):
        read(tmp_path, [{"question": f"How is task {n} done?", "answer": one} for n, one in enumerate(commands)])


def test_numbers_among_programs_stay_answers(tmp_path: Path) -> None:
    mixed = ["def f(x): return x", "def g(x): return x", "def h(x): return x", "42", "\\frac{1}{2}", "sorted"]
    found = read(tmp_path, [{"question": f"What is asked in row {n}?", "answer": one} for n, one in enumerate(mixed)])
    assert answers(found) == [None, None, None, "42", "\\frac{1}{2}", None]


def test_a_solution_with_a_program_keeps_the_answer_it_ends_on(tmp_path: Path) -> None:
    solution = "We compute:\n```python\nprint(6 * 7)\n```\n```output\n42\n```\nThe answer is \\boxed{42}."
    assert answers(read(tmp_path, [{"question": "What is 6 * 7?", "solution": solution}])) == ["42"]


@pytest.mark.parametrize(
    "told", ['["assert add(1, 2) == 3", "assert add(0, 0) == 0"]', '[{"name": "f", "arguments": {}}]']
)
def test_json_inside_a_list_of_one_is_opened(told: str, tmp_path: Path) -> None:
    rows = [{"question": "Write it.", "answer": [told]}, {"question": "What is 1 + 1?", "answer": ["2"]}]
    assert answers(read(tmp_path, rows)) == [None, "2"]


def test_a_record_that_is_written_as_json_is_no_answer(tmp_path: Path) -> None:
    records = [json.dumps({"name": "Ann", "age": 30}), json.dumps({"value": 12, "unit": "cm"})]
    rows = [{"prompt": f"Extract what sentence {n} tells.", "completion": one} for n, one in enumerate(records)]
    with pytest.raises(UsageError, match="`completion` must be a text or a number, not an object"):
        read(tmp_path, rows)
