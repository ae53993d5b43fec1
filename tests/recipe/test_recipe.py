from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from selfimprove.errors import UsageError
from selfimprove.recipe import Recipe, Runtime, fingerprint_of
from selfimprove.recipe.keys import changed_keys, key_table
from selfimprove.recipe.reading import parse_recipe, parse_stored, read_recipe, read_settings, recipe_names
from tests.paths import CASES, ROOT


def test_identity_and_runtime_share_no_key() -> None:
    identity = {
        key for _, section in Recipe() if hasattr(section, "model_fields_set") for key in type(section).model_fields
    }
    assert not identity & set(Runtime.model_fields)


def test_equal_recipes_have_equal_fingerprints_in_other_processes() -> None:
    script = "from selfimprove.recipe import Recipe; print(Recipe().fingerprint())"
    seen = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert seen == {Recipe().fingerprint()}


def test_a_stored_recipe_with_keys_that_are_options_now_is_read_and_keeps_its_fingerprint() -> None:
    record = json.loads((CASES / "format_1" / "recipe.json").read_text())
    assert "micro_tokens" in record["recipe"]["training"]
    read = parse_stored(record["recipe"], "here")
    assert fingerprint_of(record["recipe"]) == record["fingerprint"]
    assert changed_keys(read, parse_stored(read.model_dump(mode="json"), "here")) == []
    with pytest.raises(UsageError, match=r"option: --micro-tokens\."):
        parse_recipe({"training": {"micro_tokens": 2048}}, "here")


def test_changed_keys_are_named() -> None:
    other = parse_recipe({"training": {"rank": 8}, "seed": 3}, "here")
    assert changed_keys(Recipe(), other) == ["seed", "training.rank"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[training]\nlearning_rat = 1\n", "training.learning_rat"),
        ("[training]\nrank = 0\n", "training.rank"),
        ("[training]\nrank = 'many'\n", "training.rank"),
        ("[prefixes]\nlength = 0\n", "prefixes.length"),
        ("[prefixes]\nlength = 64\n[sampling]\nmax_new_tokens = 8\n", "prefixes.length is 64"),
        ("[prefixes]\ntemplate = 'no place'\n", "prefixes.template"),
        ("[sampling]\ntemperature = nan\n", "sampling.temperature"),
        ("[gate]\nalpha = 1.5\n", "gate.alpha"),
        ("training = 3\n", "training"),
        ("not toml", "not readable as TOML"),
    ],
)
def test_a_bad_recipe_is_refused_by_file_and_key(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="bad.toml") as caught:
        read_recipe(path)
    assert named in caught.value.message


def test_a_recipe_that_is_not_utf8_or_missing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="bad.toml"):
        read_recipe(path)
    with pytest.raises(UsageError, match="no such recipe"):
        read_recipe(tmp_path / "absent.toml")


SHIPPED = {
    "demo": ("verified", 16),
    "rft": ("verified", "full"),
    "sft": ("all", "full"),
    "upft": ("all", 8),
    "upft-rollout": ("rollout", 16),
    "upft-verified": ("verified", 32),
}
"""What each recipe that comes with the program keeps, and how much of it is trained."""


def test_every_shipped_recipe_is_what_its_name_says() -> None:
    prefixes = {name: read_recipe(Path(name)).prefixes for name in recipe_names()}
    assert {name: (section.select, section.length) for name, section in prefixes.items()} == SHIPPED


def test_settings_replace_the_values_of_a_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("seed = 1\n[training]\nrank = 4\nalpha = 8.0\n")
    recipe = read_recipe(path, read_settings(["seed=2", "training.rank=3", "training.rank=2", "model.name=./here"]))
    assert (recipe.seed, recipe.training.rank, recipe.training.alpha, recipe.model.name) == (2, 2, 8.0, "./here")


def test_the_recipe_page_holds_the_key_table_made_from_the_code() -> None:
    page = (ROOT / "docs" / "recipe.md").read_text()
    assert key_table() in page, "paste the output of selfimprove.recipe.keys.key_table()"


def test_a_checker_of_ones_own_is_left_out_of_recipes_that_name_none() -> None:
    assert "checker" not in Recipe().model_dump()["answers"]
    named = parse_recipe({"answers": {"checker": "tasks/sql.py:same_result"}}, "here")
    assert named.model_dump()["answers"]["checker"] == "tasks/sql.py:same_result"
    assert named.fingerprint() != Recipe().fingerprint()


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({"answers": {"checker": "tasks.sql"}}, "must name a function"),
        ({"answers": {"checker": ":check"}}, "must name a function"),
        ({"answers": {"checker": "a.py:1"}}, "must name a function"),
        (
            {
                "answers": {"checker": "a.py:check"},
                "prefixes": {"select": "consistent", "length": "full"},
                "sampling": {"samples": 4},
            },
            "can't tell whether two answers are the same",
        ),
    ],
)
def test_a_checker_that_cant_serve_is_refused(data: dict[str, object], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        parse_recipe(data, "here")
