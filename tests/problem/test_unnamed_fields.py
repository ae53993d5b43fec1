"""Fields under names that no list has: told by their words, their place and their texts; what stays open is refused."""

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
Make = Callable[[int], Row]
NAMES = ("Ann", "Bo", "Cleo", "Dan", "Eve", "Femi")
PLACES = ("mill", "ferry", "bridge", "tower", "lamp", "boat")
ABC = ("one", "two", "three")
BY_LETTER = {"A": "a one", "B": "a two", "C": "a three"}


def tale(number: int) -> str:
    return f"On day {number} of May {NAMES[number]} went to the old {PLACES[number]} and sat there until the evening."


def asked(number: int) -> str:
    return f"Where did {NAMES[number]} sit on day {number}?"


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Make], Preview]:
    def of(make: Make) -> Preview:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(make(number)) + "\n" for number in range(6)))
        return preview(str(path), Problems())

    return of


Read = Callable[[Make], Preview]


def first(found: Preview) -> tuple[str, str | None]:
    return found.problems[0].question, found.problems[0].answer


QUESTIONS: dict[str, tuple[Make, str]] = {
    "a word in its name": (lambda n: {"citing_prompt": f"Cite {n} of all.", "answer": str(n)}, "Cite 0 of all."),
    "a slip in its name": (lambda n: {"question_propmt": f"Cite {n} of all.", "answer": str(n)}, "Cite 0 of all."),
    "another language": (lambda n: {"pregunta": f"Cita {n} ya", "respuesta": str(n)}, "Cita 0 ya"),
    "Q and A": (lambda n: {"Q": f"Cite {n}", "A": str(n)}, "Cite 0"),
    "question marks": (lambda n: {"zork": asked(n), "kind": "of places", "answer": PLACES[n]}, asked(0)),
    "a blank": (lambda n: {"zork": f"The ____ of {n} sang.", "answer": PLACES[n]}, "The ____ of 0 sang."),
    "the only text left": (lambda n: {"zork": tale(n), "label": NAMES[n], "source": "a book of tales"}, tale(0)),
    "a chat": (lambda n: {"zork": [{"role": "user", "content": asked(n)}], "answer": PLACES[n]}, asked(0)),
    "a title and a body": (
        lambda n: {"post_title": f"Day {n}", "post_body": f"Tell me what {NAMES[n]} did then.", "answer": PLACES[n]},
        "Day 0\nTell me what Ann did then.",
    ),
    "a pair with a label": (
        lambda n: {"sentence1": tale(n), "sentence2": f"{NAMES[n]} sat there.", "gold_label": ("yes", "no")[n % 2]},
        f"{tale(0)}\nAnn sat there.",
    ),
    "token ids beside its text": (
        lambda n: {"inputs": [1, 2, n], "inputs_pretokenized": asked(n), "targets": [3], "targets_plaintext": NAMES[n]},
        asked(0),
    ),
    "a source whose target is reasoned for": (
        lambda n: {"source": tale(n), "target": PLACES[n], "rationale": f"He sat in the {PLACES[n]}."}, tale(0),
    ),
    "a formula under a loose name": (
        lambda n: {"goal": f"(sit, {n})", "example": f"Say if {n} follows.", "label": NAMES[n]}, "Say if 0 follows.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", QUESTIONS)
def test_a_question_is_told_by(kind: str, read: Read) -> None:
    make, question = QUESTIONS[kind]
    found = read(make)
    assert first(found)[0] == question
    assert found.answered == 6


def test_what_is_taken_by_no_name_is_told(read: Read) -> None:
    found = read(lambda n: {"blorp": tale(n), "question": asked(n), "answer": PLACES[n]})
    assert found.stock.notes == (
        "`blorp` was taken for context: it holds texts that stand before the question, or that several questions share",
    )
    guessed = read(lambda n: {"zork": asked(n), "answer": PLACES[n]})
    told = "no field has a usual name for a question: `zork` was taken, as its texts ask something"
    assert guessed.plain(0)["notes"] == [told]


CONTEXTS: dict[str, Make] = {
    "its place before the question": lambda n: {"blorp": tale(n), "question": asked(n), "answer": PLACES[n]},
    "several questions that share it": lambda n: {"answer": PLACES[n], "question": asked(n), "blorp": tale(n // 2)},
    "a word in its name": lambda n: {"question": asked(n), "answer": PLACES[n], "my_passage_text": tale(n)},
    "a list of sentences": lambda n: {"question": asked(n), "sentences": [tale(n), "So."], "answer": PLACES[n]},
    "turns before it": lambda n: {"history": [{"who": NAMES[n], "said": tale(n)}], "question": asked(n), "answer": "x"},
    "a program that it is about": lambda n: {"code_snippet": tale(n), "question": asked(n), "answer": PLACES[n]},
    "evidence for a claim": lambda n: {"claim": f"{NAMES[n]} sat.", "evidence": tale(n), "label": ("yes", "no")[n % 2]},
    "a prompt that ends on it": lambda n: {"question": asked(n), "answer": "x", "prompt": f"{tale(n)}\n{asked(n)}"},
}


@pytest.mark.parametrize("kind", CONTEXTS)
def test_a_context_is_told_by(kind: str, read: Read) -> None:
    question, answer = first(read(CONTEXTS[kind]))
    assert tale(0) in question
    assert answer


def test_what_stands_behind_the_answer_explains_it(read: Read) -> None:
    found = read(lambda n: {"question": asked(n), "answer": str(n), "blorp": tale(n)})
    assert first(found) == (asked(0), "0")
    assert found.stock.unused == ("blorp",)


OPTIONS: dict[str, Make] = {
    "fields of any one name": lambda n: {f"holding_{k}": f"a {one}" for k, one in enumerate(ABC)} | {"label": n % 3},
    "fields in Spanish": lambda n: {f"opcion{k + 1}": f"a {one}" for k, one in enumerate(ABC)} | {"label": 1 + n % 3},
    "an object under any name": lambda n: {"blorp": BY_LETTER, "answer": "ABC"[n % 3]},
    "keys of one name": lambda n: {
        "choices": {f"choice_{k}": f"a {one}" for k, one in enumerate(ABC)}, "answer": f"choice_{n % 3}",
    },
    "a list that holds the answer": lambda n: {"blorp": [f"a {one}" for one in ABC], "answer": f"a {ABC[n % 3]}"},
    "a list that an index counts": lambda n: {"blorp": [f"a {one}" for one in ABC], "correct_index": n % 3},
    "letters without marks": lambda n: {"Options": "A a one\nB a two\nC a three", "Answer": "ABC"[n % 3]},
    "numbered lines": lambda n: {"options": "1. a one\n2. a two\n3. a three", "answer": 1 + n % 3},
    "bars": lambda n: {"options": "a one | a two | a three", "answer": "ABC"[n % 3]},
    "semicolons": lambda n: {"options": "a one; a two; a three", "answer": f"a {ABC[n % 3]}"},
    "an object that says which": lambda n: {
        "options": [{"id": key, "content": one} for key, one in BY_LETTER.items()],
        "answer": {"id": "abc"[n % 3]},
    },
    "letters in a list of one": lambda n: {"option_list": BY_LETTER, "answer": ["ABC"[n % 3]]},
    "another word for the answer": lambda n: {
        "answer_candidates": [f"a {one}" for one in ABC], "answer_entity": f"a {ABC[n % 3]}",
    },
    "dollar signs in one of the two": lambda n: {"choices": [f"$a {one}$" for one in ABC], "answer": f"a {ABC[n % 3]}"},
}  # fmt: skip


@pytest.mark.parametrize("kind", OPTIONS)
def test_options_are_read_from(kind: str, read: Read) -> None:
    found = read(lambda n: {"question": asked(n), **OPTIONS[kind](n)})
    assert [problem.answer for problem in found.problems] == ["A", "B", "C", "A", "B", "C"]
    assert first(found)[0].replace("$", "").endswith("A. a one\nB. a two\nC. a three")


NESTED: dict[str, Make] = {
    "one object": lambda n: {
        "id": n,
        "data": {
            "Correct Answer": f"a {ABC[n % 3]}", "Correct Option": "ABC"[n % 3], "Options": BY_LETTER,
            "Question": asked(n),
        },
        "subject_name": "places",
    },
    "one object with a field for each option": lambda n: {
        "item": {"question": asked(n), **BY_LETTER, "answer": "ABC"[n % 3]}, "split": "dev",
    },
    "one object beside its answer": lambda n: {
        "doc": {"question": asked(n), "choices": [f"a {one}" for one in ABC]}, "target": n % 3,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", NESTED)
def test_question_and_options_may_stand_in(kind: str, read: Read) -> None:
    found = read(NESTED[kind])
    assert [problem.answer for problem in found.problems] == ["A", "B", "C", "A", "B", "C"]
    assert first(found)[0] == f"{asked(0)}\n\nA. a one\nB. a two\nC. a three"


def test_a_context_inside_the_object_that_holds_the_question_is_shown(read: Read) -> None:
    found = read(lambda n: {"id": n, "data": {"passage": tale(n), "question": asked(n), "answer": PLACES[n]}})
    assert first(found) == (f"{tale(0)}\n\n{asked(0)}", "mill")


def test_a_recipe_may_name_fields_inside_the_object_that_holds_the_question(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(NESTED["one object"](number)) + "\n" for number in range(6)))
    found = preview(str(path), Problems(question="data.Question", answer="data.Correct Answer"))
    assert [problem.answer for problem in found.problems] == ["A", "B", "C", "A", "B", "C"]


def test_a_flag_says_which_option_is_right(read: Read) -> None:
    def make(number: int) -> Row:
        return {"question": asked(number), "answers": [{"answer": one, "is_correct": one == "two"} for one in ABC]}

    assert all(f"{one.answer}. two" in one.question for one in read(make).problems)


def test_an_index_counts_the_options_that_the_question_shows(read: Read) -> None:
    found = read(lambda n: {"question": f"{asked(n)} (A) one (B) two (C) three", "answer_index": n % 3})
    assert [problem.answer for problem in found.problems] == ["A", "B", "C", "A", "B", "C"]
    assert first(found)[0] == f"{asked(0)} (A) one (B) two (C) three"


def test_an_empty_option_leaves_its_letter_out(read: Read) -> None:
    row = {"A": "one", "B": "", "C": "three", "D": "four", "E": ""}
    found = read(lambda n: {"question": asked(n), **row, "answer": "ACD"[n % 3]})
    assert first(found) == (f"{asked(0)}\n\nA. one\nC. three\nD. four", "A")
    numbers = read(
        lambda n: {"question": asked(n), **row, "answer": 1 + n % 3} if n else {"question": asked(n), "answer": "x"}
    )
    assert all("can't be mapped" in one.why for one in numbers.stock.aside)


def test_an_order_of_all_options_is_an_answer_in_which_order_counts(read: Read) -> None:
    found = read(lambda n: {"question": asked(n), "choices": list(ABC), "answer": ("C, A, B", "B -> C -> A")[n % 2]})
    assert {problem.answer for problem in found.problems} == {"(C, A, B)", "(B, C, A)"}


def test_several_letters_are_set_aside(read: Read) -> None:
    found = read(lambda n: {"question": asked(n), "choices": list(ABC), "answer": ["A", "B"] if n else ["C"]})
    assert [problem.answer for problem in found.problems] == ["C"] + [None] * 5
    assert {one.why for one in found.stock.aside} == {"`answer` names several options"}


ANSWERS: dict[str, tuple[object, str | None]] = {
    "an object with a name": ([{"answer_type": "Entity", "answer_argument": "m.0abc1", "entity_name": "Ann"}], "Ann"),
    "an object with a value": ([{"answer_type": "Value", "answer_argument": "61.5", "entity_name": ""}], "61.5"),
    "a label by its language": ({"answerType": "entity", "answer": [{"name": "Q1"}], "mention": "Ann"}, "Ann"),
    "names of one answer": ([["HRL2", "harlowin 2"]], "HRL2"),
    "a tag around it": ("<answer>8</answer>", "8"),
    "a value with a range": ("120,000 (acceptable range: anything between 118,800 and 121,200)", None),
    "a value with another one": ("Ann Bo (also accept: A. Bo)", None),
    "a value and anything near it": ("61 (anything from 60 to 62)", None),
    "a name with a remark": ("Range Rover (a car)", "Range Rover (a car)"),
    "a dash": ("-", None),
    "a question mark": ("?", None),
    "an id alone": ({"name": "Q42"}, None),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_that_is(kind: str, read: Read) -> None:
    held, answer = ANSWERS[kind]
    found = read(lambda n: {"question": asked(n), "answer": held if n else PLACES[n]})
    assert [problem.answer for problem in found.problems[1:]] == [answer] * 5


WORDINGS: dict[str, tuple[Row, str | None]] = {
    "golden answers": ({"golden_answers": ["Ann Bo", "Ann C. Bo"]}, "Ann Bo"),
    "a number and its word": ({"golden_answers": ["12", "twelve"]}, "12"),
    "short answers": ({"short_answers": ["Ann Bo", "Bo"]}, "Ann Bo"),
    "answers about a passage": ({"context": "Ann Bo sat there.", "answers": ["Ann Bo", "Bo"]}, "Ann Bo"),
    "answers about nothing": ({"answers": ["Ann", "Bo"]}, None),
    "answers of one form": ({"answers": ["Ann Bo", "Bo"]}, "Ann Bo"),
    "answers about a table": ({"table": [["Ann", "Bo"]], "answers": ["Ann", "Bo"]}, None),
    "several numbers": ({"golden_answers": ["3", "4"]}, None),
    "several formulas": ({"golden_answers": ["$x$", "$y$"]}, None),
    "a yes and a no": ({"context": "He sat.", "answers": ["yes", "no"]}, None),
    "no answer for some": ({"context": "He sat.", "answers": ["Ann", "unanswerable"]}, None),
}


@pytest.mark.parametrize("kind", WORDINGS)
def test_wordings_of_one_answer_are_told_from_several(kind: str, read: Read) -> None:
    row, answer = WORDINGS[kind]
    found = read(lambda n: {"question": f"Who sat on day {n}?", **(row if n else {"answer": "x"})})
    assert [problem.answer for problem in found.problems[1:]] == [answer] * 5


@pytest.mark.parametrize("asks", ["Which towns are on the river", "Who were the guests of", "List the guests of"])
def test_a_question_for_several_has_several_answers(asks: str, read: Read) -> None:
    found = read(
        lambda n: {"question": f"{asks} {n}?", **({"golden_answers": ["Ann", "Bo"]} if n else {"answer": "x"})}
    )
    assert [problem.answer for problem in found.problems] == ["x"] + [None] * 5


def test_a_reference_comes_before_what_a_model_answered(read: Read) -> None:
    found = read(lambda n: {"problem": asked(n), "model_name": "m", "answer": "\\boxed{1}", "gold_answer": str(n)})
    assert [problem.answer for problem in found.problems] == list("012345")


def test_a_solution_beside_a_chat_that_was_found_wrong_is_the_reference(read: Read) -> None:
    def make(number: int, turn: str = "It is \\boxed{99}.") -> Row:
        chat = [{"from": "user", "value": asked(number)}, {"from": "assistant", "value": turn}]
        solution = f"So it is \\boxed{{{number}}}."
        return {"problem": asked(number), "solution": solution, "conversations": chat, "correct": number == 0}

    assert [problem.answer for problem in read(make).problems] == list("012345")
    same = read(lambda n: make(n, f"Well. So it is \\boxed{{{n}}}."))
    assert [problem.answer for problem in same.problems] == ["0"] + [None] * 5


def test_numbers_among_labels_in_words_are_answers(read: Read) -> None:
    found = read(lambda n: {"question": asked(n), "label": "7" if n % 2 else PLACES[n]})
    assert [problem.answer for problem in found.problems] == ["mill", "7", "bridge", "7", "lamp", "7"]


def test_a_question_about_a_picture_is_set_aside(read: Read) -> None:
    for picture in ({"image_1": "x"}, {"path": "./films/3.mp4"}, {"image_path": "a/b.PNG"}):
        found = read(lambda n: {"question": asked(n), "answer": "x"} | (picture if n else {}))  # noqa: B023 - used at once
        assert [one.kind for one in found.stock.aside] == ["picture"] * 5


OPEN: dict[str, tuple[Make, tuple[str, ...]]] = {
    "two questions": (
        lambda n: {"zork_text": asked(n), "blorp_text": f"Who is {NAMES[n]}?", "answer": "x"},
        ("zork_text", "blorp_text"),
    ),
    "a text that may belong to the question": (
        lambda n: {"ask": asked(n), "blorp": tale(n), "answer": PLACES[n]},
        ("ask", "blorp"),
    ),
    "a text between question and answer": (
        lambda n: {"question": asked(n), "blorp": tale(n), "answer": PLACES[n]},
        ("blorp",),
    ),
    "a passage behind the answer that holds it": (
        lambda n: {"question": asked(n), "answer": PLACES[n], "blorp": tale(n)},
        ("blorp",),
    ),
    "a list that may be the options": (
        lambda n: {"question": asked(n), "blorp": list(ABC), "answer": n % 3},
        ("blorp",),
    ),
    "questions that speak of a text": (
        lambda n: {"question": f"According to the passage, who sat {n}?", "answer": NAMES[n], "blorp": tale(n)},
        ("blorp",),
    ),
    "rows that disagree": (
        lambda n: {"question": "Where did he sit?", "answer": PLACES[n], "blorp": f"{NAMES[n]} sat"},
        ("blorp",),
    ),
    "a translation": (
        lambda n: {"source": asked(n), "target": f"Wo war {NAMES[n]}?"},
        ("source", "target"),
    ),
    "a source beside a text that was reasoned about": (
        lambda n: {"zork": tale(n), "source": tale(n)[::-1], "target": PLACES[n], "rationale": asked(n)},
        ("zork", "source"),
    ),
    "a preference": (
        lambda n: {"chosen_text": tale(n), "rejected_text": asked(n), "answer": "x"},
        ("chosen_text", "rejected_text"),
    ),
}


@pytest.mark.parametrize("kind", OPEN)
def test_a_source_is_refused_and_its_fields_are_named_for(kind: str, read: Read) -> None:
    make, fields = OPEN[kind]
    with pytest.raises(UsageError) as caught:
        read(make)
    assert all(f"`{name}`" in caught.value.message for name in fields)
    assert caught.value.hint


NO_ANSWERS: dict[str, tuple[Row, str]] = {
    "a number for yes or no": ({"question": "It rains. Is the street wet?", "answer": 1}, "question of yes or no"),
    "a number beside letters": ({"question": "Which? (A) a cat (B) a dog", "answer": 1}, "the options have letters"),
    "a response that was scored": ({"question": "Who is it?", "response": "Ann", "score": 0}, "`response` is wrong"),
}


@pytest.mark.parametrize("kind", NO_ANSWERS)
def test_no_answer_is(kind: str, read: Read) -> None:
    row, why = NO_ANSWERS[kind]
    with pytest.raises(UsageError, match=why):
        read(lambda _: row)


def test_a_number_answers_what_asks_for_one(read: Read) -> None:
    for question in ("Can you say what 3 - 2 is?", "Is it 0 or 1?", "Take A. Is 1 the number of cats?", "(A) 1 (B) 2"):
        assert read(lambda _: {"question": question, "answer": 1}).answered == 1  # noqa: B023 - used at once


def test_a_field_with_names_of_the_answer_is_no_list_of_options(read: Read) -> None:
    found = read(lambda n: {"question": asked(n), "answer": PLACES[n], "spellings": [PLACES[n], f"the {PLACES[n]}"]})
    assert first(found) == (asked(0), "mill")


def test_a_list_that_the_recipe_names_is_the_options(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"question": asked(n), "blorp": list(ABC), "answer": n % 3} for n in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = preview(str(path), Problems(options="blorp"))
    assert [problem.answer for problem in found.problems] == ["A", "B", "C", "A", "B", "C"]


def test_a_column_without_a_name_is_no_title(read: Read) -> None:
    found = read(lambda n: {"": str(n), "zork": asked(n), "answer": PLACES[n]})
    assert first(found) == (asked(0), "mill")
