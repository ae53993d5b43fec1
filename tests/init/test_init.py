"""Recipes that `selfimprove init` writes: they load, they fit what was looked at, and they run."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from selfimprove.cli.app import app
from selfimprove.errors import UsageError
from selfimprove.plan.hope import most_heldout, power_warning
from selfimprove.problem import load_problems
from selfimprove.problem.shown import told_aside
from selfimprove.recipe import Recipe
from selfimprove.recipe.reading import packaged_recipe, read_recipe
from tests.paths import ROOT
from tests.workshop import Workshop, make_workshop

QUICK = ["--threads", "1", "--device", "cpu", "--engine", "transformers"]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A workshop with two more files: one that holds enough problems, one in which some answers are missing."""
    made = make_workshop(tmp_path_factory.mktemp("init"))
    for name, count in (("many", 1500), ("bare", 60)):
        rows = [{"question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(count)]
        rows[:20] = [{"question": row["question"]} for row in rows[:20]] if name == "bare" else rows[:20]
        (made.folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return made


@pytest.fixture
def here(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """The workshop as the working folder of this process."""
    monkeypatch.chdir(workshop.folder)
    monkeypatch.setenv("SELFIMPROVE_CACHE", str(workshop.folder / "cache"))
    return workshop


def written(problems: str, *more: str) -> Recipe:
    """The recipe that the command writes for these problems."""
    output = Path(problems).with_suffix(".toml")
    output.unlink(missing_ok=True)
    app(["init", "--model", "./tiny", "--problems", problems, "--yes", "--no-calibrate", *more], standalone_mode=False)
    return read_recipe(output)


def test_keys_that_are_set_are_read_with_and_written(here: Workshop) -> None:
    rows = [{"aa": f"Add {n} and 1.", "bb": f"Not {n} and 2.", "cc": str(n + 1)} for n in range(90)]
    Path("odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UsageError, match="no question; the fields are: `aa`, `bb`, `cc`"):
        written("odd.jsonl")
    names = ("problems.question=aa", "problems.answer=cc", "problems.context=bb")
    named = [word for name in names for word in ("--set", name)]
    recipe = written("odd.jsonl", *named, "--set", "gate.samples=4", "--set", "seed=3", "--set", "training.epochs=2")
    assert (recipe.problems.question, recipe.problems.answer) == ("aa", "cc")
    assert (recipe.gate.samples, recipe.seed, recipe.training.epochs) == (4, 3, 2)
    assert recipe.prefixes.select == "verified"
    assert load_problems(recipe.problems).heldout


def test_what_a_file_of_300_problems_can_show_is_what_the_documentation_says(here: Workshop) -> None:
    rows = [{"question": f"What is {n} + 2?", "answer": str(n + 2)} for n in range(300)]
    Path("few.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sizes = written("few.jsonl").problems
    train = 300 - sizes.heldout_size - sizes.sealed_size
    planned = here.call("plan", "--recipe", "few.toml").stdout
    assert planned.startswith(
        f"Problems read: {train} to train on, {sizes.heldout_size} held out, {sizes.sealed_size} "
    )
    gain = re.search(r"10% flips: a gain of ([\d.]+) points or more", planned)
    hoped = re.search(r"hope for is ([\d.]+) points .* takes (\d+) held-out problems", planned)
    assert gain
    assert hoped
    page = " ".join((ROOT / "docs" / "decision.md").read_text().split())
    assert (
        f"For 300 problems with answers, `init` writes a recipe that trains on {train}, holds out {sizes.heldout_size} "
        f"and seals {sizes.sealed_size}. With flips on one problem in ten, `plan` says that round 1 then detects a "
        f"gain of {gain[1]} points or more at 80% power, that is, with a probability of at least 80%. Detecting a gain "
        f"of {hoped[1]} points, the largest that "
        f"[the method's paper](https://arxiv.org/abs/2503.02875) reports, takes {hoped[2]} held-out problems"
    ) in page


def test_enough_problems_with_answers_are_selected_by_them_and_detect_the_gain(here: Workshop) -> None:
    Path("demo").write_text("a file of the name of a recipe of the program's")
    recipe = written("many.jsonl")
    assert recipe.training.learning_rate == packaged_recipe("demo").training.learning_rate
    assert (recipe.prefixes.select, recipe.prefixes.length, recipe.sampling.samples) == ("verified", "full", 4)
    assert (recipe.problems.heldout_size, recipe.problems.sealed_size, recipe.problems.train_size) == (436, 436, 0)
    assert recipe.sampling.problems_per_round == 256
    assert len(load_problems(recipe.problems).train) == 1500 - 2 * 436
    text = Path("many.toml").read_text()
    assert "With 436 held-out problems, a gain of 4.4 points or more is detectable at 80% power" in text
    assert "# A round samples 1,024 completions of 256 problems" in text
    assert all(len(line) <= 120 for line in text.splitlines())


def test_too_few_problems_are_shared_out_and_the_file_says_what_they_detect(here: Workshop) -> None:
    recipe = written("sums.jsonl")
    sets = load_problems(recipe.problems)
    assert len(sets.train) + len(sets.heldout) + len(sets.sealed) == 81
    assert min(len(sets.train), len(sets.heldout), len(sets.sealed)) > 15
    assert "Detecting it takes 436 problems: add problems, or set gate.samples = 4." in Path("sums.toml").read_text()
    told = power_warning(recipe, len(sets.heldout), most_heldout(sets))
    held = "436 held-out problems, and at most 49 can be held out"
    assert f"Detecting it takes {held}: add problems, or use several answers" in told
    assert "heldout_size" not in told


def test_a_few_problems_without_an_answer_are_left_out_and_told(here: Workshop) -> None:
    lines = Path("sums.jsonl").read_text() + json.dumps({"question": "And now?", "answer": ""}) + "\n"
    Path("gap.jsonl").write_text(lines)
    recipe = written("gap.jsonl")
    assert (recipe.prefixes.select, recipe.problems.answered_only) == ("verified", True)
    sets = load_problems(recipe.problems)
    assert all(problem.answer for problem in sets.train)
    assert sets.dropped["train without an answer"] == 1
    assert told_aside(sets.tallies) == [
        "gap.jsonl: 1 of 82 rows have no usable answer (selfimprove problems gap.jsonl)"
    ]


def test_a_generator_has_no_end_and_gets_a_size(here: Workshop) -> None:
    words = ["--model", "./tiny", "--problems", "reasoning-gym:arithmetic", "--yes", "--no-calibrate"]
    app(["init", *words], standalone_mode=False)
    recipe = read_recipe(Path("arithmetic.toml"))
    assert (recipe.problems.train_size, recipe.problems.heldout_size) == (2000, 436)


def test_a_recipe_for_problems_that_lack_answers_runs(workshop: Workshop) -> None:
    words = ["init", "--model", "./tiny", "--problems", "bare.jsonl", "--yes", "--no-calibrate", *QUICK]
    done = workshop.call(*words)
    assert done.returncode == 0, done.stderr
    assert "problems have no usable answer, so the recipe trains without answers" in done.stdout
    assert "held-out problems no gain is detectable at 80% power" in done.stdout
    recipe = read_recipe(workshop.folder / "bare.toml")
    assert (recipe.prefixes.select, recipe.prefixes.length) == ("modal", 16)
    quick = ["--set", "sampling.max_new_tokens=16", "--set", "sampling.temperature=0", "--checker-workers", "1", *QUICK]
    words = ["run", "--recipe", "bare.toml", "--rounds", "1", "--json", *quick]
    workshop.until(words, lambda event: event["event"] == "looked", signal.SIGKILL)


@pytest.mark.slow
def test_a_round_is_measured_on_this_machine(workshop: Workshop) -> None:
    words = ["--model", "./tiny", "--problems", "sums.jsonl", "--yes", "--output", "measured.toml", *QUICK]
    done = workshop.call("init", *words)
    assert done.returncode == 0, done.stderr
    text = (workshop.folder / "measured.toml").read_text()
    assert "# Measured in " in text
    assert "# Memory: a round takes about" in text


def test_a_file_that_is_there_is_kept_unless_its_user_says_otherwise(
    here: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mine.toml").write_text("# mine\n")
    words = ["init", "--model", "./tiny", "--problems", "sums.jsonl", "--output", "mine.toml", "--no-calibrate"]
    for more in ([], ["--yes"]):
        with pytest.raises(UsageError, match=r"mine\.toml: already exists"):
            app([*words, *more], standalone_mode=False)
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as typed, os.fdopen(os.dup(theirs), "w") as shown:
        monkeypatch.setattr(sys, "stdin", typed)
        monkeypatch.setattr(sys, "stdout", shown)
        os.write(ours, b"n\n")
        assert app(words, standalone_mode=False) == 1
        assert Path("mine.toml").read_text() == "# mine\n"
        os.write(ours, b"y\n")
        app(words, standalone_mode=False)
        shown.flush()
        assert "Replace it?" in os.read(ours, 4096).decode()
    os.close(ours)
    assert read_recipe(Path("mine.toml")).model.name == "./tiny"
