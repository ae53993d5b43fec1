"""Tables `[[guards]]` of a recipe: defaults, what is refused, and that a recipe without any is unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selfimprove.errors import UsageError
from selfimprove.recipe import Recipe, Sampling
from selfimprove.recipe.guards import name_of
from selfimprove.recipe.keys import changed_keys
from selfimprove.recipe.reading import parse_recipe, parse_stored, read_recipe, read_settings

FINGERPRINT = "e2cccccf5341c26af7b26c9274247931b478854f006a54d0c3a7d0810f41ed2f"
"""Of the recipe of all defaults, as they were before there were guards."""


def test_a_recipe_without_guards_is_the_one_it_was() -> None:
    assert Recipe(sampling=Sampling(chunk_rows=64)).fingerprint() == FINGERPRINT
    for mode in ("json", "python"):
        plain = Recipe().model_dump(mode=mode)
        assert "guards" not in plain
        assert "guard_alpha" not in plain["gate"]


def test_guards_are_read_from_toml_and_from_settings_and_stored_whole(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[[guards]]\nproblems = "data/mmlu_pro.jsonl.gz"\n[[guards]]\nproblems = "reasoning-gym:sums"\nsize = 50\n'
    )
    recipe = read_recipe(path)
    assert [(guard.name, guard.size, guard.max_drop, guard.rule) for guard in recipe.guards] == [
        ("mmlu_pro", 200, 0.02, "no proof of harm"),
        ("sums", 50, 0.02, "no proof of harm"),
    ]
    assert changed_keys(Recipe(), recipe) == ["guards"]
    assert parse_stored(recipe.model_dump(mode="json"), "here") == recipe
    typed = read_recipe(None, read_settings(['guards=[{problems="a.jsonl"}]', "gate.guard_alpha=0.01"]))
    assert (typed.guards[0].name, typed.gate.guard_alpha) == ("a", 0.01)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("openai/gsm8k:main:test", "gsm8k"),
        ("reasoning-gym:chain_sum", "chain_sum"),
        ("../data/english.csv", "english"),
        ("folder of shards/", "folder-of-shards"),
        ("données", "donn-es"),
        ("???", "guard"),
    ],
)
def test_a_guard_is_named_after_its_source(source: str, name: str) -> None:
    assert name_of(source) == name


A = {"problems": "a.jsonl"}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"guards": [A, {**A, "size": 9}]}, "two guards are called `a`"),
    ({"guards": [A], "gate": {"rule": "none"}}, "gate.rule is `none`"),
    ({"guards": [{"size": 9}]}, "guards.0.problems"),
    ({"guards": [{**A, "name": "a/b"}]}, "guards.0.name"),
    ({"guards": [{**A, "max_dorp": 0.1}]}, "unknown key `guards.0.max_dorp`"),
    ({"guards": [{**A, "rule": "none"}]}, "guards.0.rule"),
    ({"guards": [{**A, "prompt": "no place"}]}, "guards.0.prompt"),
    ({"guards": [{**A, "checker": "no function"}]}, "guards.0.checker"),
    ({"guards": [{**A, "rule": "proof of no harm", "max_drop": 0}]}, "needs a max_drop above 0"),
    ({"guards": A}, "`guards`"),
]


@pytest.mark.parametrize(("data", "told"), REFUSED)
def test_a_bad_guard_is_refused_by_its_key(data: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_recipe(data, "here")
    assert told in caught.value.message
    assert "Did you mean guards.max_drop?" in caught.value.hint or "max_dorp" not in told


def test_a_guard_changes_prompt_and_checker_of_its_own_problems_alone() -> None:
    recipe = parse_recipe({"guards": [{**A, "prompt": "In short: {question}"}], "answers": {"checker": "a:b"}}, "here")
    own = recipe.guarding(recipe.guards[0])
    assert (own.sampling.prompt, own.answers.checker) == ("In short: {question}", "a:b")
    assert recipe.sampling.prompt == "{question}"
