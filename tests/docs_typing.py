"""Documented commands, as `tests/cases/docs_commands.toml` lists them, typed into a shell where the pages type them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from tests.docs_commands import ROOT
from tests.docs_house import environment
from tests.export.hub_peer import open_hub

LISTED = tomllib.loads((ROOT / "tests" / "cases" / "docs_commands.toml").read_text(encoding="utf-8"))
SECONDS = 900


@dataclass(frozen=True)
class Case:
    """One command and how it is held; the keys are told in the head of the file."""

    text: str
    typed: str = ""
    exit: int = 0
    shows: str = ""
    before: str = ""
    then: str = ""
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    without: str = ""
    where: str = "house"
    embedded: str = "peer"
    serves: str = ""
    env: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def line(self) -> str:
        """What is typed."""
        return "\n".join(filter(None, [self.before, self.typed or self.text, self.then]))


def cases(kind: str) -> dict[str, Case]:
    """The cases of a kind by their text, in order."""
    rows = [
        {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()} for row in LISTED[kind]
    ]
    return {row["text"]: Case(**row) for row in rows}


@dataclass(frozen=True)
class Typist:
    """Types each case once, after those it comes after, in a folder made by the maker of its `where`."""

    cases: dict[str, Case]
    makers: dict[str, Callable[[], Path]]
    variables: dict[str, str] = field(default_factory=dict)
    made: dict[str, Path] = field(default_factory=dict)
    done: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)

    def place(self, where: str) -> Path:
        """The folder of that kind, made when it is first needed."""
        if where not in self.made:
            self.made[where] = self.makers[where]()
        return self.made[where]

    def type(self, case: Case) -> subprocess.CompletedProcess[str]:
        """What the case did; what went before it went well."""
        skip_what_is_missing(case)
        for text in case.after:
            hold(self.cases[text], self.type(self.cases[text]))
        if case.text not in self.done:
            self.done[case.text] = self._typed(case)
        return self.done[case.text]

    def _typed(self, case: Case) -> subprocess.CompletedProcess[str]:
        folder = self.place(case.where)
        variables = environment(self.place("house"), case.embedded) | self.variables | case.env
        if case.serves:
            return _served(case, folder, variables)
        with _hub_for(case, variables):
            return typed(case.line, folder, variables)


def typed(line: str, folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What a shell did with the line; it is ended with all below it when it takes too long."""
    with _shell(line, folder, variables, subprocess.PIPE) as process:
        try:
            out, err = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def _shell(line: str, folder: Path, variables: dict[str, str], stderr: int) -> subprocess.Popen[str]:
    """A shell at work on the line, in a session of its own."""
    return subprocess.Popen(
        ["bash", "-ec", line],
        cwd=folder,
        env=variables,
        text=True,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
    )


def hold(case: Case, done: subprocess.CompletedProcess[str]) -> None:
    """The command left with its exit code and showed what the page says."""
    told = done.stdout + done.stderr
    assert done.returncode == case.exit, f"{case.line}\n{told[-6000:]}"
    assert case.shows in told, f"{case.line}\n{told[-6000:]}"


def skip_what_is_missing(case: Case) -> None:
    """Skip, with the reason, a case that needs what isn't here, or refuses what is."""
    for name in case.needs:
        if find_spec(name) is None:
            pytest.skip(f"{name} isn't installed")
    if (
        "PIP_DRY_RUN" in case.env
        and subprocess.run(["pip", "index", "versions", "ray"], capture_output=True).returncode
    ):
        pytest.skip("no package index can be reached")
    if case.without == "cuda":
        import torch

        if torch.cuda.is_available():
            pytest.skip("held where there is no GPU: here it is no refusal")


@contextmanager
def _hub_for(case: Case, variables: dict[str, str]) -> Iterator[None]:
    """A model hub on this machine, where a command uploads to one."""
    if "--hub" not in case.text:
        yield
        return
    with open_hub() as hub:
        online = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_x", "HF_HUB_DISABLE_XET": "1"}
        variables |= online
        yield


def _served(case: Case, folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What a command that serves until it is stopped told up to the words in `serves`; it is interrupted then."""
    told = ""
    with _shell(f"exec {case.line}", folder, variables, subprocess.STDOUT) as process:
        assert process.stdout is not None
        deadline = time.monotonic() + SECONDS
        for line in process.stdout:
            told += line
            if case.serves in told or time.monotonic() > deadline:
                break
        os.killpg(process.pid, signal.SIGTERM)
    assert case.serves in told, told
    return subprocess.CompletedProcess(process.args, case.exit, told, "")


def end_marked(mark: str) -> None:
    """End the processes of this user whose environment holds `mark`, as a Ray node leaves them behind."""
    marked = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and mark in process.environ().values():
                marked.append(process)
    for process in marked:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(marked, timeout=20)
