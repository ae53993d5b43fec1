"""The warning that a held-out set can't detect what can be hoped for, from values."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from selfimprove.plan.hope import MEASURED, PUBLISHED, STUDIED, heldout_needed, hoped, power_warning
from selfimprove.plan.lines import plan_lines
from selfimprove.recipe import Recipe
from selfimprove.recipe.reading import parse_recipe, read_recipe
from tests.paths import ROOT

OTHER = {"model": {"name": "other/model"}}


def recipe(heldout: int = 256, **gate: object) -> Recipe:
    return parse_recipe({**OTHER, "problems": {"heldout_size": heldout}, "gate": gate}, "the test")


def test_the_size_that_is_named_is_enough_and_a_tenth_less_is_not() -> None:
    told = power_warning(recipe(), 256)
    assert told.startswith("warning: with 256 held-out problems only a gain of 5.7 points or more is detectable at 80%")
    assert "the gain that you can hope for is 4.4 points" in told
    (size,) = map(int, re.findall(r"--set problems\.heldout_size=(\d+)\)", told))
    assert size == heldout_needed(recipe())
    assert "that you can hope for" not in power_warning(recipe(size), size)
    assert power_warning(recipe(), round(0.9 * size))
    assert "no gain is detectable" in power_warning(recipe(), 30)


@pytest.mark.parametrize("gate", [{"rule": "none"}, {"rule": "point"}, {"samples": 4}])
def test_no_warning_where_power_is_not_computed(gate: dict[str, object]) -> None:
    assert power_warning(recipe(**gate), 30) == ""


def test_the_demo_is_not_warned_of_and_the_plan_says_what_the_run_says() -> None:
    demo = read_recipe(Path("demo"))
    assert hoped(demo) == STUDIED
    assert power_warning(demo, demo.problems.heldout_size) == ""
    assert plan_lines(recipe(), 2)[-1] == power_warning(recipe(), 256)
    assert not plan_lines(demo, 2)[-1].startswith("warning")


def test_the_gains_to_hope_for_are_those_of_the_pages() -> None:
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert f"1.2 to {100 * PUBLISHED.gain:g} points for 7B" in readme
    assert f"gains {100 * STUDIED.gain:g} points on 512 sealed problems" in readme
    study = (ROOT / "docs" / "study.md").read_text()
    for measured in MEASURED.values():
        assert f"| {measured.seen} |" in study
        assert float(measured.seen.split()[0].replace("−", "-")) == pytest.approx(100 * measured.gain)


def test_the_gain_that_was_measured_of_such_a_recipe_is_told_beside_the_one_to_hope_for() -> None:
    upft = parse_recipe({**OTHER, "prefixes": {"select": "all"}}, "the test")
    told = power_warning(upft, 256)
    assert "paper of the method reports; docs/study.md measured +0.6 (−2.0 to +3.1) on GSM8K with 1.5 billion" in told
    rft = parse_recipe({**OTHER, "prefixes": {"select": "verified", "length": "full"}}, "the test")
    assert "measured +1.6 (−2.6 to +5.9)" in hoped(rft).seen
    modal = parse_recipe({**OTHER, "prefixes": {"select": "modal"}, "sampling": {"samples": 4}}, "the test")
    assert hoped(modal) == PUBLISHED
    assert power_warning(modal, heldout_needed(modal)) == ""


@pytest.mark.parametrize("select", ["all", "verified"])
def test_a_gate_that_detects_what_can_be_hoped_for_and_not_what_was_measured_is_told_of(select: str) -> None:
    length = 8 if select == "all" else "full"
    own = parse_recipe({**OTHER, "prefixes": {"select": select, "length": length}}, "the test")
    size = heldout_needed(own)
    told = power_warning(own, size)
    assert told.startswith(f"warning: with {size} held-out problems only a gain of 4.4 points or more is detectable")
    assert f"docs/study.md measured {MEASURED[select, select != 'all', False].seen} on GSM8K" in told
    assert "selfimprove compare" in told
    assert (power_warning(own, 20_000) == "") == (select == "verified")
