"""Rows as spreadsheets, web pages, notebooks and training scripts export them, each read as its writer meant it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selfimprove.problem.preview import preview
from selfimprove.recipe import Problems

SUMS = tuple((a, b) for a in range(2, 8) for b in range(3, 7))
PLANET = "Which planet is number {n} from the sun?"
NAMES = ("Mercury", "Venus", "Earth", "Mars")
SHOWN = "\n\nA. Mercury\nB. Venus\nC. Earth\nD. Mars"


def read(folder: Path, name: str, text: str) -> list[tuple[str, str | None]]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return [(problem.question, problem.answer) for problem in preview(str(path), Problems()).problems]


def lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def table(header: str, rows: list[str]) -> str:
    return "\n".join([header, *rows]) + "\n"


@pytest.mark.parametrize("form", ["[{{'role': 'user', 'content': '{}'}}]", "[{{'content': '{}', 'role': 'user'}}]"])
def test_a_chat_as_python_prints_it_is_a_chat(form: str, tmp_path: Path) -> None:
    rows = [{"prompt": form.format(f"What is {a} + {b}?"), "answer": str(a + b)} for a, b in SUMS]
    assert read(tmp_path, "chats.jsonl", lines(list(rows)))[0] == ("What is 2 + 3?", "5")


def test_a_chat_as_numpy_prints_it_has_its_system_turn(tmp_path: Path) -> None:
    form = "\"[{{'content': 'Be brief.', 'role': 'system'}}\n {{'content': '{}', 'role': 'user'}}]\",{}"
    text = table("prompt,answer", [form.format(f"What is {a} + {b}?", a + b) for a, b in SUMS])
    (tmp_path / "chats.csv").write_text(text)
    first = preview(str(tmp_path / "chats.csv"), Problems()).problems[0]
    assert (first.question, first.system) == ("What is 2 + 3?", "Be brief.")


@pytest.mark.parametrize("field", ["answer", "solution", "response"])
def test_an_answer_in_tags_behind_a_thought_is_the_answer(field: str, tmp_path: Path) -> None:
    form = "<think>{} and {} make it.</think>\n<answer>{}</answer>"
    rows = [{"question": f"What is {a} + {b}?", field: form.format(a, b, a + b)} for a, b in SUMS]
    assert read(tmp_path, "tags.jsonl", lines(list(rows)))[0] == ("What is 2 + 3?", "5")


@pytest.mark.parametrize(
    ("header", "keys"),
    [
        ("(a),(b),(c),(d)", ("(a)", "(b)", "(c)", "(d)")),
        ("А,Б,В,Г", ("А", "Б", "В", "Г")),
        ("α,β,γ,δ", ("α", "β", "γ", "δ")),
        ("أ,ب,ج,د", ("أ", "ب", "ج", "د")),
        ("1,2,3,4", ("1", "2", "3", "4")),
        ("options[0],options[1],options[2],options[3]", NAMES),
        ("Option (A),Option (B),Option (C),Option (D)", ("A", "B", "C", "D")),
        ("A选项,B选项,C选项,D选项", ("A", "B", "C", "D")),
    ],
)
def test_options_in_columns_of_any_lettering_are_shown(header: str, keys: tuple[str, ...], tmp_path: Path) -> None:
    rows = [f"{PLANET.format(n=place % 4 + 1)} ({place}),{','.join(NAMES)},{keys[place % 4]}" for place in range(16)]
    found = read(tmp_path, "sheet.csv", table(f"question,{header},answer", rows))
    assert found[1] == (f"{PLANET.format(n=2)} (1){SHOWN}", "B")
    assert [answer for _, answer in found[:4]] == ["A", "B", "C", "D"]


@pytest.mark.parametrize("printed", ["['Mercury' 'Venus' 'Earth' 'Mars']", "['Mercury' 'Venus'\n 'Earth' 'Mars']"])
def test_options_as_numpy_prints_them_are_shown(printed: str, tmp_path: Path) -> None:
    rows = [f'{PLANET.format(n=place % 4 + 1)} ({place}),"{printed}",{place % 4}' for place in range(16)]
    found = read(tmp_path, "array.csv", table("question,options,answer_index", rows))
    assert found[1] == (f"{PLANET.format(n=2)} (1){SHOWN}", "B")


def test_options_as_an_object_of_arrays_are_shown(tmp_path: Path) -> None:
    names = ", ".join(f"'{name}'" for name in NAMES)
    printed = f"{{'text': array([{names}], dtype=object), 'label': array(['A', 'B', 'C', 'D'], dtype=object)}}"
    rows = [f'{PLANET.format(n=place % 4 + 1)} ({place}),"{printed}",{"ABCD"[place % 4]}' for place in range(16)]
    found = read(tmp_path, "arrays.csv", table("question,choices,answerKey", rows))
    assert found[1] == (f"{PLANET.format(n=2)} (1){SHOWN}", "B")


@pytest.mark.parametrize("label", ["id", "letter", "key"])
def test_options_with_a_label_and_a_flag_are_read_by_the_flag(label: str, tmp_path: Path) -> None:
    def options(right: int) -> list[dict[str, object]]:
        return [{label: "abcd"[n], "text": name, "isCorrect": n == right} for n, name in enumerate(NAMES)]

    rows = [{"question": f"{PLANET.format(n=n % 4 + 1)} ({n})", "options": options(n % 4)} for n in range(16)]
    question, answer = read(tmp_path, "quiz.jsonl", lines(list(rows)))[1]
    assert answer is not None
    assert f"{answer}. Venus" in question


def test_options_with_ids_of_their_own_show_their_texts(tmp_path: Path) -> None:
    options = [{"id": f"opt{n}", "text": str(n)} for n in (3, 1, 2, 4)]
    rows = [{"question": f"How many? ({n})", "options": options, "answer": f"opt{n % 4 + 1}"} for n in range(16)]
    assert read(tmp_path, "ids.jsonl", lines(list(rows)))[1] == ("How many? (1)\n\nA. 3\nB. 1\nC. 2\nD. 4", "C")


def test_signs_of_a_web_page_are_those_that_it_shows(tmp_path: Path) -> None:
    rows = [
        {
            "question": f"<p>What is {a}<sup>2</sup> &minus; {b}&nbsp;in &quot;Caf&eacute;&quot;?</p>",
            "answer": f"<p>{a * a - b}</p>",
        }
        for a, b in SUMS
    ]
    assert read(tmp_path, "page.jsonl", lines(list(rows)))[0] == ('What is 2^{2} \u2212 3\xa0in "Caf\u00e9"?', "1")
    plain = [{"question": f"What does <p> do, for {a} & {b}?", "answer": str(a)} for a, b in SUMS]
    assert read(tmp_path, "plain.jsonl", lines(list(plain)))[0][0] == "What does <p> do, for 2 & 3?"


def test_commands_that_lost_their_first_letter_have_it_again(tmp_path: Path) -> None:
    rows = [
        {"question": f"Simplify $\x0crac{{{a}}}{{{2 * b}}}$.", "answer": f"$\x0crac{{{a}}}{{{2 * b}}}$"}
        for a, b in SUMS
    ]
    assert read(tmp_path, "eaten.jsonl", lines(list(rows)))[0] == (r"Simplify $\frac{2}{6}$.", r"$\frac{2}{6}$")


def test_commands_that_were_escaped_twice_are_whole(tmp_path: Path) -> None:
    terms = [rf"$\\frac{{{a}}}{{{2 * b}}}$" for a, b in SUMS]
    rows = [{"question": f"Simplify {term}.", "answer": term} for term in terms]
    assert read(tmp_path, "twice.jsonl", lines(list(rows)))[0] == (r"Simplify $\frac{2}{6}$.", r"$\frac{2}{6}$")
    kept = [
        {"question": rf"Add {b} to $\begin{{array}}{{c}}{a}\\ \frac12\\x\end{{array}}$.", "answer": str(b)}
        for a, b in SUMS
    ]
    assert read(tmp_path, "kept.jsonl", lines(list(kept)))[0][0] == kept[0]["question"]


def test_line_breaks_that_were_written_out_are_line_breaks(tmp_path: Path) -> None:
    rows = [rf"Tom has {a}.\n\nHe gets {b}. How many?,{a}+{b}={a + b}.\n#### {a + b}" for a, b in SUMS]
    assert read(tmp_path, "lines.csv", table("question,answer", rows))[0] == ("Tom has 2.\n\nHe gets 3. How many?", "5")


def test_a_heading_that_stands_in_a_file_again_is_no_problem(tmp_path: Path) -> None:
    rows = [f"What is {a} + {b}?,{a + b}" for a, b in SUMS]
    path = tmp_path / "again.csv"
    path.write_text(table("Question,Answer", [*rows[:8], "Question,Answer", *rows[8:]]))
    found = preview(str(path), Problems())
    assert [aside.why for aside in found.stock.aside] == ["the row repeats the names of the fields"]
    assert len(found.problems) == len(rows)


def test_letters_for_true_and_false_are_told(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text(table("question,answer", [f"True or false: {a} < {b}?,{'T' if a < b else 'F'}" for a, b in SUMS]))
    told = "the answers are `T` and `F`: write `true` and `false`, which models answer"
    assert told in preview(str(path), Problems()).stock.notes


def test_a_passage_that_only_the_first_row_of_its_group_has_is_told(tmp_path: Path) -> None:
    rows = [
        {"passage": f"Anna packed {a} boxes on Monday and {a + b} on Tuesday, and went home." if b == 3 else "",
         "question": f"How many boxes did person {a} pack in {b} days?", "answer": str(a * b)}
        for a, b in SUMS
    ]  # fmt: skip
    path = tmp_path / "merged.jsonl"
    path.write_text(lines(list(rows)))
    told = "`passage` is filled in 6 of 24 rows; the other questions were read without it"
    assert told in preview(str(path), Problems()).stock.notes


def test_a_cell_that_keeps_its_zeros_by_a_formula_holds_what_it_shows(tmp_path: Path) -> None:
    rows = [f'What are the last three digits of {1000 * a + b}?,="00{b}"' for a, b in SUMS]
    assert read(tmp_path, "digits.csv", table("question,answer", rows))[0][1] == "003"
    rows = [f'"What are the last three digits of {1000 * a + b}?","=""00{b}"""' for a, b in SUMS]
    assert read(tmp_path, "quoted.csv", table("question,answer", rows))[0][1] == "003"


