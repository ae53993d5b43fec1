"""What a row needs and no text holds: pictures, attached files, passages, parts of an answer, powers of ten."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfimprove.errors import UsageError
from selfimprove.problem.preview import Preview, preview
from selfimprove.recipe import Problems

Row = dict[str, Any]


def read(folder: Path, make: Callable[[int], Row]) -> Preview:
    """Rows of which every other one is a plain sum."""
    path = folder / "rows.jsonl"
    rows = [make(n) if n % 2 else {"question": f"What is {n} + 10?", "answer": str(n + 10)} for n in range(8)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return preview(str(path), Problems())


ABSENT: dict[str, tuple[str, str]] = {
    "a picture's token": ("picture", "<image>\nHow long is side {}?"),
    "a numbered token": ("picture", "How long is side {} in <image 1>?"),
    "a link to a picture": ("picture", "![fig](https://x.org/{}.png) How long is it?"),
    "a web page's picture": ("picture", "How long is <img src='{}.png'> here?"),
    "an attached file": ("picture", "The attached spreadsheet lists sales. What is the total of row {}?"),
    "an attached scan": ("picture", "According to the attached PDF, how many units were sold in {}?"),
}


@pytest.mark.parametrize("kind", ABSENT)
def test_a_question_is_set_aside_for(kind: str, tmp_path: Path) -> None:
    lack, text = ABSENT[kind]
    found = read(tmp_path, lambda n: {"question": text.format(n), "answer": str(n)})
    assert (found.answered, [one.kind for one in found.stock.aside]) == (4, [lack] * 4)


@pytest.mark.parametrize("text", ["A rope is attached to wall {}. How long is it?", "Is {} < image of f?", "a[{}](b)!"])
def test_a_question_of_words_alone_is_asked(text: str, tmp_path: Path) -> None:
    assert read(tmp_path, lambda n: {"question": text.format(n), "answer": str(n + 30)}).answered == 8


def test_questions_about_a_text_that_no_field_holds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="4 of 8 questions speak of a text that is in no field") as caught:
        read(tmp_path, lambda n: {"question": f"According to the article, who won in {n}?", "answer": str(n)})
    assert caught.value.hint.startswith("Put each text into its row")


PARTS = {
    "numbers": (
        "Given $a={}$. (1) Find $a+1$; (2) find $2a$.",
        "(1) We get $\\boxed{{{}}}$. (2) We get $\\boxed{{9}}$.",
    ),
    "letters": ("Let $a={}$. (a) Find $a+1$. (b) Find $2a$.", "(a) It is $\\boxed{{{}}}$. (b) It is $\\boxed{{9}}$."),
    "words": ("Part 1: what is {}+1? Part 2: what is 4+5?", "Part 1\n#### {}\nPart 2\n#### 9"),
}


@pytest.mark.parametrize("kind", PARTS)
def test_one_of_several_answers_is_not_taken_for_all(kind: str, tmp_path: Path) -> None:
    question, solution = PARTS[kind]
    found = read(tmp_path, lambda n: {"question": question.format(n), "solution": solution.format(n + 1)})
    assert {one.kind for one in found.stock.aside} == {"several answers"}
    assert found.answered == 4
    one_box = solution.split("oxed" if "oxed" in solution else "####")
    whole = read(tmp_path, lambda n: {"question": question.format(n), "solution": f"{n}: \\boxed{{{len(one_box)}}}"})
    assert whole.answered == 8


def test_an_address_and_a_page_are_no_answers(tmp_path: Path) -> None:
    found = read(tmp_path, lambda n: {"question": f"What is {n} + 1?", "solution": f"https://x.org/{n}"})
    assert found.stock.aside[0].why == "`solution` holds the address of a page, and no answer"
    beside = read(tmp_path, lambda n: {"question": f"What is {n} + 1?", "answer_page": n, "max_answer": 99})
    assert beside.answered == 4


@pytest.mark.parametrize(("name", "scale"), [("scale", "thousand"), ("unit", "$10^5$ km/s")])
def test_a_power_of_ten_beside_the_answer_is_told(name: str, scale: str, tmp_path: Path) -> None:
    found = read(tmp_path, lambda n: {"question": f"How fast is case {n}?", "answer": f"3.{n}", name: scale})
    assert found.stock.notes == (
        f"`{name}` holds powers of ten that the numbers are to be taken by, and the references don't have",
    )
    plain = read(tmp_path, lambda n: {"question": f"How fast is case {n}?", "answer": f"3.{n}", name: "km"})
    assert plain.stock.notes == ()


def test_an_option_keeps_its_own_bracket(tmp_path: Path) -> None:
    options = "A) Venus (V); B) Mercury (Hg)"
    found = read(tmp_path, lambda n: {"question": f"Which is {n}?", "options": options, "answer": "B"})
    assert any(one.question.endswith("A. Venus (V)\nB. Mercury (Hg)") for one in found.problems)
