"""The program as installed from its wheel, in a folder without the repository: recipes are named without a path."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.workshop import Workshop, make_workshop

SMALL = ["problems.train_size=16", "problems.heldout_size=8", "problems.sealed_size=8", "sampling.max_new_tokens=8"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel, built from this repository, is unpacked into."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    built = subprocess.run(build, capture_output=True, text=True)
    if built.returncode:
        pytest.skip(f"no wheel can be built here: {built.stderr.strip().splitlines()[-1:]}")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return make_workshop(tmp_path_factory.mktemp("workshop"))


def test_the_wheel_holds_the_recipes_and_nothing_that_only_developers_run(installed: Path) -> None:
    names = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    assert {f"selfimprove/recipes/{name}.toml" for name in ("demo", "rft", "sft", "upft")} <= names
    assert not [name for name in names if name.startswith(("benchmarks", "tests", "selfimprove/bench"))]


@pytest.mark.slow
def test_its_commands_find_the_recipes_by_name(installed: Path, workshop: Workshop) -> None:
    def call(*words: str, complete: str = "") -> subprocess.CompletedProcess[str]:
        environment = {**workshop.environment(), "PYTHONPATH": str(installed)}
        if complete:
            environment |= {"_SELFIMPROVE_COMPLETE": "complete_bash", "COMP_WORDS": complete, "COMP_CWORD": "3"}
        command = [sys.executable, "-P", "-m", "selfimprove", *words]
        return subprocess.run(command, cwd=workshop.folder, env=environment, capture_output=True, text=True)

    settings = [word for setting in SMALL for word in ("--set", setting)]
    tiny = ["--model", "tiny", "--problems", "sums.jsonl", *settings, "--set", "training.learning_rate=1e-2"]
    run = call("run", "--recipe", "upft", "--rounds", "1", *tiny, "--threads", "1", "--checker-workers", "1", "--plain")
    assert run.returncode == 0, run.stderr
    assert call("report", "upft").returncode == 0
    assert "Round 1 at 80% power" in call("plan", "--recipe", "demo").stdout
    assert "nonsense" in call("compare", "rft", "--vary", "prefixes.nonsense=1").stderr  # the recipe was found
    for refused in (call("run", "--recipe", "absent"), call("compare", "absent")):
        assert refused.returncode == 2
        assert "demo, rft, sft, upft, upft-rollout, upft-verified" in refused.stderr
    if os.name == "posix":
        assert "rft" in call(complete="selfimprove run --recipe ").stdout.split()