@pytest.mark.parametrize("word", ["Response", "Statement"])
def test_numbered_fields_of_which_one_is_called_the_right_one_are_options(word: str, tmp_path: Path) -> None:
    header = ",".join(["Question", *(f"{word} {n}" for n in range(1, 5)), f"Correct {word}"])
    rows = [f"{PLANET.format(n=n % 4 + 1)} ({n}),{','.join(NAMES)},{n % 4 + 1}" for n in range(8)]
    question, answer = read(tmp_path, "sheet.csv", table(header, rows))[1]
    assert (question, answer) == (f"{PLANET.format(n=2)} (1){SHOWN}", "B")


QUESTIONS = [f"What is {a} + {b}?" for a, b in SUMS]
ANSWERS = [str(a + b) for a, b in SUMS]


@pytest.mark.parametrize(
    "whole",
    [
        {"questions": QUESTIONS, "answers": ANSWERS},
        {"columns": ["question", "answer"], "data": list(zip(QUESTIONS, ANSWERS, strict=True))},
        {"columns": ["q", "a"], "index": list(range(24)), "data": list(zip(QUESTIONS, ANSWERS, strict=True))},
        dict(zip(QUESTIONS, ANSWERS, strict=True)),
        {question: a + b for question, (a, b) in zip(QUESTIONS, SUMS, strict=True)},
    ],
    ids=["plural", "split", "split with an index", "answers by questions", "numbers by questions"],
)
def test_an_object_of_rows_in_another_form_is_its_rows(whole: dict[str, object], tmp_path: Path) -> None:
    assert read(tmp_path, "whole.json", json.dumps(whole)) == list(zip(QUESTIONS, ANSWERS, strict=True))


