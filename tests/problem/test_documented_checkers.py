"""The three checkers of docs/checkers/, each on good, wrong and hostile answers to its problems."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from selfimprove.answer import Outcome, Verdict
from selfimprove.answer.checking import Checker
from selfimprove.problem import Problem
from selfimprove.problem.judging import open_checker, own_checker, packed
from selfimprove.problem.preview import preview, self_test
from selfimprove.recipe import Answers, Problems
from tests.paths import ROOT

FOLDER = ROOT / "docs" / "checkers"
RIGHT, WRONG, UNPARSED, LATE = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED, Outcome.TIMED_OUT
LOOPS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT COUNT(*) FROM n"


class Bench:
    """The documented checkers, each with the problems that stand beside it."""

    def __init__(self) -> None:
        self._opened: dict[str, tuple[Checker, list[Problem]]] = {}

    def verdict(self, name: str, rows: str, number: int, text: str) -> Verdict:
        if name not in self._opened:
            settings = Answers(checker=f"{FOLDER / name}.py:check")
            found = preview(str(FOLDER / f"{rows}.jsonl"), Problems(), as_written=True)
            assert self_test(found, settings, 1).faulty == ()
            self._opened[name] = open_checker(settings), list(found.problems)
        checker, problems = self._opened[name]
        return own_checker(checker).check(text, packed(problems[number]))

    def close(self) -> None:
        for checker, _ in self._opened.values():
            checker.close()


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    one = Bench()
    yield one
    one.close()


@pytest.mark.parametrize(
    ("number", "text", "outcome", "reason"),
    [
        (0, 'Here it is:\n```json\n{"name": "Ada Lovelace", "born": 1815}\n```\nDone.', RIGHT, "fits"),
        (0, '{"name": "Ada Lovelace", "born": "1815"}', WRONG, "$.born: 1815 was expected"),
        (0, '{"name": "Ada Lovelace"}', WRONG, "'born' is a required property"),
        (0, "Ada, 1815", UNPARSED, "no JSON"),
        (1, "[2, 3, 5]", RIGHT, "fits"),
        (2, '["a", "b", "b", "c"]', WRONG, "non-unique"),
        (2, "[" * 100_000, Outcome.ERROR, "RecursionError"),
    ],
)
def test_json_is_held_to_its_schema(bench: Bench, number: int, text: str, outcome: Outcome, reason: str) -> None:
    found = bench.verdict("json_schema", "schemas", number, text)
    assert (found.outcome, reason in found.reason) == (outcome, True), found


@pytest.mark.parametrize(
    ("number", "text", "outcome"),
    [
        (0, "```sql\nSELECT name FROM pupils WHERE age >= 11 ORDER BY age DESC;\n```", RIGHT),
        (0, "SELECT name FROM pupils WHERE age > 10 ORDER BY age", WRONG),
        (1, "select sum(1) from pupils", RIGHT),
        (1, "SELECT 3", RIGHT),
        (1, "SELECT * FROM nowhere", WRONG),
        (1, "DELETE FROM pupils", WRONG),
        (1, "ATTACH 'left.db' AS left", WRONG),
        (1, "SELECT load_extension('x')", WRONG),
        (1, "SELECT 3; SELECT 3", WRONG),
        (1, LOOPS, LATE),
        (2, "SELECT shop, SUM(price) AS total FROM sales GROUP BY 1 ORDER BY 1 DESC", RIGHT),
    ],
)
def test_sql_is_compared_by_its_result(bench: Bench, number: int, text: str, outcome: Outcome) -> None:
    assert bench.verdict("sql_result", "queries", number, text).outcome is outcome


HOSTILE = {
    "a socket": "import socket\nsocket.socket()\n",
    "a socket by hand": "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nif libc.socket(2, 1, 0) < 0:\n"
    "    raise OSError(ctypes.get_errno(), 'socket')\n",
    "a file": "open('left.txt', 'w')\n",
    "a file read": "open('/etc/hostname').read()\n",
    "a process": "import os\nos.fork()\n",
    "a program": "import os\nos.execv('/bin/true', ['true'])\n",
    "a signal": "import os\nos.kill(os.getppid(), 9)\n",
    "a thread": "import _thread\n_thread.start_new_thread(print, ())\n",
}


@pytest.mark.parametrize(
    ("number", "text", "score"),
    [
        (0, "```python\ndef area(width, height):\n    print('!')\n    return width * height\n```\nThat is all.", 1.0),
        (0, "def area(width, height):\n    return 6", 1 / 3),
        (1, "import math, heapq\nbackwards = lambda text: text[::-1]", 1.0),
        (1, "def backwards(text):\n    return text", 0.5),
        (2, "def evens(numbers):\n    return [n for n in numbers if n % 2 == 0]", 1.0),
        (2, "def evens(numbers):\n    while True: pass", 0.0),
        (2, "def evens(numbers):\n    return [0] * 10**10", 0.0),
        (2, "def evens(numbers):\n    raise SystemExit", 0.0),
        (2, "import os\nwhile True: os.write(1, b'x' * 10**6)", 0.0),
        (2, "class Any:\n    def __eq__(self, other): return True\ndef evens(numbers): return Any()", 0.0),
        (2, "def odd(", 0.0),
        (2, "no code at all", 0.0),
    ],
)
def test_functions_are_judged_by_tests(bench: Bench, number: int, text: str, score: float) -> None:
    found = bench.verdict("python_tests", "functions", number, text)
    assert (found.outcome is RIGHT, found.score or 0.0) == (score == 1, pytest.approx(score % 1)), found


@pytest.mark.parametrize("deed", HOSTILE)
def test_code_has_neither_files_nor_network_nor_processes(bench: Bench, deed: str) -> None:
    """The deed fails, and the function that was defined before it can tell."""
    tried = "".join(f"    {line}\n" for line in HOSTILE[deed].splitlines())
    text = f"def evens(numbers): return [n for n in numbers if not n % 2]\ntry:\n{tried}"
    refused = f"{text}except (OSError, ImportError, RuntimeError) as error:\n    pass\nelse:\n    evens = None\n"
    assert bench.verdict("python_tests", "functions", 2, refused).outcome is RIGHT


def test_the_documented_rows_are_small_enough_to_read() -> None:
    for path in FOLDER.glob("*.jsonl"):
        assert all(len(line) < 400 and json.loads(line)["answer"] for line in path.read_text("utf-8").splitlines())
