"""The table of reasoning-gym's tasks: nearly all of them can be used, and the page says which can't."""

from __future__ import annotations

import re

import pytest

from benchmarks.generators import dependent, examined, tasks
from selfimprove.problem.gym import HASHED
from selfimprove.problem.judging import open_checker
from selfimprove.recipe import Answers
from tests.paths import ROOT

UNSURE = {"boxnet", "composite", "rush_hour"}
"""One that has to be told what it consists of, and two whose items hold no solution to test them by."""


def test_the_table_of_the_page_names_every_task() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "generators.md").read_text("utf-8"), re.MULTILINE)
    assert rows == tasks()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nearly_all_tasks_accept_their_own_reference_and_reject_a_perturbed_one() -> None:
    with open_checker(Answers()) as checker:
        failed = {name for name in tasks() if not examined(name, checker, 3).passed}
    assert failed <= UNSURE
    assert len(failed) <= 0.05 * len(tasks())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_other_task_depends_on_the_hash_seed() -> None:
    assert dependent(tasks(), 20) <= HASHED
