"""Several texts for one answer: which of two fields is the reference, and which lists hold names of one thing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfimprove.errors import UsageError
from selfimprove.problem.aliases import one_answer
from selfimprove.problem.preview import Preview, preview
from selfimprove.recipe import Problems

Row = dict[str, Any]
Read = Callable[..., Preview]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def of(make: Callable[[int], Row], rows: int = 6, **named: str) -> Preview:
        path = tmp_path / "rows.jsonl"
        questions = ({"question": f"What is {number} + 10?", **make(number)} for number in range(rows))
        path.write_text("".join(json.dumps(row) + "\n" for row in questions))
        return preview(str(path), Problems(**named))  # type: ignore[arg-type]

    return of


def answers(found: Preview) -> list[str | None]:
    by_place = sorted(found.problems, key=lambda problem: int(problem.source.rpartition(":")[2]))
    return [problem.answer for problem in by_place]


def said(number: int) -> str:
    """What a model said, which is right for every other question."""
    return str(number + 10 + number % 2)


RIGHT = ["10", "11", "12", "13", "14", "15"]
TOLD: dict[str, Callable[[int], Row]] = {
    "an index of the first mistake": lambda n: {"mistake_index": n, "answer": said(n), "target": str(n + 10)},
    "the name of the other": lambda n: {"output_answer": said(n), "platinum_target": [str(n + 10)]},
    "a reference": lambda n: {"answer": said(n), "reference": str(n + 10)},
    "a reference beside a response": lambda n: {"response": said(n), "reference": str(n + 10)},
    "a model's solution": lambda n: {"solution": f"\\boxed{{{said(n)}}}", "reference_solution": f"\\boxed{{{n + 10}}}"},
    "a ground truth beside a solution": lambda n: {"solution": f"So \\boxed{{{said(n)}}}", "gt": str(n + 10)},
    "a reference beside a completion": lambda n: {"completion": f"So \\boxed{{{said(n)}}}", "ref": str(n + 10)},
    "what is expected": lambda n: {"response": said(n), "expected": str(n + 10)},
    "what is correct": lambda n: {"response": said(n), "correct": str(n + 10)},
    "an expected answer": lambda n: {"answer": said(n), "expected_answer": str(n + 10)},
    "a short reference": lambda n: {"answer": said(n), "ref": str(n + 10)},
    "a key": lambda n: {"response": said(n), "key": str(n + 10)},
    "an answer key": lambda n: {"answer": said(n), "answer_key": str(n + 10)},
    "a column of what is correct": lambda n: {"answer": said(n), "Correct": str(n + 10)},
    "an official answer": lambda n: {"answer": said(n), "official_answer": str(n + 10)},
    "an expected result": lambda n: {"result": said(n), "expected_result": str(n + 10)},
    "an expected response in an object": lambda n: {"outputs": said(n), "expectations": {"expected_response": n + 10}},
    "verl's name": lambda n: {"output": f"So {said(n)}.\n#### {said(n)}<|im_end|>", "gts": str(n + 10)},
    "a ground truth beside an answer of another kind": lambda n: {
        "answer": "no" if n % 2 else str(n + 10),
        "ground_truth": str(n + 10),
    },
}


@pytest.mark.parametrize("kind", TOLD)
def test_a_reference_beside_what_a_model_said_is_told_by(kind: str, read: Read) -> None:
    assert answers(read(TOLD[kind])) == RIGHT


def test_a_row_without_the_reference_does_not_get_what_a_model_said(read: Read) -> None:
    found = read(lambda n: {"answer": said(n), "gold_label": str(n + 10) if n else None, "true_target": str(n + 10)})
    assert answers(found) == RIGHT
    revised = read(lambda n: {"output_answer": said(n), "platinum_target": [str(n + 10)] if n else None})
    assert answers(revised) == [None, *RIGHT[1:]]
    assert revised.stock.notes == ("`platinum_target` was taken for the answer, and not `output_answer`",)


UNSURE: dict[str, Callable[[int], Row]] = {
    "answer and target": lambda n: {"answer": said(n), "target": str(n + 10)},
    "two answers": lambda n: {"answer": said(n), "final_answer": str(n + 10)},
    "words that never agree": lambda n: {"answer": "green", "target": "red"},
    "a solution": lambda n: {"solution": f"So \\boxed{{{said(n)}}}.", "answer": str(n + 10)},
    "a column of like values": lambda n: {"answer": said(n), "real": str(n + 10)},
}


@pytest.mark.parametrize("kind", UNSURE)
def test_two_answers_that_differ_are_asked_about(kind: str, read: Read) -> None:
    with pytest.raises(UsageError, match="both look like the answer and differ") as caught:
        read(UNSURE[kind])
    assert "--set problems.answer=" in caught.value.hint
    assert read(UNSURE[kind], answer="answer").answered == 6


def test_few_rows_in_which_two_answers_differ_are_set_aside(read: Read) -> None:
    found = read(lambda n: {"answer": n + 10, "final_answer": n + 10 + (n == 3)}, rows=20)
    assert [one.where for one in found.stock.aside] == ["rows.jsonl:4"]
    assert found.stock.aside[0].why == "`answer` and `final_answer` both look like the answer and differ"
    assert found.answered == 19


AGREEING: dict[str, Callable[[int], Row]] = {
    "a number and a solution": lambda n: {"answer": f"We add. #### {n + 10}", "final_answer": n + 10},
    "a unit": lambda n: {"answer": f"{n + 10} apples", "answer_number": n + 10},
    "two forms": lambda n: {"answer": f"{n + 10}", "target": f"{n + 10}.0"},
    "a formula": lambda n: {"answer": f"\\frac{{{2 * n + 20}}}{{2}}", "final_answer": f"{n + 10}"},
    "a class": lambda n: {"answer": str(n + 10), "label": n + 1},
    "a citation": lambda n: {"answer": str(n + 10), "reference": f"Smith and Lee {1990 + n}"},
    "what was guessed": lambda n: {"answer": str(n + 10), "guess": said(n)},
    "minutes": lambda n: {"answer": str(n + 10), "expected_minutes": n % 3 + 10},
    "a letter": lambda n: {"answer": str(n + 10), "target": "ABCDEF"[n]},
}


@pytest.mark.parametrize("kind", AGREEING)
def test_an_answer_is_taken_beside(kind: str, read: Read) -> None:
    assert read(AGREEING[kind]).answered == 6


def test_an_answer_that_is_graded_wrong_is_none(read: Read) -> None:
    found = read(lambda n: {"answer": said(n), "is_correct": str(n % 2 == 0)})
    assert answers(found) == ["10", None, "12", None, "14", None]
    beside = read(lambda n: {"answer": str(n + 10), "response": said(n), "is_correct": n % 2 == 0})
    assert answers(beside) == RIGHT


@pytest.mark.parametrize("name", ["response", "completion", "output"])
def test_what_a_model_said_beside_the_number_of_a_label_is_no_reference(name: str, read: Read) -> None:
    found = read(lambda n: {name: f"So \\boxed{{{said(n)}}}", "label": n % 2} if n else {"answer": "x"})
    assert answers(found) == ["x"] + [None] * 5


def test_a_label_that_compares_two_responses_answers_nothing(read: Read) -> None:
    found = read(lambda n: {"response_a": "1", "response_b": "2", "label": "A>B", **({"answer": "3"} if n else {})})
    assert answers(found) == [None, *["3"] * 5]


ONE = [
    ["Laika", "a dog named Laika"],
    ["the Green Sea", "Green Sea"],
    ["6", "six"],
    ["12,000", "12000"],
    ["USA", "United States of America"],
    ["gravity", "gravitational force", "the force of gravity"],
    ["4 March 2016", "March 4, 2016"],
]
SEVERAL = [
    ["Jazmyn Bieber", "Jaxon Bieber"],
    ["Austria", "Australia"],
    ["3", "3.5"],
    ["5", "-5"],
    ["1", "1/2"],
    ["red", "red and blue"],
    ["10:30", "10"],
    ["north", "northwest"],
]


@pytest.mark.parametrize("texts", ONE)
def test_texts_name_one_answer(texts: list[str]) -> None:
    assert one_answer(texts)
    assert one_answer(texts[::-1])


@pytest.mark.parametrize("texts", SEVERAL)
def test_texts_may_be_several_answers(texts: list[str]) -> None:
    assert not one_answer(texts)


def test_a_list_whose_texts_are_not_tied_is_read_as_most_of_its_field_are(read: Read) -> None:
    tied = [["Laika", "a dog named Laika"], ["carbon dioxide", "CO2"]]
    assert answers(read(lambda n: {"answers": tied[n == 3]})) == ["Laika"] * 3 + ["carbon dioxide"] + ["Laika"] * 2
    assert answers(read(lambda n: {"answers": tied[n < 3]})) == [None] * 3 + ["Laika"] * 3


HELD: dict[str, tuple[Row, str | None]] = {
    "annotators that agree": ({"annotations": [{"answer": ["Bo"]}, {"answer": ["Bo", "the man Bo"]}]}, "Bo"),
    "annotators that don't": ({"annotations": [{"answer": "Bo"}, {"answer": "Ann"}]}, None),
    "annotators of whom one gives none": ({"annotations": [{"answer": "Bo"}, {"qaPairs": []}]}, None),
    "objects with provenance": ({"output": [{"answer": "Bo"}, {"answer": "the Bo"}, {"provenance": []}]}, "Bo"),
    "one answer by language": ({"answers": {"en": [{"text": "Bo", "aliases": []}], "de": [{"text": "B"}]}}, "Bo"),
    "numbered answers": ({"answer_0": "Bo", "answer_1": "a man named Bo", "answer_2": ""}, "Bo"),
    "numbered answers of several": ({"answer_0": "Bo", "answer_1": "Ann"}, None),
    "solutions that end alike": ({"solutions": ["So \\boxed{4}.", "Thus \\boxed{4}"]}, "4"),
    "solutions that don't": ({"solutions": ["So \\boxed{4}.", "Thus \\boxed{5}"]}, None),
    "a wording in brackets": ({"answer": "Bo [or the man]"}, None),
    "a list that Python printed": ({"answer": "['Bo']"}, "Bo"),
    "wordings that Python printed": ({"answers": "['Bo', 'the man Bo']"}, "Bo"),
    "spans that Python printed": ({"answers": "{'text': ['Bo'], 'answer_start': [3]}"}, "Bo"),
    "an array that numpy printed": ({"answers": "['Bo' 'the man Bo']"}, None),
    "a target in an object": ({"reward_model": {"ground_truth": {"target": ["Bo"]}}}, "Bo"),
    "no answer in words": ({"answers": ["No Answer Present."]}, None),
}


@pytest.mark.parametrize("kind", HELD)
def test_an_answer_is_read_from(kind: str, read: Read) -> None:
    row, answer = HELD[kind]
    found = read(lambda n: row if n else {"answer": "x"})
    assert answers(found)[1:] == [answer] * 5


@pytest.mark.parametrize(("start", "wrong"), [(0, 4), (0, 9), (1, 0), (1, 7)])
def test_a_number_out_of_range_costs_its_row_alone(start: int, wrong: int, read: Read) -> None:
    def row(number: int) -> Row:
        options = [str(number + 10 + other) for other in (3, 5, 7, 9)]
        options[number % 4] = str(number + 10)
        return {"choices": options, "gold": wrong if number == 21 else number % 4 + start}

    found = read(row, rows=40)
    (aside,) = found.stock.aside
    assert aside.where.endswith(":22")
    assert f"`gold` {wrong} can't be mapped to one of 4 options" in aside.why
    assert answers(found) == ["ABCD"[number % 4] for number in range(40) if number != 21]


def test_numbers_that_fit_no_start_leave_it_open(read: Read) -> None:
    with pytest.raises(UsageError, match="none of 40 rows has an answer"):
        read(lambda number: {"choices": ["7", "8", "9", "6"], "gold": number % 6}, rows=40)
