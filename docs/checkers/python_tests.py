"""Python functions judged by tests. The problem's answer is `{"function": NAME, "cases": [[ARGUMENTS, RESULT], …]}`.

The code of a completion is run by this file in a process of its own, which may compute and write to its output and
nothing else (`confine`, for Linux): no files, sockets, processes or signals, and time, memory and output are bounded.
The results that are wanted are never sent there, so no code can learn or forge them.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from selfimprove.answer.checking.confined import confine

if TYPE_CHECKING:
    from selfimprove.problem import Problem

SECONDS, MEGABYTES, OUTPUT = 2, 512, 1 << 20
FENCED = re.compile(r"```(?:python|py)?\s*\n(.*?)```", re.DOTALL | re.IGNORECASE)
MODULES = (
    "abc array bisect calendar cmath collections copy dataclasses datetime decimal enum fractions functools heapq "
    "itertools json math operator random re statistics string textwrap time typing unicodedata"
)
"""What the code may import; all of it is loaded before files are refused."""


def check(completion: str, problem: Problem) -> float:
    """The share of cases that the function in the last fenced block, or else the whole text, gives the result of."""
    reference = json.loads(problem.answer or "{}")
    blocks = FENCED.findall(completion)
    inputs = [arguments for arguments, _ in reference["cases"]]
    results = run(blocks[-1] if blocks else completion, reference["function"], inputs)
    wanted = [[result] for _, result in reference["cases"]]
    same = sum(found == result for found, result in zip(results, wanted, strict=False))
    return same / len(wanted)


def run(code: str, function: str, inputs: list[list[object]]) -> list[object]:
    """For each input `[result]`, or null where the function raised; an empty list where there is no such function."""
    request = json.dumps([code, function, inputs]).encode()
    with Path("output").open("wb") as output:
        try:
            subprocess.run(
                [sys.executable, "-P", __file__],
                input=request,
                stdout=output,
                stderr=subprocess.DEVNULL,
                timeout=SECONDS,
                env={"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
                check=False,
            )
        except subprocess.TimeoutExpired:
            return []
    try:
        results = json.loads(Path("output").read_bytes())
    except (ValueError, RecursionError):
        return []
    return results if isinstance(results, list) else []


def work() -> None:
    """In the process of its own: run the code on the inputs, and write what it gives."""
    code, function, inputs = json.loads(sys.stdin.buffer.read())
    for name in MODULES.split():
        importlib.import_module(name)
    for limit, most in (
        (resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_AS, MEGABYTES << 20), (resource.RLIMIT_FSIZE, OUTPUT)
    ):  # fmt: skip
        resource.setrlimit(limit, (most, most))
    confine()
    sys.stdout = io.StringIO()  # what the code prints is no result
    scope: dict[str, object] = {"__name__": "answer"}
    exec(code, scope)
    called, results = scope[function], []
    for arguments in inputs:
        try:
            results.append([called(*arguments)])  # type: ignore[operator]  # what the code made of the name
        except Exception:  # noqa: BLE001 - a case that raises is a wrong one
            results.append(None)
    os.write(1, json.dumps(results, default=repr).encode())


if __name__ == "__main__":
    work()
