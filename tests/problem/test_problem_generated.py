"""Generated problems: what makes them the same, how they are drawn."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time

import pytest

from selfimprove.errors import UsageError
from selfimprove.problem import load_problems
from selfimprove.problem.generated import TASKS, _stream, draw
from selfimprove.recipe import MixturePart, Problems
from tests.paths import ROOT

ONE_DIGIT = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
TINY = {"tiny": (MixturePart(name="chain_sum", params=ONE_DIGIT),)}


def test_the_draw_is_the_same_for_every_length() -> None:
    few, many = draw("sums", {}, 5, 50)[0], draw("sums", {}, 5, 200)[0]
    assert many[:50] == few
    assert draw("sums", {}, 6, 50)[0] != few


def test_problems_are_distinct_by_what_is_asked() -> None:
    asked = {
        "worded": (
            MixturePart(name="chain_sum", params=ONE_DIGIT),
            MixturePart(
                name="basic_arithmetic",
                params=ONE_DIGIT | {"allow_parentheses": False, "operators": ["+", "-"], "format_style": "natural"},
            ),
        )
    }
    problems, repeated = draw("worded", asked, 0, 1000)
    assert len({problem.identity for problem in problems}) == len(problems) == 242  # 0 to 10, two operators
    assert repeated > 1000
    assert {problem.source for problem in problems} == {"reasoning-gym:chain_sum", "reasoning-gym:basic_arithmetic"}


def test_an_exhausted_pool_is_told_with_its_size() -> None:
    assert len(draw("tiny", TINY, 0, 1000)[0]) == 200
    wanted = Problems(train="reasoning-gym:tiny", mixtures=TINY, train_size=150, heldout_size=30, sealed_size=30)
    with pytest.raises(UsageError, match="has 200 distinct problems, .*150 training, 30 held") as told:
        load_problems(wanted)
    assert "train_size=142 --set problems.heldout_size=28 --set problems.sealed_size=28" in told.value.hint
    load_problems(wanted.model_copy(update={"train_size": 142, "heldout_size": 28, "sealed_size": 28}))


def test_two_generated_sources_share_no_problem() -> None:
    mixtures = TINY | {"small": (MixturePart(name="chain_sum", params=ONE_DIGIT | {"max_terms": 3}),)}
    wanted = Problems(
        train="reasoning-gym:small",
        heldout="reasoning-gym:tiny",
        mixtures=mixtures,
        train_size=1000,
        heldout_size=100,
        sealed_size=50,
    )
    problems = load_problems(wanted)
    judged = {problem.identity for problem in (*problems.heldout, *problems.sealed)}
    assert len(problems.train) == 1000
    assert judged.isdisjoint(problem.identity for problem in problems.train)
    assert problems.dropped["train in heldout"] > 50


@pytest.mark.parametrize("name", sorted(TASKS))
def test_what_is_asked_is_stated_in_full(name: str) -> None:
    """Problems with one identity have one answer, so no metadata that matters was left out."""
    drawn = list(itertools.islice(_stream([MixturePart(name=name)], name, 0), 30))
    answers = {(problem.identity, problem.answer) for problem in drawn}
    assert len(answers) == len({problem.identity for problem in drawn}) > 10
    assert all(problem.identity.startswith(TASKS[name][0] + ": ") for problem in drawn)


def test_a_bare_dataset_has_its_default_parameters() -> None:
    assert {problem.source for problem in draw("gcd", {}, 0, 20)[0]} == {"reasoning-gym:gcd"}


@pytest.mark.parametrize(
    ("parts", "fault", "hint"),
    [
        ([], "has no dataset `chain_sun`", "chain_sum"),
        ([{"name": "prodcts"}], "has no dataset `prodcts`", "products"),
        ([{"name": "chain_sum", "params": {"terms": 2}}], "refuses its parameters", "Parameters are"),
        ([{"name": "chain_sum", "params": {"min_terms": 0}}], "min_terms must be positive", "Parameters are"),
        ([{"name": "chain_sum", "params": {"seed": 2}}], "may not set seed", "Parameters are"),
    ],
)
def test_a_wrong_mixture_is_one_line(parts: list[dict[str, object]], fault: str, hint: str) -> None:
    mixtures = {"chain_sun": tuple(MixturePart.model_validate(part) for part in parts)} if parts else {}
    with pytest.raises(UsageError) as caught:
        load_problems(Problems(train="reasoning-gym:chain_sun", mixtures=mixtures))
    assert fault in caught.value.message
    assert hint in caught.value.hint


def test_all_problems_of_a_generator_are_refused() -> None:
    with pytest.raises(UsageError, match="is unlimited"):
        load_problems(Problems(train_size=0))


def test_sums_has_room_and_is_drawn_fast() -> None:
    start = time.perf_counter()
    problems = load_problems(Problems(train_size=1488))
    seconds = time.perf_counter() - start
    identities = {problem.identity for part in (problems.train, problems.heldout, problems.sealed) for problem in part}
    assert len(identities) == 2000
    assert seconds < 10  # 0.2 s measured; the bound allows for a busy machine and the first import


def test_processes_draw_the_same_whatever_their_hash_seeds() -> None:
    pinned = json.loads((ROOT / "tests/cases/problems/pinned.json").read_text())["sums fingerprint"]
    assert load_problems(Problems()).fingerprint() == pinned


def test_the_package_stays_light() -> None:
    code = (
        "import sys, selfimprove.problem;"
        "print([name for name in ('datasets', 'reasoning_gym', 'torch', 'numpy') if name in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
