"""`selfimprove problems`: what it prints, for readers and for programs, of rows that nobody can trust."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from selfimprove.cli import app as cli
from selfimprove.problem import load_problems
from selfimprove.problem.shown import told_aside
from selfimprove.recipe import Problems

ROWS = [
    {"question": "What is \x1b[31m1 + 1?\nNow.", "answer": "2"},
    {"question": "What is [bold]2 + 2[/bold]?", "answer": "so \\boxed{4}"},
    {"question": "Tell me of sums.", "answer": "Sums are what one gets by adding, as everyone knows."},
    {"question": "What is 3 + 3?", "answer": "6"},
]


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return str(path)


def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["selfimprove", "problems", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 0
    return capsys.readouterr().out


def test_programs_get_the_pairs_and_what_was_set_aside(
    source: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = json.loads(typed(capsys, monkeypatch, source, "--json", "--limit", "0"))
    assert found["fields"] == {"question": ["question"], "context": [], "options": [], "answer": ["answer"]}
    assert found["rows"] == 4
    assert [one["answer"] for one in found["problems"]] == ["2", "4", None, "6"]
    assert [one["where"] for one in found["problems"]] == [f"rows.jsonl:{line}" for line in range(1, 5)]
    assert [(one["where"], one["kind"]) for one in found["set_aside"]] == [("rows.jsonl:3", "sentence")]
    assert found["checker"] == {"tested": 3, "faulty": 0}
    assert len(json.loads(typed(capsys, monkeypatch, source, "--json", "--limit", "1"))["problems"]) == 1


def test_rows_without_a_field_that_is_named_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gap.jsonl"
    rows = [
        {"question": f"What is {n} + 1?", "answer": str(n + 1)} | ({"final": str(n + 1)} if n % 4 else {})
        for n in range(40)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    note = "10 of 40 rows have no `final`; their answer was read from `answer`"
    named = typed(capsys, monkeypatch, str(path), "--set", "problems.answer=final", "--json")
    assert json.loads(named)["notes"] == [note]
    assert json.loads(typed(capsys, monkeypatch, str(path), "--json"))["notes"] == []
    sets = load_problems(Problems(train=str(path), answer="final", train_size=10, heldout_size=10, sealed_size=10))
    assert told_aside(sets.tallies) == [f"{path}: {note}"]  # what doctor and the start of a run tell


def test_what_guessing_would_solve_is_told_of_a_multiple_choice(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "choices.jsonl"
    four = [{"question": f"What is {n}?", "choices": [f"{n}", "no", "yes", "all"], "answer": "A"} for n in range(9)]
    plain = {"question": "What is 1 + 1?", "answer": "2"}
    for rows, told in (
        (four, "guessing would solve about 25% (multiple choice)"),
        ([*four, plain], "guessing would solve about 25% of the multiple-choice problems (90%)"),
    ):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        assert json.loads(typed(capsys, monkeypatch, str(path), "--json"))["guessing"] == told
        assert f"guessing    {told}\n" in typed(capsys, monkeypatch, str(path))
    assert "guessing would" not in typed(capsys, monkeypatch, source)


def test_readers_get_escaped_lines(
    source: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = typed(capsys, monkeypatch, source, "--limit", "2")
    assert "\x1b" not in shown
    assert r"What is \x1b[31m1 + 1?" in shown
    assert "What is [bold]2 + 2[/bold]?" in shown
    assert "reference   4" in shown
    assert "rows.jsonl:3: `answer` holds a text" in shown
    assert "3 of 3 references equal themselves" in shown
    assert "3 + 3" not in shown


def test_lengths_are_told_of_a_model(
    source: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from selfimprove.models.tiny import make_tiny_model

    tiny = make_tiny_model(tmp_path / "tiny", dtype="float32")
    monkeypatch.setenv("SELFIMPROVE_CACHE", str(tmp_path / "cache"))
    limits = ("--model", str(tiny), "--set", "sampling.max_new_tokens=1000000")
    tokens = json.loads(typed(capsys, monkeypatch, source, *limits, "--json"))["tokens"]
    assert tokens["limit"] == 1_000_000
    assert [one["where"] for one in tokens["too_long"]] == [f"rows.jsonl:{line}" for line in range(1, 5)]
    assert "4 problems don't fit" in typed(capsys, monkeypatch, source, *limits)
