"""What belongs to a question and stands in several fields, or in a text: all of it is shown, in the file's order."""

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
TEXTS = ("Ann came to town {}.", "She bought a red hat.", "It rained all day.")
NAMES = ("Ada", "Ben", "Cid", "Dora", "Eve", "Finn", "Gus", "Hal")


def load(folder: Path, rows: list[Row]) -> Preview:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return preview(str(path), Problems())


def read(folder: Path, rows: list[Row]) -> list[tuple[str, str | None]]:
    found = load(folder, rows).problems
    by_place = sorted(found, key=lambda problem: int(problem.source.rpartition(":")[2]))
    return [(problem.question, problem.answer) for problem in by_place]


FIELDS = {
    "passages": ("passage_1", "passage_2", "passage_3"),
    "contexts by letter": ("context_a", "context_b", "context_c"),
    "documents": ("doc1", "doc2", "doc3"),
    "lines": ("line1", "line2", "line3"),
    "sentences of another language": ("Satz1", "Satz2", "Satz3"),
    "one letter": ("s1", "s2", "s3"),
    "facts": ("Fact 1", "Fact 2", "Fact 3"),
}


@pytest.mark.parametrize("kind", FIELDS)
def test_texts_before_a_question_are_shown_in_their_order(kind: str, tmp_path: Path) -> None:
    told = [
        {
            **{name: text.format(n) for name, text in zip(FIELDS[kind], TEXTS, strict=True)},
            "question": f"Who came to town {n}?",
            "answer": f"Ann {NAMES[n]}",
        }
        for n in range(6)
    ]
    shown = "\n\n".join(text.format(1) for text in TEXTS)
    assert read(tmp_path, told)[1] == (f"{shown}\n\nWho came to town 1?", "Ann Ben")


@pytest.mark.parametrize("stem", ["hint", "step", "evidence_"])
def test_numbered_texts_that_may_explain_the_answer_are_asked_about(stem: str, tmp_path: Path) -> None:
    rows = [
        {f"{stem}1": TEXTS[0].format(n), f"{stem}2": TEXTS[1], "question": f"Who came {n}?", "answer": NAMES[n]}
        for n in range(6)
    ]
    with pytest.raises(UsageError, match="nothing says whether the question needs it"):
        read(tmp_path, rows)
    behind = [{"question": row["question"], "answer": row["answer"], **row} for row in rows]
    assert read(tmp_path, behind)[0][0] == "Who came 0?"


def test_the_target_of_a_puzzle_is_no_answer_to_it(tmp_path: Path) -> None:
    rows = [{"target": 90 + n, "nums": [n, 44, 19], "prompt": f"Make {90 + n} of {n}, 44, 19."} for n in range(5)]
    with pytest.raises(UsageError, match="`target` holds the target of a puzzle, which is no answer to it"):
        read(tmp_path, [dict(row) for row in rows])
    others = [{"target": 90 + n, "question": f"What is 90 + {n}?"} for n in range(5)]
    assert read(tmp_path, others)[1] == ("What is 90 + 1?", "91")


PASSAGE = "Ann came to town {}. She bought a red hat. It rained all day."


@pytest.mark.parametrize("written", [json.dumps, repr, dict], ids=["JSON", "Python", "an object"])
def test_all_of_an_object_is_read_however_it_is_written(written: Callable[[Row], object], tmp_path: Path) -> None:
    inner = [
        {"passage": PASSAGE.format(n), "question": f"Who came {n}?", "choices": ["Ann", "Ben"], "answer": n % 2}
        for n in range(6)
    ]
    shown = (f"{PASSAGE.format(1)}\n\nWho came 1?\n\nA. Ann\nB. Ben", "B")
    assert read(tmp_path, [{"id": n, "sample": written(one)} for n, one in enumerate(inner)])[1] == shown
    offered = [{"choices": one.pop("choices"), "answer": one.pop("answer")} for one in inner]
    rows = [{**one, "info": written(beside)} for one, beside in zip(inner, offered, strict=True)]
    assert read(tmp_path, rows)[1] == shown
    for row in inner:
        del row["question"]
    beside = [{"question": f"Who came {n}?", "answer": NAMES[n], "metadata": written(inner[n])} for n in range(6)]
    with pytest.raises(UsageError, match=r"`metadata.passage`: nothing says whether"):
        read(tmp_path, beside)


@pytest.mark.parametrize("number", ["Question", "Frage", "problem", "scenario"])
@pytest.mark.parametrize("text", ["Prompt", "Text", "query"])
@pytest.mark.parametrize("kind", [int, str])
def test_a_field_of_numbers_is_neither_asked_nor_shown(number: str, text: str, kind: type, tmp_path: Path) -> None:
    rows = [{number: kind(n + 1), text: f"What is {n} + 12?", "Answer": n + 12} for n in range(6)]
    assert read(tmp_path, rows)[1] == ("What is 1 + 12?", "13")


def test_numbers_that_are_given_are_shown(tmp_path: Path) -> None:
    rows = [{"instruction": "Double the number.", "input": str(n + 1), "output": str(2 * n + 2)} for n in range(6)]
    assert read(tmp_path, rows)[1] == ("Double the number.\n\n2", "4")


def test_numbers_of_passages_in_another_file_are_asked_about(tmp_path: Path) -> None:
    rows = [{"passage": n // 2, "question": f"Who came {n}?", "answer": NAMES[n]} for n in range(6)]
    with pytest.raises(UsageError, match="texts that are not in the file: `passage`"):
        read(tmp_path, rows)
