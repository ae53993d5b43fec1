"""Rows that hold more than a question: all of it again, a list of one example, options under other names; or less."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfimprove.errors import UsageError
from selfimprove.problem.preview import Preview, preview
from selfimprove.recipe import Problems

Row = dict[str, Any]
OPTIONS = [("SSH", "FTP", "SMTP"), ("copper", "chalk", "cork"), ("whale", "gnat", "newt")]


def read(folder: Path, rows: list[Row]) -> Preview:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return preview(str(path), Problems())


def asked(found: Preview) -> list[tuple[str, str | None]]:
    return [(problem.question, problem.answer) for problem in found.problems]


def choice(number: int) -> tuple[str, str]:
    """A question and its options as they are shown."""
    lines = "\n".join(f"{letter}. {text}" for letter, text in zip("ABC", OPTIONS[number], strict=True))
    return f"Which one fits case {number} best?", lines


def whole(number: int, lead: str) -> Row:
    question, lines = choice(number)
    options = dict(zip(("Option A", "Option B", "Option C"), OPTIONS[number], strict=True))
    return {"Question": question, **options, "Prompt": f"{lead} **Question:** {question} {lines}", "GT": "A"}


def test_a_prompt_with_all_of_a_question_behind_one_instruction_is_left_out(tmp_path: Path) -> None:
    lead = "You are given a question with several options. Choose the best of them and return its letter alone."
    found = read(tmp_path, [whole(number, lead) for number in range(3)])
    assert asked(found) == [("\n\n".join(choice(number)), "A") for number in range(3)]


def test_a_prompt_with_a_passage_before_the_question_is_kept(tmp_path: Path) -> None:
    leads = [f"The people of case {number} have met and talked about it for {number + 2} days." for number in range(3)]
    found = read(tmp_path, [whole(number, lead) for number, lead in enumerate(leads)])
    assert all(lead in question for lead, (question, _) in zip(leads, asked(found), strict=True))


def test_a_query_that_adds_nothing_to_the_question_is_left_out(tmp_path: Path) -> None:
    rows = []
    for number in range(3):
        question, lines = choice(number)
        rows.append({"question": f"{question} {lines}", "query": f"Which fits case {number}?", "answer": "B"})
    assert [answer for _, answer in asked(read(tmp_path, rows))] == ["B"] * 3


@pytest.mark.parametrize("name", ["solution", "gt", "output"])
def test_an_object_of_answers_by_letters_is_the_options(name: str, tmp_path: Path) -> None:
    rows = [
        {"question": choice(number)[0], "answers": dict(zip("ABC", OPTIONS[number], strict=True)), name: "ABC"[number]}
        for number in range(3)
    ]
    assert asked(read(tmp_path, rows)) == [("\n\n".join(choice(number)), "ABC"[number]) for number in range(3)]


def test_answers_by_letters_that_nothing_chooses_among_are_no_options(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`answers`"):
        read(tmp_path, [{"question": "Solve (A) and (B).", "answers": {"A": "3", "B": "4"}}])


def test_a_list_of_one_example_is_the_row(tmp_path: Path) -> None:
    scores = [{"SSH": 0.0, "FTP": 1.0}, {"cork": 1.0, "tin": 1.0}]
    rows: list[Row] = [
        {"name": "x", "examples": [{"input": f"Which is it in {n}?", "target": None, "target_scores": json.dumps(one)}]}
        for n, one in enumerate(scores)
    ]
    rows.append({"name": "y", "examples": [{"input": "How many mol are 36 g?", "target": "2", "target_scores": None}]})
    found = read(tmp_path, rows)
    (first, letter), (second, number) = asked(found)
    assert f"{letter}. FTP" in first
    assert (second, number) == ("How many mol are 36 g?", "2")
    assert [one.kind for one in found.stock.aside] == ["options"]


def test_examples_that_are_shown_before_a_question_are_no_rows(tmp_path: Path) -> None:
    shown = [{"input": "1 + 1", "output": "2"}, {"input": "2 + 2", "output": "4"}]
    with pytest.raises(UsageError, match="no question"):
        read(tmp_path, [{"examples": shown, "given": "What is 3 + 3 in words?", "wanted": "six"}])


@pytest.mark.parametrize("form", ["{field}: {text}", "{field}"])
def test_an_answer_may_name_the_field_of_its_option(form: str, tmp_path: Path) -> None:
    rows = []
    for number in range(3):
        options = {f"option {place + 1}": text for place, text in enumerate(OPTIONS[number])}
        told = form.format(field=f"option {number + 1}", text=OPTIONS[number][number])
        rows.append({"question": choice(number)[0], **options, "answer": told})
    assert [answer for _, answer in asked(read(tmp_path, rows))] == ["A", "B", "C"]


def test_an_answer_that_names_one_option_and_tells_another_is_set_aside(tmp_path: Path) -> None:
    rows = [
        {"question": choice(number)[0], "option 1": "a loan", "option 2": "a coin", "answer": told}
        for number, told in enumerate(["option 1: a loan", "option 1: a coin"])
    ]
    found = read(tmp_path, rows)
    assert [answer for _, answer in asked(found)] == ["A"]
    assert [one.kind for one in found.stock.aside] == ["options"]


def test_options_that_a_row_lacks_may_be_null(tmp_path: Path) -> None:
    options = {"1": "rest", "2": "salt", "3": None}
    rows = [{"question": choice(number)[0], "options": options, "correct_option": 2} for number in range(3)]
    assert {answer for _, answer in asked(read(tmp_path, rows))} == {"B"}


def test_a_key_says_which_option_is_right_where_nothing_else_does(tmp_path: Path) -> None:
    keys = [2, 3, 1]
    rows = [
        {"ID": number, "Question Body": choice(number)[0], **{f"Choice {n + 1}": one for n, one in enumerate(some)}}
        | {"Key": keys[number]}
        for number, some in enumerate(OPTIONS)
    ]
    assert [answer for _, answer in asked(read(tmp_path, rows))] == ["B", "C", "A"]


def test_a_ground_truth_in_an_object_comes_before_a_gold_solution(tmp_path: Path) -> None:
    rows = [
        {"prompt": "Solve x + 3 = 10.", "gold_standard_solution": "8", "verification_info": "{'ground_truth': '7'}"}
    ]
    assert asked(read(tmp_path, rows)) == [("Solve x + 3 = 10.", "7")]


REFUSED: dict[str, tuple[Row, str]] = {
    "encoded": ({"problem": "Q29tcHV0ZSB0aGUgc3VtIG9mIGFsbCB0aGVzZSBudW1iZXJz", "answer": "NDI="}, "encoded bytes"),
    "a path": (
        {"question": "Who came first?", "context": "csv/204-csv/590.csv", "answer": "Ada"},
        "the path of a file",
    ),
    "a table": ({"question": "Who came first?", "table_id": "t-17", "answer": "Ada"}, "`table_id`"),
    "a book": ({"question": "Who is Mark?", "document_id": "0025577", "answer": "a pirate"}, "`document_id`"),
    "languages": ({"en": "What is 3 * 4?", "af": "Wat is 3 * 4?", "answer": "12"}, "no question"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_question_that_can_not_be_answered_as_it_stands_is_refused(kind: str, tmp_path: Path) -> None:
    row, told = REFUSED[kind]
    with pytest.raises(UsageError, match=told) as caught:
        read(tmp_path, [row])
    assert caught.value.hint


ASKED = [f"Ann has {number + 2} pens and buys 3 more. How many has she?" for number in range(3)]
CHATML = "<|im_start|>system\nReason step by step.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
LLAMA = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nReason step by step.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
)
GEMMA = "<bos><start_of_turn>user\n{}<end_of_turn>\n<start_of_turn>model\n"


@pytest.mark.parametrize(("template", "system"), [(CHATML, True), (LLAMA, True), (GEMMA, False)])
@pytest.mark.parametrize("as_chat", [False, True])
def test_a_prompt_in_a_chat_template_is_taken_out_of_it(
    template: str, system: bool, as_chat: bool, tmp_path: Path
) -> None:
    prompts = [template.format(text) for text in ASKED]
    rows = [
        {"prompt": [{"role": "user", "content": prompt}] if as_chat else prompt, "answer": str(number + 5)}
        for number, prompt in enumerate(prompts)
    ]
    found = read(tmp_path, rows)
    assert asked(found) == [(text, str(number + 5)) for number, text in enumerate(ASKED)]
    assert [problem.system for problem in found.problems] == ["Reason step by step." if system else ""] * 3


def test_a_templated_turn_of_a_chat_keeps_the_turns_around_it(tmp_path: Path) -> None:
    rows = [
        {
            "messages": [
                {"role": "user", "content": CHATML.format(text)},
                {"role": "assistant", "content": f"so \\boxed{{{number + 5}}}"},
            ]
        }
        for number, text in enumerate(ASKED)
    ]
    assert asked(read(tmp_path, rows)) == [(text, str(number + 5)) for number, text in enumerate(ASKED)]


@pytest.mark.parametrize("around", [CHATML, "Q: Tom has 2 pens and gets 3.\nA: The answer is 5.\n\nQ: {}\nA:"])
def test_a_prompt_around_the_question_that_is_the_same_in_every_row_is_left_out(around: str, tmp_path: Path) -> None:
    rows = [{"input": around.format(text), "answer": "5", "question": text} for text in ASKED]
    assert asked(read(tmp_path, rows)) == [(text, "5") for text in ASKED]


@pytest.mark.parametrize("name", ["answer", "answer_idx"])
def test_written_numbers_that_fit_both_ways_choose_no_option_unless_they_are_positions(
    name: str, tmp_path: Path
) -> None:
    rows = [
        {"question": f"Which one is it in case {number}?", "choices": ["apple", "pear", "fig", "stone"], name: answer}
        for number, answer in enumerate(("2", "1", "2"))
    ]
    if name == "answer":
        with pytest.raises(UsageError, match="can't be mapped to one of 4 options"):
            read(tmp_path, rows)
    else:
        assert [answer for _, answer in asked(read(tmp_path, rows))] == ["C", "B", "C"]
