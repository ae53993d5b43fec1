"""Lines that only a GPU takes, and which of them the tests run: `make gpu-lines`.

`coverage` has recorded what the tests marked `gpu_branch` ran. Here every branch of the package that asks for the kind
of a device or for the GPUs of the machine is found in its syntax tree, and of each the lines that a machine without a
GPU never comes to. One that no test ran is printed, and the exit code is 1. `CudaGpus` alone is left out: its methods
are torch's and the driver's own words, for a GPU itself to say (`make gpu-check`).
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from coverage import CoverageData

from tests.paths import ROOT

PACKAGE = ROOT / "selfimprove"
FOR_GPUS = re.compile(r"""'(cuda|mps)'|!= 'cpu'|gpus_here\(\)|runs_packed|has_float64|(?<![.\w])gpus?\b""")
EDGE = {"selfimprove/models/gpus.py": "CudaGpus"}


@dataclass(frozen=True)
class Branch:
    """The lines of one branch: a file, the condition as it is written, and the first line of each statement."""

    file: str
    condition: str
    lines: tuple[int, ...]


def branches() -> Iterator[Branch]:
    """Every branch of the package that a machine without GPUs never takes."""
    for path in sorted(PACKAGE.rglob("*.py")):
        file = str(path.relative_to(ROOT))
        for node in _nodes(ast.parse(path.read_text()), EDGE.get(file)):
            if isinstance(node, ast.If) and FOR_GPUS.search(condition := ast.unparse(node.test)):
                yield Branch(file, condition, _lines(node.body))
            elif isinstance(node, ast.match_case) and FOR_GPUS.search(condition := ast.unparse(node.pattern)):
                yield Branch(file, f"case {condition}", _lines(node.body))


def _nodes(tree: ast.AST, without: str | None) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.ClassDef) and child.name == without):
            yield child
            yield from _nodes(child, without)


def _lines(body: list[ast.stmt]) -> tuple[int, ...]:
    return tuple(sorted({node.lineno for part in body for node in ast.walk(part) if isinstance(node, ast.stmt)}))


def main() -> int:
    """Print each branch with its lines and those that no test ran; 1 if there is one of these."""
    data = CoverageData()
    data.read()
    missed, total = 0, 0
    for branch in branches():
        ran = set(data.lines(str(ROOT / branch.file)) or ())
        never = [line for line in branch.lines if line not in ran]
        total, missed = total + len(branch.lines), missed + len(never)
        told = f"never run: {', '.join(map(str, never))}" if never else "all run"
        print(f"{branch.file}: {branch.condition}: {len(branch.lines)} lines, {told}")
    print(f"{total} lines for GPUs, {missed} of them never run")
    return 1 if missed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
