"""What README.md and docs/runs.md say of files and make targets is there, and the README stays short."""

from __future__ import annotations

import re

from tests.paths import ROOT

README = (ROOT / "README.md").read_text()
RUNS = (ROOT / "docs" / "runs.md").read_text()


def test_the_file_tree_names_what_is_there_and_all_of_the_package() -> None:
    tree = RUNS[RUNS.index("## Files of the repository") :].split("```")[1]
    named = {word.rstrip("/") for line in tree.splitlines() for word in re.findall(r"[\w.]+/|\w+\.py", line[:48])}
    package = {path.name for path in (ROOT / "selfimprove").iterdir() if not path.name.startswith("__")} - {"py.typed"}
    assert package <= named
    assert all((ROOT / "selfimprove" / name).exists() or (ROOT / name).exists() for name in named)


def test_make_targets_named_are_there() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([\w-]+)", README + RUNS, re.MULTILINE)) <= targets


def test_the_readme_is_at_most_110_lines() -> None:
    assert len(README.splitlines()) <= 110


def test_the_readme_holds_no_place_to_fill_in() -> None:
    assert "@@" not in README
