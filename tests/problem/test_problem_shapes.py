"""Files in the shapes of well-known data sets: read right, or refused in two lines; never read wrong in silence."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from selfimprove.answer import Outcome, check
from selfimprove.errors import UsageError
from selfimprove.problem import Problem
from selfimprove.problem.preview import Preview, preview
from selfimprove.recipe import Problems
from tests import paths

CASES = paths.CASES / "shapes"
EXPECTED: dict[str, dict[str, Any]] = json.loads((CASES / "expected.json").read_text())
ALL_REFUSED = [name for name, case in EXPECTED.items() if case["outcome"] == "refused"]
LOADED = [name for name in EXPECTED if name not in ALL_REFUSED]


def read(name: str, keys: dict[str, str]) -> Preview:
    return preview(str(CASES / name), Problems(**{key.removeprefix("problems."): value for key, value in keys.items()}))


def squeezed(text: str) -> str:
    return " ".join(text.replace("$", "").split())


def accepts(reference: str | None, answer: str) -> bool:
    return reference is not None and check(f"So it is \\boxed{{{answer}}}.", reference).outcome is Outcome.CORRECT


def asked(found: Preview, wanted: Any) -> Problem:  # noqa: ANN401 - JSON
    """The shortest question that holds all parts."""
    parts = (wanted.get("parts") or [wanted["question"]]) if isinstance(wanted, dict) else [wanted]
    holding = [one for one in found.problems if all(squeezed(part) in squeezed(one.question) for part in parts)]
    assert holding, parts
    return min(holding, key=lambda one: len(one.question))


def letter_of(option: str, question: str) -> str:
    letters = re.findall(rf"(?:^|\s)([A-Z])[.):] {re.escape(option)}(?!\S)", question)
    assert len(letters) == 1, (option, question)
    return letters[0]


@pytest.mark.parametrize("name", LOADED)
def test_a_shape_is_read_right(name: str) -> None:
    case = EXPECTED[name]
    found = read(name, case["keys"])
    for wanted, answers in case["pairs"]:
        problem = asked(found, wanted)
        if isinstance(wanted, dict) and "options" in wanted:
            letters = [letter_of(option, problem.question) for option in wanted["options"]]
            assert len(set(letters)) == len(letters)
            assert problem.answer == letters[wanted["right"]]
        else:
            assert any(accepts(problem.answer, one) for one in (answers if isinstance(answers, list) else [answers]))
        assert not any(
            text in problem.question for text in (wanted.get("absent", []) if isinstance(wanted, dict) else [])
        )
    answered = {squeezed(one.question) for one in found.problems if one.answer is not None}
    assert not any(squeezed(question) in one for question, _ in case.get("aside", []) for one in answered)
    assert len(found.stock.problems) + len(found.stock.aside) + found.stock.duplicates >= found.stock.rows


@pytest.mark.parametrize("name", ALL_REFUSED)
def test_a_shape_that_has_no_answers_is_refused_in_two_lines(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(name, {})
    assert caught.value.hint
    assert "\n" not in str(caught.value.message) + str(caught.value.hint)


@pytest.mark.parametrize("name", [name for name, case in EXPECTED.items() if case["keys"]])
def test_a_shape_that_needs_a_key_is_refused_without_it_and_says_what_to_type(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(name, {})
    typed = [f"--set {key}={field}" for key, field in EXPECTED[name]["keys"].items()]
    named = all(field in caught.value.hint for field in EXPECTED[name]["keys"].values())
    assert named
    assert any(one in caught.value.hint for one in [*typed, "--set problems.answer="])


def test_every_shape_is_expected() -> None:
    files = {path.name for path in CASES.iterdir()} - {"README.md", "expected.json"}
    assert files == EXPECTED.keys()
    assert len(files) >= 75