def test_an_object_whose_names_ask_nothing_is_one_row(tmp_path: Path) -> None:
    whole = {"question": QUESTIONS[0], "answer": ANSWERS[0]}
    assert read(tmp_path, "one.json", json.dumps(whole)) == [(QUESTIONS[0], ANSWERS[0])]


@pytest.mark.parametrize("system", ["", "system\nBe brief.\n"])
def test_a_chat_whose_tokens_were_left_out_is_a_chat(system: str, tmp_path: Path) -> None:
    rows = [{"input": f"{system}user\nWhat is {a} + {b}?\nassistant\n", "gts": str(a + b)} for a, b in SUMS]
    (tmp_path / "dump.jsonl").write_text(lines(list(rows)))
    first = preview(str(tmp_path / "dump.jsonl"), Problems()).problems[0]
    assert (first.question, first.answer, first.system) == ("What is 2 + 3?", "5", "Be brief." if system else "")


def test_a_question_about_the_tokens_of_a_chat_is_asked_whole(tmp_path: Path) -> None:
    asked = "What does <|im_end|>\n<|im_start|>assistant\nmean in row {}?"
    rows = [{"question": asked.format(n), "answer": str(n)} for n in range(4)]
    assert read(tmp_path, "tokens.jsonl", lines(list(rows)))[0] == (asked.format(0), "0")


