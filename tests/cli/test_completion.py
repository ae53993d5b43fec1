"""Completion as a shell asks for it: the program called with the line so far, and the script that bash is given."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from selfimprove.recipe.reading import recipe_names
from tests.paths import ROOT


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs, another with one, and recipes."""
    folder = tmp_path_factory.mktemp("place")
    for run in ("rounds/demo", "rounds/mine", "elsewhere/far"):
        (folder / run).mkdir(parents=True)
        (folder / run / "recipe.json").write_text("{}")
    (folder / "rounds" / "not-a-run").mkdir()
    for file in ("recipes/demo.toml", "recipes/rft.toml", "own.toml", "pyproject.toml"):
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text("")
    return folder


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("selfimprove ver", ["verify"]),
        ("selfimprove verify ", ["demo", "mine"]),
        ("selfimprove report --rounds-dir elsewhere ", ["far"]),
        ("selfimprove run --run d", ["demo"]),
        (
            "selfimprove run --recipe ",
            sorted([*recipe_names(), "own.toml", "recipes/demo.toml", "recipes/rft.toml"]),
        ),
        ("selfimprove compare own.toml recipes/r", ["recipes/rft.toml"]),
        ("selfimprove run --set training.b", ["training.batch_rows=", "training.beta1=", "training.beta2="]),
        ("selfimprove run --set se", ["seed="]),
        ("selfimprove run --track t", ["tensorboard", "trackio"]),
        ("selfimprove verify absent", []),
    ],
)
def test_the_program_offers_what_fits(place: Path, line: str, offered: list[str]) -> None:
    words = line.split()
    current = len(words) if line.endswith(" ") else len(words) - 1
    asked = {"_SELFIMPROVE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(current)}
    command = [sys.executable, "-m", "selfimprove"]
    done = subprocess.run(command, cwd=place, env=_environment() | asked, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == offered, done.stderr


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")
def test_bash_completes_with_the_script_that_is_installed(place: Path) -> None:
    program = place / "bin" / "selfimprove"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m selfimprove "$@"\n')
    program.chmod(0o755)
    lines = [
        'PATH="$PWD/bin:$PATH"',
        'eval "$(selfimprove --show-completion)"',
        "COMP_WORDS=(selfimprove verify mi) COMP_CWORD=2",
        "_selfimprove_completion selfimprove",
        'echo "${COMPREPLY[@]}"',
    ]
    command = ["bash", "-c", "\n".join(lines)]
    done = subprocess.run(command, cwd=place, env=_environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["mine"], done.stderr
