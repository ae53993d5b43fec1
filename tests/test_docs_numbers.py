"""Figures of recipes that the documentation quotes are those of the files, and power figures those of the program."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from selfimprove.gate.budget import alpha_of_round
from selfimprove.gate.intervals import size_needed, smallest_gain
from selfimprove.recipe import Recipe
from selfimprove.recipe.keys import described
from selfimprove.recipe.reading import read_recipe, recipe_names
from tests.paths import ROOT

LISTED: dict[str, Any] = tomllib.loads((ROOT / "tests/cases/docs_numbers.toml").read_text("utf-8"))
CASES: list[dict[str, str]] = LISTED["case"]
WORDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "eight": 8, "ten": 10}
NUMBER = r"([\d.,]+(?:e-?\d+)?|[a-z]+)"
KEYS = {key for key, *_ in described()}
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != "recipe.md")]


def recipe_named(name: str) -> Recipe:
    """The recipe that a case means."""
    if name == "study":
        return read_recipe(ROOT / "benchmarks" / "study" / "rft.toml")
    return read_recipe(None if name == "default" else Path(name))


def value_of(place: str) -> float:
    """The value of `RECIPE:KEY`, times a hundred for `RECIPE:KEY%`."""
    name, _, key = place.removesuffix("%").partition(":")
    section, _, leaf = key.partition(".")
    value = float(getattr(getattr(recipe_named(name), section), leaf))
    return 100 * value if place.endswith("%") else value


def read_number(text: str) -> float:
    return float(WORDS[text]) if text in WORDS else float(text.replace(",", ""))


def text_of(page: Path) -> str:
    """A page on one line, the marks of comments left out."""
    return " ".join(re.sub(r"^# ?", "", page.read_text("utf-8"), flags=re.MULTILINE).split())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['page']}: {case['text'][:50]}")
def test_a_figure_of_a_recipe_is_that_of_the_file(case: dict[str, str]) -> None:
    parts = re.split(r"\{([\w-]+:[\w.]+%?)\}", case["text"])
    pattern = NUMBER.join(re.escape(part) for part in parts[::2])
    found = re.search(pattern, text_of(ROOT / case["page"]))
    assert found, f"{case['page']} has no such text"
    told = [read_number(number.rstrip(".,")) for number in found.groups()]
    assert told == pytest.approx([value_of(place) for place in parts[1::2]]), case["text"]


def test_every_figure_beside_a_key_is_listed() -> None:
    held = {key for case in CASES for key in re.findall(r"\{[\w-]+:([\w.]+)%?\}", case["text"])}
    beside = re.compile(r"`(\w+\.\w+)`([^.|`;:\n]{0,16})`?(\d[\d.,]*(?:e-?\d+)?)")
    unlisted = []
    for page in PAGES:
        for key, between, number in beside.findall(text_of(page)):
            quoted = f"`{key}`{between}{number.rstrip('.,')}"
            if key in KEYS and key not in held and quoted not in LISTED["free"]:
                unlisted.append(f"{page.name}: {quoted}")
    assert unlisted == []


def test_recipes_that_are_named_are_there() -> None:
    named = {name for case in CASES for name in re.findall(r"\{([\w-]+):", case["text"])}
    assert named <= {"default", "study", *recipe_names()}


def test_figures_of_power_are_those_that_plan_prints() -> None:
    settings = Recipe()
    alpha, size = alpha_of_round(settings.gate, ()), settings.problems.heldout_size
    gain = smallest_gain(size, alpha, 0.10)
    assert gain is not None
    told = (
        f"With {size} held-out problems and flips on one problem in ten, round 1 detects a true gain of "
        f"{100 * gain:.1f} points at 80% power; a gain of 2 points needs {size_needed(0.02, alpha, 0.10):,} problems."
    )
    assert told in text_of(ROOT / "docs" / "rejected.md")
    first, *later = (f"{1 / alpha_of_round(settings.gate, (False,) * before):.0f}" for before in range(5))
    assert f"it is {first} in round 1 and, as long as no round is accepted, {', '.join(later)}, …" in text_of(
        ROOT / "docs" / "decision.md"
    )