def test_a_number_as_pandas_writes_it_beside_empty_cells_is_a_position(tmp_path: Path) -> None:
    rows = [f"{PLANET.format(n=n + 1)},{','.join(NAMES)},{n}.0" for n in range(4)]
    text = table("question,choice0,choice1,choice2,choice3,label", rows)
    assert read(tmp_path, "floats.csv", text)[2] == (PLANET.format(n=3) + SHOWN, "C")


def test_options_that_only_big_bench_lists_are_shown(tmp_path: Path) -> None:
    bare = [
        {"inputs": PLANET.format(n=n + 1), "targets": [NAMES[n]], "multiple_choice_targets": list(NAMES)}
        for n in range(4)
    ]
    assert read(tmp_path, "bare.jsonl", lines(list(bare)))[2] == (PLANET.format(n=3) + SHOWN, "C")
    told = [{**row, "inputs": f"{row['inputs']}\n" + "\n".join(f"choice: {name}" for name in NAMES)} for row in bare]
    assert read(tmp_path, "told.jsonl", lines(list(told)))[2][1] == "Earth"


def test_options_may_have_letters_from_another_one_on(tmp_path: Path) -> None:
    choices = {"label": list("FGHJ"), "text": list(NAMES)}
    rows = [{"question": PLANET.format(n=n + 1), "choices": choices, "answerKey": "FGHJ"[n]} for n in range(4)]
    assert read(tmp_path, "letters.jsonl", lines(list(rows)))[2][1] == "H"


def test_a_class_of_parquet_is_read_by_its_name(tmp_path: Path) -> None:
    feature = {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}
    rows = pa.table({"question": [f"Is {n} even?" for n in range(4)], "label": [(n + 1) % 2 for n in range(4)]})
    noted = rows.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": feature}})})
    pq.write_table(noted, tmp_path / "classes.parquet")
    found = preview(str(tmp_path / "classes.parquet"), Problems()).problems
    assert [one.answer for one in found] == ["yes", "no", "yes", "no"]
