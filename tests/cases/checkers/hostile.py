"""A checker that does what its completion names, for tests: one kind of misbehaviour each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

from selfimprove.answer import Outcome, Verdict
from selfimprove.problem import Problem

CALLS: list[str] = []


def check(completion: str, problem: Problem) -> object:
    CALLS.append(completion)
    return DEEDS[completion](problem)


def _allocate() -> bool:
    kept = [bytearray(1 << 30) for _ in range(100)]
    return len(kept) == 100


def _raise() -> NoReturn:
    raise ValueError("two\nlines \x1b[31m of red")


def _print() -> bool:
    print("to the terminal")  # noqa: T201 - what is printed must not be seen
    sys.stderr.write("to the terminal\n")
    os.write(1, b"to the terminal\n")
    os.system("echo to the terminal")
    return True


def _fork(problem: Problem) -> bool:
    """A child in the group, and a grandchild that left it and lost its parent; both say where they are."""
    told = Path(problem.question)
    if (pid := os.fork()) == 0:
        os.setsid()
        if (grandchild := os.fork()) == 0:
            time.sleep(600)
        (told / "left").write_text(str(grandchild))
        os._exit(0)
    os.waitpid(pid, 0)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (told / "child").write_text(str(child.pid))
    return True


def _bomb() -> NoReturn:
    while True:
        os.fork()


def _write() -> bool:
    Path("left.txt").write_text("here")
    Path("folder").mkdir()
    return sorted(path.name for path in Path.cwd().iterdir()) == ["folder", "left.txt"]


DEEDS = {
    "yes": lambda problem: True,
    "no": lambda problem: False,
    "problem": lambda problem: (problem.question, problem.answer) == ("What?", "42"),
    "half": lambda problem: 0.5,
    "one": lambda problem: 1,
    "verdict": lambda problem: Verdict(Outcome.UNPARSED, "it", "mine", "no table\nin it"),
    "scored": lambda problem: Verdict(Outcome.WRONG, "it", "mine", "3 of 4", 0.75),
    "loop": lambda problem: [None for _ in iter(int, 1)],
    "sleep": lambda problem: time.sleep(600),
    "allocate": lambda problem: _allocate(),
    "raise": lambda problem: _raise(),
    "exit": lambda problem: sys.exit(3),
    "end": lambda problem: os._exit(7),
    "kill": lambda problem: os.kill(os.getpid(), signal.SIGKILL),
    "print": lambda problem: _print(),
    "fork": _fork,
    "bomb": lambda problem: _bomb(),
    "write": lambda problem: _write(),
    "remove": lambda problem: Path.cwd().rmdir() is None,
    "nan": lambda problem: float("nan"),
    "two": lambda problem: 2.0,
    "none": lambda problem: None,
    "text": lambda problem: "correct",
    "calls": lambda problem: len(CALLS) == 1,
}
