"""Hostile answers: nothing is evaluated, nothing runs away, nothing depends on order or hash seeds."""

from __future__ import annotations

import builtins
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from selfimprove.answer import Outcome, check, check_answer
from tests.paths import CASES, ROOT, SHARED

ROWS = [json.loads(line) for line in (CASES / "answers.jsonl").read_text("utf-8").splitlines()]
HOSTILE = [
    r"9^{9^{9^9}}", "99999999!", r"\binom{1000000000}{500000000}", "1e999999999", "+".join(["1"] * 450),
    r"\begin{pmatrix}1&2\\3&4\end{pmatrix}" * 40, r"\prod_{k=1}^{99}\prod_{j=1}^{99}\prod_{l=1}^{99}\prod_{m=1}^{99} k",
    r"\sum_{k=1}^{1900} 2^{10000+k}", "-" * 100 + "5", r"e^{e^{e^{x}}}", r"\sin\prod_{k=1}^{99}^9^9e", "{" * 20_000,
    r"\Gamma(\Gamma(x+5))", "1.5^{" * 30 + "2" + "}" * 30, r"\lim_{x\to0} 9^{9^{x}}", "((9**9)**9)**9", "|" * 500,
    "1." * 2_900, "A and B " * 700, "from 5 to 6 " * 400, "2x + " * 1_000, "a-" * 2_000, "3 hours and " * 400,
    ",".join(rf"\sqrt{{{n}}}" for n in range(2, 60)), r"\frac{1}{1+" * 1000, r"\boxed{" * 3000,
    "edit: wrong " * 800, "no, wait " * 1_000, "2 h " * 1_500, "(A) no\n" * 1_000, "A, B and " * 1_000,
    "is (B) a " * 800, "the answer, " * 800, "my friend says the answer is " * 300, "x = 2,5 " * 1_000, "5 °C " * 1_000,
    "word: " * 1_000, "A) " + "B   " * 60 + "x", "The roots are:\n- " + r"\a1" * 80 + "==\n- 2\n- 3 =",
    "The answer is " + "] " * 3_000, "a\n\n" * 2_000, "\n\nTom has 5, and. How many x?\n" * 300, "[[1, 2], " * 800,
    r"\boxed{1}" + "\n" * 15_000 + r"\boxed{2}", "(a)" + "\n" * 15_000 + "5",
]  # fmt: skip


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    return [
        repr(check_answer(r["prediction"], r["gold"]) if r["form"] == "bare" else check(r["prediction"], r["gold"]))
        for r in rows
    ]


@pytest.mark.parametrize("answer", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_answer_is_judged_in_bounded_work(answer: str) -> None:
    start = time.perf_counter()
    for reference in ("42", r"\sin^2(x)+\frac{1}{3}", "Evelyn"):
        assert check(rf"\boxed{{{answer}}}", reference).outcome in (Outcome.WRONG, Outcome.UNPARSED)
        assert check(answer, reference).outcome in (Outcome.WRONG, Outcome.UNPARSED)
    assert time.perf_counter() - start < 20  # a backstop for a slow machine; the work is counted in steps


def test_no_text_is_ever_evaluated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import mpmath  # noqa: F401 - imported before `exec` is taken away, as the import system needs it
    import sympy
    import sympy.parsing.sympy_parser

    check(r"\boxed{\lim_{x\to 0} \frac{\sin x}{x}}", "1")  # what is imported late is imported now
    (tmp_path / "pwned").mkdir()
    monkeypatch.chdir(tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("text was evaluated")

    for name in ("eval", "exec", "compile"):
        monkeypatch.setattr(builtins, name, refuse)
    monkeypatch.setattr(sympy, "sympify", refuse)
    monkeypatch.setattr(sympy, "parse_expr", refuse)
    monkeypatch.setattr(sympy.parsing.sympy_parser, "parse_expr", refuse)
    payload = "open('pwned/hit','w')"
    for text in (
        payload,
        rf"\boxed{{{payload}}}",
        f"The answer is {payload}",
        f"[{payload} for q in [0]]",
        f"{payload} or 5",
    ):
        assert check(text, "5").outcome is not Outcome.CORRECT
        assert check_answer(text, "5").outcome is not Outcome.CORRECT
    assert len(verdicts([row for row in ROWS if row["kind"] != "hard_symbolic"])) > 300
    assert list((tmp_path / "pwned").iterdir()) == []


def test_injection_rows_of_the_shared_file_run_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = SHARED / "data" / "checker_cases.jsonl"
    if not path.exists():
        pytest.skip(f"needs {path}")
    (tmp_path / "pwned").mkdir()
    monkeypatch.chdir(tmp_path)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert verdicts([row for row in rows if row["kind"] == "eval_injection"])
    assert list((tmp_path / "pwned").iterdir()) == []


def test_order_changes_no_verdict() -> None:
    rows = [row for row in ROWS if row["kind"] in ("hard_symbolic", "algebra", "set_list", "no_boxed")]
    shuffled = random.Random(5).sample(rows, len(rows))
    assert sorted(verdicts(rows)) == sorted(verdicts(shuffled))


def test_hash_seed_changes_no_verdict() -> None:
    code = (
        "import sys; from tests.answer import test_answer_hostile as t;sys.stdout.write('\\n'.join(t.verdicts(t.ROWS)))"
    )
    seed = str(1 + (os.environ.get("PYTHONHASHSEED") == "1"))  # this process has another, drawn or set
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True)
    assert other.stdout.decode().splitlines() == verdicts(ROWS)


@pytest.mark.slow
def test_fuzz_for_a_few_minutes() -> None:
    seconds = float(os.environ.get("SELFIMPROVE_FUZZ_SECONDS", "150"))
    pieces = r"^ { } ( ) \frac \sqrt 9 ^9^9 ! \sum_{k=1}^{n} \int_0^1 \pm | $ \text{ or and , = < \cup \boxed{ \\ & _ % \infty e i x \sin \log 1e9 \binom 0 \lim_{x\to0} / * ** - \approx \Gamma( 10^{ \prod_{k=1}^{99} \lfloor ' ½ ²".split()  # noqa: E501, SIM905 - one piece after the other
    draw = random.Random(int(time.time()))
    end = time.monotonic() + seconds
    slowest = (0.0, "", "")
    while time.monotonic() < end:
        text = draw.choice(ROWS)["prediction"] if draw.random() < 0.7 else ""
        for _ in range(draw.randint(1, 12)):
            at = draw.randint(0, len(text))
            text = text[:at] + draw.choice(pieces) + text[at + draw.randint(0, 2) :]
        reference = draw.choice(ROWS)["gold"]
        start = time.perf_counter()
        assert check(text, reference).outcome in (Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSED)
        slowest = max(slowest, (time.perf_counter() - start, text, reference))
    assert slowest[0] < 5, slowest
