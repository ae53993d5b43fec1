"""A run without --recipe: which method its problems choose, and that its first lines say so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfimprove.errors import UsageError
from selfimprove.plan.unnamed import recipe_for
from selfimprove.recipe import Recipe
from selfimprove.recipe.reading import packaged_recipe, read_recipe
from tests.workshop import Workshop, make_workshop

PAPER = "The paper's method is --recipe upft."


def written(folder: Path, name: str, count: int, lacking: int) -> dict[str, Any]:
    """The keys of a file of that many problems, of which so many lack an answer."""
    rows = [{"question": f"What is {n} + 1?"} | ({} if n < lacking else {"answer": str(n + 1)}) for n in range(count)]
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"problems": {"train": str(path)}}


def test_problems_with_answers_are_trained_on_by_right_solutions(tmp_path: Path) -> None:
    typed = written(tmp_path, "sums.jsonl", 60, 0)
    recipe, why = recipe_for(None, typed)
    rft = packaged_recipe("rft", {**typed, "problems": {**typed["problems"], "train_size": 256}})
    assert recipe == rft
    said = f"No --recipe: all problems of {tmp_path}/sums.jsonl have an answer, so the run trains on right solutions, "
    assert why == f"{said}as the recipe rft does. {PAPER}"


def test_problems_without_answers_are_trained_on_by_their_most_common_prefix(tmp_path: Path) -> None:
    recipe, why = recipe_for(None, written(tmp_path, "bare.jsonl", 60, 30))
    assert (recipe.prefixes.select, recipe.prefixes.length, recipe.sampling.samples) == ("modal", 16, 4)
    assert not recipe.problems.answered_only
    assert "30 of the 60 problems of" in why
    assert f"so the run trains on the most common prefix of each problem. {PAPER}" in why


def test_a_few_problems_without_an_answer_are_left_out(tmp_path: Path) -> None:
    recipe, why = recipe_for(None, written(tmp_path, "most.jsonl", 60, 3))
    assert (recipe.prefixes.select, recipe.problems.answered_only) == ("verified", True)
    assert "57 of the 60 problems of" in why
    assert "right solutions of these problems, as the recipe rft does" in why


def test_keys_that_are_set_stay_and_a_selection_that_is_set_leaves_nothing_to_choose(tmp_path: Path) -> None:
    typed = written(tmp_path, "sums.jsonl", 60, 0)
    own = {"prefixes": {"length": 32}, "sampling": {"samples": 8}, "training": {"epochs": 1, "negatives": 0.5}}
    recipe, _ = recipe_for(None, {**typed, **own})
    assert (recipe.prefixes.select, recipe.prefixes.length, recipe.sampling.samples) == ("verified", 32, 8)
    assert (recipe.training.epochs, recipe.training.negatives) == (1, 0.5)
    selected = {**typed, "prefixes": {"select": "all"}}
    assert recipe_for(None, selected) == (read_recipe(None, selected), "")
    assert recipe_for(Path("upft"), typed) == (packaged_recipe("upft", typed), "")


@pytest.mark.parametrize("own", [{"sampling": {"samples": 1}}, {"prefixes": {"length": "full"}}])
def test_keys_that_do_not_fit_the_method_leave_the_default_values_and_are_told(
    own: dict[str, object], tmp_path: Path
) -> None:
    typed = {**written(tmp_path, "bare.jsonl", 60, 60), **own}
    recipe, why = recipe_for(None, typed)
    assert recipe == read_recipe(None, typed)
    assert why.startswith("No --recipe, and the keys that are set fit no selection: the run trains on every sample")


def test_an_unknown_key_is_refused_before_the_problems_are_read(tmp_path: Path) -> None:
    absent = {"problems": {"train": str(tmp_path / "absent.jsonl")}}
    with pytest.raises(UsageError, match=r"unknown key `training\.rnk`"):
        recipe_for(None, {**absent, "training": {"rnk": 3}})


def test_training_on_answered_problems_alone_selects_by_answers(tmp_path: Path) -> None:
    typed = written(tmp_path, "bare.jsonl", 60, 30)
    typed["problems"]["answered_only"] = True
    recipe, why = recipe_for(None, typed)
    assert (recipe.prefixes.select, recipe.problems.answered_only) == ("verified", True)
    assert "30 of the 60 problems" in why
    assert "right solutions of these problems" in why


def test_generated_problems_and_unread_ones_are_taken_to_have_answers(tmp_path: Path) -> None:
    generated, why = recipe_for(None, {})
    assert generated.prefixes.select == "verified"
    assert "all problems of reasoning-gym:sums have an answer" in why
    hub = {"problems": {"train": "openai/gsm8k"}}
    assert "all problems of openai/gsm8k are taken to have an answer" in recipe_for(None, hub, unread="hub")[1]
    beside = written(tmp_path, "sums.jsonl", 60, 0)
    beside["problems"]["heldout"] = "openai/gsm8k"
    assert "sums.jsonl have an answer" in recipe_for(None, beside, unread="hub")[1]
    absent = {"problems": {"train": str(tmp_path / "absent.jsonl")}, "training": {"negatives": 0.5}}
    assert recipe_for(None, absent, unread="all")[0].prefixes.select == "verified"


def test_a_missing_file_is_refused_as_it_is_with_a_recipe(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        recipe_for(None, {"problems": {"train": str(tmp_path / "absent.jsonl")}})


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return make_workshop(tmp_path_factory.mktemp("unnamed"))


QUICK = ["--threads", "1", "--checker-workers", "1", "--device", "cpu", "--engine", "transformers"]
SIZES = ["train_size=24", "heldout_size=24", "sealed_size=16"]
SETTINGS = [*(f"problems.{size}" for size in SIZES), "sampling.max_new_tokens=4", "gate.batch=24"]


def test_the_first_line_of_a_run_says_what_chose_the_recipe_and_resuming_keeps_it(workshop: Workshop) -> None:
    words = ["run", "--model", "./tiny", "--problems", "sums.jsonl", "--run", "mine", "--json", *QUICK]
    done = workshop.call(*words, *(word for setting in SETTINGS for word in ("--set", setting)))
    first = json.loads(done.stdout.splitlines()[0])
    assert first["event"] == "note"
    assert first["text"].startswith("No --recipe: all problems of sums.jsonl have an answer")
    assert done.returncode == 1, done.stderr  # the tiny model solves none of them
    kept = json.loads((workshop.runs / "mine" / "recipe.json").read_text())
    assert Recipe.model_validate(kept["recipe"]).prefixes.select == "verified"
    again = workshop.call("run", "--run", "mine", "--json", *QUICK)
    assert "No --recipe" not in again.stdout
    assert again.returncode == 1, again.stderr


def test_plan_and_doctor_tell_the_same(workshop: Workshop) -> None:
    words = ["--problems", "sums.jsonl", *(word for setting in SETTINGS for word in ("--set", setting))]
    plan = workshop.call("plan", *words)
    assert plan.stdout.startswith("No --recipe: all problems of sums.jsonl have an answer")
    doctor = workshop.call("doctor", "--model", "./tiny", *words, "--json")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    findings = {found["check"]: found for found in map(json.loads, doctor.stdout.splitlines())}
    assert findings["recipe"]["level"] == "ok"
    assert findings["recipe"]["found"] == plan.stdout.splitlines()[0]
