"""Which tasks of the installed reasoning-gym can be used, as a table.

    python -m benchmarks.generators [TASK …] [--items 3] [--hash-items 20]

For each task: who judges its answers (the answer checker where they are numbers, else the task itself); whether its
default parameters draw problems; whether each problem's own reference is right; whether one of three perturbed copies
of it (last digit, first digit, half) is not. The last column says whether items drawn under two hash seeds differ, over
`--hash-items` items or as many as come in two seconds; such a task has to stand in `selfimprove.problem.gym.HASHED`,
whose items are drawn under a fixed one.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from selfimprove.answer import Outcome, perturbed
from selfimprove.answer.checking import Checker
from selfimprove.errors import UsageError
from selfimprove.problem.generated import draw
from selfimprove.problem.gym import HASHED, PLAIN, UNSTATED, made_dataset
from selfimprove.problem.judging import open_checker
from selfimprove.problem.values import Problem
from selfimprove.recipe import Answers
from selfimprove.round.verdicts import check_completions

SECONDS = 2.0
SETTINGS = Answers()


@dataclass(frozen=True, kw_only=True)
class Row:
    """A task: whether it draws problems, how many of them hold a reference, accept it, and reject a perturbed copy."""

    task: str
    fault: str = ""
    drawn: int = 0
    stated: int = 0
    accepted: int = 0
    rejected: int = 0

    @property
    def passed(self) -> bool:
        """Whether every problem accepts its own reference and rejects the perturbed one."""
        return 0 < self.drawn == self.stated == self.accepted == self.rejected

    def told(self, hashed: str) -> str:
        """The row of the table."""
        judge = "the answer checker" if self.task in PLAIN else "the task"
        counts = f"{self.accepted} of {self.drawn} | {self.rejected} of {self.drawn}" if self.drawn else "– | –"
        return f"| `{self.task}` | {judge} | {self.fault or 'yes'} | {counts} | {hashed} |"


def tasks() -> list[str]:
    """The names of all installed tasks."""
    from reasoning_gym.factory import DATASETS

    return sorted(DATASETS)


def examined(task: str, checker: Checker, items: int) -> Row:
    """What the task's problems do with their references."""
    try:
        problems = draw(task, {}, 0, items)[0]
    except UsageError as error:
        return Row(task=task, fault=error.message.rpartition(": ")[2])
    stated = [problem for problem in problems if problem.answer not in (None, UNSTATED)]
    right = _right(checker, [(problem, problem.answer or "") for problem in stated])
    still = [_right(checker, [(problem, change(problem.answer or "")) for problem in stated]) for change in CHANGES]
    return Row(
        task=task,
        drawn=len(problems),
        stated=len(stated),
        accepted=sum(right),
        rejected=sum(not all(copies) for copies in zip(*still, strict=True)),
    )


def _right(checker: Checker, answers: Sequence[tuple[Problem, str]]) -> list[bool]:
    """Of each answer whether it is right; the problem's own judge reads it as it reads completions."""
    texts = [(f"<answer>{text}</answer>", problem) for problem, text in answers]
    return [verdict.outcome is Outcome.CORRECT for verdict in check_completions(checker, texts, SETTINGS)]


def _half(answer: str) -> str:
    return answer[: len(answer) // 2]


def _first_digit_changed(answer: str) -> str:
    return re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), answer, count=1)


CHANGES = (perturbed, _half, _first_digit_changed)
"""Each makes a copy of a reference; some answers, as a colouring, are right in more than one spelling."""


def digests(names: Sequence[str], items: int) -> dict[str, list[str]]:
    """For each task the hashes of its first items, drawn in this process; those that don't load are left out."""
    found: dict[str, list[str]] = {}
    for name in names:
        start, seen = time.monotonic(), found.setdefault(name, [])
        try:
            dataset = made_dataset(name, {}, 0)
        except AssertionError:
            continue
        while len(seen) < items and (not seen or time.monotonic() - start < SECONDS):
            with contextlib.redirect_stdout(sys.stderr):
                item = dataset[len(seen)]
            seen.append(hashlib.sha256(repr((item["question"], item["answer"])).encode()).hexdigest())
    return found


def dependent(names: Sequence[str], items: int) -> set[str]:
    """The tasks whose items differ between two hash seeds."""
    one, two = (_digests_under(seed, names, items) for seed in ("1", "2"))
    return {name for name in names if any(a != b for a, b in zip(one[name], two[name], strict=False))}


def _digests_under(hash_seed: str, names: Sequence[str], items: int) -> dict[str, list[str]]:
    command = [sys.executable, "-m", "benchmarks.generators", *names, "--digests", "--hash-items", str(items)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print the table, and how many tasks pass."""
    parser = argparse.ArgumentParser(description="Which tasks of reasoning-gym can be used.")
    parser.add_argument("tasks", nargs="*", help="names; by default all that are installed")
    parser.add_argument("--items", type=int, default=3, help="problems of each")
    parser.add_argument("--hash-items", type=int, default=20, help="items that are drawn under two hash seeds; 0: none")
    parser.add_argument("--digests", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    names = wanted.tasks or tasks()
    if wanted.digests:
        print(json.dumps(digests(names, wanted.hash_items)))
        return
    print("| task | judged by | draws | own reference right | perturbed wrong | hash seed |")
    print("| --- | --- | --- | --- | --- | --- |")
    hashed = dependent(names, wanted.hash_items) if wanted.hash_items else set()
    passed = 0
    with open_checker(SETTINGS) as checker:
        for name in names:
            row = examined(name, checker, wanted.items)
            passed += row.passed
            print(row.told("fixed" if name in HASHED else "DEPENDS" if name in hashed else ""), flush=True)
    print(f"\n{passed} of {len(names)} tasks pass ({passed / len(names):.1%})")


if __name__ == "__main__":
    main()
