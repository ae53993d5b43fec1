"""Bad inputs through the real command line: two lines that name the fault and say what to type, and nothing written.

`cli.main` is called in this process, so that a case doesn't pay for its own import of torch; a few cases are run as a
process of their own as well, to show that it is the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from selfimprove.cli import app as cli
from selfimprove.models.tiny import make_tiny_model
from selfimprove.recipe.reading import read_recipe
from selfimprove.store.journal import Identity, Journal
from tests.paths import ROOT

CASES: list[dict[str, Any]] = tomllib.loads((ROOT / "tests/cases/bad_inputs.toml").read_text("utf-8"))["case"]
NAMES = [f"{case['area']}: {case['name']}" for case in CASES]
OWN_PROCESSES = 2
"""Cases that the default run tries in a process of their own, seconds each."""
GOOD = "--recipe good.toml --run mine --checker-workers 1"
SUMS = "".join(json.dumps({"question": f"What is {a} + 5?", "answer": str(a + 5)}) + "\n" for a in range(40))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model folder."""
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny", dtype="bfloat16")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a case starts in, with problems and a recipe that are good."""
    (tmp_path / "sums.jsonl").write_text(SUMS)
    recipe = (ROOT / "tests/cases/bad_inputs_start.toml").read_text().replace("TINY", str(tiny))
    (tmp_path / "good.toml").write_text(recipe)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepare(folder: Path, tiny: Path, case: dict[str, Any]) -> None:
    """What the case needs beside the good files, then its fault."""
    if case.get("start") == "model":
        shutil.copytree(tiny, folder / "tiny")
    if case.get("start") == "run":
        shutil.copytree(ROOT / "rounds/example", folder / "rounds/demo")
    if case.get("start") == "bound":
        Journal(folder / "rounds/mine").bind(read_recipe(folder / "good.toml"), Identity("model", "problems"))
    for name, new in case.get("moved", {}).items():
        (folder / name).rename(folder / new)
    for name in case.get("remove", []):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in case.get("folders", []):
        (folder / name).mkdir(parents=True)
    for name, text in case.get("files", {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    for name, data in case.get("bytes", {}).items():
        (folder / name).write_bytes(bytes.fromhex(data))
    for name, (text, times) in case.get("repeated", {}).items():
        (folder / name).write_text(text * times)
    for name, size in case.get("cut", {}).items():
        os.truncate(folder / name, size)
    for name, tensor in case.get("without", {}).items():
        from safetensors.torch import load_file, save_file  # imports torch

        tensors = load_file(folder / name)
        del tensors[tensor]
        save_file(tensors, folder / name, {"format": "pt"})
    for name, changes in case.get("changed", {}).items():
        data = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**data, **changes}))
    for name, rights in case.get("rights", {}).items():
        (folder / name).chmod(int(rights, 8))
        if os.access(folder / name, os.W_OK):
            pytest.skip("this user may read and write everything")


def words_of(case: dict[str, Any]) -> list[str]:
    return shlex.split(case["command"].replace("GOOD", GOOD))


def tree(folder: Path) -> dict[str, Any]:
    """Every path below with its contents and times."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.is_file() and os.access(path, os.R_OK) and hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob("*"))
    }


def assert_refused(case: dict[str, Any], code: object, said: str) -> None:
    lines = said.splitlines()
    assert code == 2, said
    assert 1 <= len(lines) <= 2, said
    assert lines[0].startswith("selfimprove: "), said
    assert all(line.isprintable() and len(line) <= 1100 for line in lines), said
    assert "Traceback" not in said
    for named in case["fault"]:
        assert named in lines[0], said
    assert case["hint"] in lines[-1], said


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_bad_input_is_refused_in_two_lines_and_nothing_is_written(
    case: dict[str, Any],
    folder: Path,
    tiny: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepare(folder, tiny, case)
    monkeypatch.setenv("SELFIMPROVE_CACHE", str(cache))
    monkeypatch.setattr(sys, "argv", ["selfimprove", *words_of(case)])
    before, models, handler = tree(folder), sorted(cache.glob("models/*")), signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as left:
            cli.main()
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert_refused(case, left.value.code, capsys.readouterr().err)
    assert tree(folder) == before
    assert case.get("reaches the model") or sorted(cache.glob("models/*")) == models


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[pytest.mark.slow] if place >= OWN_PROCESSES else [], id=case["name"])
        for place, case in enumerate(case for case in CASES if case.get("process"))
    ],
)
def test_a_process_of_its_own_is_refused_alike(case: dict[str, Any], folder: Path, tiny: Path) -> None:
    prepare(folder, tiny, case)
    before = tree(folder)
    command = [sys.executable, "-m", "selfimprove", *words_of(case)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60
    )
    assert_refused(case, done.returncode, done.stderr)
    assert done.stdout == ""
    assert tree(folder) == before
