"""`selfimprove check --references`: references read and judged as a recipe says, those of its guards too."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from selfimprove.cli import app as cli

RECIPE = """
[problems]
train = "mine.jsonl"
answer = "final"

[[guards]]
problems = "guard.jsonl"
question = "text"
answer = "key"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files whose usual fields hold other things than those that the recipe names."""
    monkeypatch.chdir(tmp_path)
    broken = "9" * 200_000
    mine = [{"question": f"What is {n} + 1?", "answer": "see below", "final": f"{n + 1}"} for n in range(9)]
    guard = [
        {"question": f"{n}", "answer": "1", "text": f"Tell {n}.", "key": f"{n}" if n else broken} for n in range(9)
    ]
    for name, rows in (("mine", mine), ("guard", guard)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "own.toml").write_text(RECIPE)
    return tmp_path


def checked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    monkeypatch.setattr(sys, "argv", ["selfimprove", "check", "--workers", "1", "--references", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("folder")
def test_the_fields_of_a_guard_are_read_from_its_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checked(capsys, monkeypatch, "guard.jsonl") == ["9 references, 0 can't be judged against"]
    first, last = checked(capsys, monkeypatch, "guard.jsonl", "--recipe", "own.toml")
    assert first.startswith("guard.jsonl:1: 999")
    assert last == "9 references, 1 can't be judged against"


@pytest.mark.usefixtures("folder")
def test_the_fields_of_the_problems_are_read_from_any_other_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in (("--recipe", "own.toml"), ("--set", "problems.answer=final")):
        assert checked(capsys, monkeypatch, "mine.jsonl", *words) == ["9 references, 0 can't be judged against"]


@pytest.mark.usefixtures("folder")
def test_a_source_of_problems_and_of_a_guard_is_tested_both_ways(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ("--recipe", "own.toml", "--set", "problems.train=guard.jsonl", "--set", "problems.answer=answer")
    told = checked(capsys, monkeypatch, "guard.jsonl", *both)
    assert [line.partition(" references, ")[2] for line in told if "references," in line] == [
        "0 can't be judged against",
        "1 can't be judged against",
    ]
