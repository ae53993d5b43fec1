"""The pool: workers that hang, die or eat memory are killed and replaced, and nobody else notices."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

import selfimprove
from selfimprove.answer import Outcome
from selfimprove.answer import check as pure_check
from selfimprove.answer.checking import Checker, run_cases
from selfimprove.answer.checking.pool import CACHED
from selfimprove.errors import UsageError
from selfimprove.problem.values import make_problem
from selfimprove.recipe import Answers
from selfimprove.round.verdicts import check_completions
from tests.paths import ROOT

HANDLERS = (str(Path(__file__).parent / "checking_handlers.py"),)


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Checker(workers=2) as one:
        yield one


@pytest.fixture
def fragile() -> Iterator[Checker]:
    with Checker(workers=1, timeout=1.0, memory_mb=512, command=HANDLERS) as one:
        yield one


def workers_of(checker: Checker) -> list[int]:
    return [worker.pid for worker in list(checker._slots.queue) if worker is not None]


def test_verdict_is_that_of_the_pure_function(checker: Checker) -> None:
    for text, gold in ((r"\boxed{0.5}", r"\frac12"), ("The answer is 7.", "8"), ("no idea", "8"), ("é\ud800 5", "5")):
        assert checker.check(text, gold) == pure_check(text, gold)


def test_worker_runs_the_code_of_its_parent(checker: Checker) -> None:
    checker.check("5", "5")
    assert psutil.Process(workers_of(checker)[0]).environ()["PYTHONPATH"] == str(ROOT)


def test_loading_sympy_is_no_part_of_a_verdict() -> None:
    with Checker(workers=1, timeout=1.0) as quick:
        first, second = quick.timed([(r"\boxed{\int_0^1 x^2\, dx}", r"\frac13", "last", False, "")] * 2)
    assert (first[0].outcome, first[0].stage) == (Outcome.CORRECT, "algebra")
    assert second[0] == first[0]


def test_batch_keeps_order_and_reports_progress(checker: Checker) -> None:
    items = [(f"The answer is {n}.", str(n if n % 3 else n + 1)) for n in range(500)]
    seen: list[tuple[int, int]] = []
    verdicts = checker.check_all(items, "marked", lambda done, total: seen.append((done, total)))
    assert [verdict.outcome is Outcome.CORRECT for verdict in verdicts] == [bool(n % 3) for n in range(500)]
    assert seen[-1] == (500, 500)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert checker.check_all([]) == []


def test_200_callers_share_two_workers(checker: Checker) -> None:
    with ThreadPoolExecutor(200) as pool:
        verdicts = list(pool.map(lambda n: checker.check(rf"\boxed{{{n}+1}}", str(n + 1)).outcome, range(400)))
    assert verdicts == [Outcome.CORRECT] * 400
    assert len(workers_of(checker)) <= 2


def test_hanging_answer_is_timed_out_and_its_worker_replaced(fragile: Checker) -> None:
    assert fragile.check("5", "5").outcome is Outcome.CORRECT
    (before,) = workers_of(fragile)
    start = time.monotonic()
    verdicts = fragile.check_all([("1", "1"), ("hang", "5"), ("2", "2"), ("3", "4")])
    assert [verdict.outcome for verdict in verdicts] == [
        Outcome.CORRECT,
        Outcome.TIMED_OUT,
        Outcome.CORRECT,
        Outcome.WRONG,
    ]
    assert time.monotonic() - start < 20
    assert not psutil.pid_exists(before)


def test_timed_out_is_never_cached(fragile: Checker) -> None:
    assert fragile.check("hang", "5").outcome is Outcome.TIMED_OUT
    assert len(fragile._cache) == 0
    fragile.check("5", "5")
    assert len(fragile._cache) == 1 <= CACHED


def test_one_long_c_call_is_killed(fragile: Checker) -> None:
    assert fragile.check("long c call", "5").outcome in (Outcome.TIMED_OUT, Outcome.UNPARSED)
    assert fragile.check("5", "5").outcome is Outcome.CORRECT


def test_worker_that_allocates_10_gb_is_stopped(fragile: Checker) -> None:
    verdict = fragile.check("allocate", "5")
    assert (verdict.outcome, verdict.stage) == (Outcome.UNPARSED, "limits")
    assert fragile.check("5", "5").outcome is Outcome.CORRECT


def test_answer_that_kills_its_worker_twice_is_unparsed(fragile: Checker) -> None:
    verdicts = fragile.check_all([("1", "1"), ("die", "5"), ("2", "2")])
    assert [verdict.outcome for verdict in verdicts] == [Outcome.CORRECT, Outcome.UNPARSED, Outcome.CORRECT]


def test_worker_killed_by_hand_costs_nothing(checker: Checker) -> None:
    checker.check(r"\boxed{11}", "11")
    for pid in workers_of(checker):
        os.kill(pid, signal.SIGKILL)
    assert checker.check(r"\boxed{12}", "12").outcome is Outcome.CORRECT


def test_worker_killed_in_the_middle_is_tried_again(fragile: Checker, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    fragile.check("5", "5")
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(fragile.check, "die once", str(marker))
        marker.touch()
        assert future.result().outcome in (Outcome.WRONG, Outcome.UNPARSED)


def test_stopped_worker_does_not_block_its_caller(fragile: Checker) -> None:
    fragile.check("5", "5")
    os.kill(workers_of(fragile)[0], signal.SIGSTOP)
    assert fragile.check("x" * 1_000_000, "6").outcome is Outcome.TIMED_OUT
    assert fragile.check("7", "7").outcome is Outcome.CORRECT


def test_workers_end_with_the_checker() -> None:
    with Checker(workers=2) as one:
        one.check_all([(str(n), str(n)) for n in range(300)])
        pids = workers_of(one)
    assert pids
    assert not any(psutil.pid_exists(pid) for pid in pids)
    with pytest.raises(UsageError, match="closed"):
        one.check("5", "6")


def test_workers_die_with_a_killed_parent() -> None:
    code = (
        "import sys, time; from selfimprove.answer.checking import Checker; c = Checker(); c.check('5', '5');"
        "print(list(c._slots.queue)[0].pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs([worker], timeout=10)
    assert not alive or alive[0].status() == psutil.STATUS_ZOMBIE


def test_script_without_a_main_guard_is_not_run_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import selfimprove\nprint('once')\nprint(selfimprove.check('0.5', '1/2').outcome)\n", "utf-8")
    for command in ([str(script)], ["-c", script.read_text("utf-8")]):
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        assert done.stdout.decode().split() == ["once", "correct"]


def test_library_call_judges_answers_and_completions() -> None:
    assert selfimprove.check("0.5", r"\frac{1}{2}").outcome is Outcome.CORRECT
    assert selfimprove.check(r"I find \boxed{6}.", "5").outcome is Outcome.WRONG
    with pytest.raises(AttributeError):
        _ = selfimprove.nothing


def test_worker_imports_neither_torch_nor_the_recipe() -> None:
    code = (
        "import sys, selfimprove.answer.checking, selfimprove.answer;"
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'sympy', 'pydantic', 'transformers')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.stdout.decode().strip() == "[]"


def test_references_are_tested_in_the_workers(checker: Checker) -> None:
    faults = checker.faults_of_references(["5", "", "58 = 57"])
    assert faults[0] is None
    assert faults[1]
    assert faults[2]


def test_cases_are_counted_and_wrong_rows_written(tmp_path: Path) -> None:
    rows = [
        {"gold": "5", "prediction": r"\boxed{5}", "equal": True, "kind": "a", "form": "output"},
        {"gold": "5", "prediction": "6", "equal": False, "kind": "a", "form": "bare"},
        {"gold": "5", "prediction": "5.0", "equal": False, "kind": "b", "form": "bare"},
        {"gold": "5", "prediction": "?", "equal": True, "kind": "b", "form": "bare"},
        {"gold": "5", "prediction": "7", "equal": None, "kind": "b", "form": "bare"},
    ]
    path, wrong = tmp_path / "rows.jsonl", tmp_path / "wrong.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    report = run_cases(path, 1, wrong_rows=wrong)
    assert (report.cases, report.labelled, report.accuracy) == (5, 4, 0.5)
    assert (report.false_accepts, report.false_rejects, report.unparsed, report.timed_out) == (1, 1, 1, 0)
    assert (report.kinds["a"].accuracy, report.kinds["b"].accuracy) == (1.0, 0.0)
    assert [json.loads(line)["prediction"] for line in wrong.read_text("utf-8").splitlines()] == ["5.0", "?"]
    assert json.loads(report.to_json())["kinds"]["b"]["false_rejects"] == 1


@pytest.mark.parametrize("text", ["", "{", '{"gold": "5"}', '{"gold": 5, "prediction": "5", "equal": true}'])
def test_rows_that_are_none_are_a_users_mistake(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError):
        run_cases(path)


def test_checker_without_workers_is_a_users_mistake() -> None:
    with pytest.raises(UsageError):
        Checker(workers=0)


MARBLES = "A bag has 15 red and 20 blue marbles. How many are there?\n\nA. 30\nB. 36\nC. 5\nD. 35"


@pytest.mark.parametrize(
    ("text", "right"),
    [("15 + 20 = 35", True), ("15 + 20 = 36", False), ("D. 36", False), ("D", True), ("35 or D", False)],
)
def test_a_run_judges_a_choice_by_the_options_of_its_question(checker: Checker, text: str, right: bool) -> None:
    problem = make_problem(MARBLES, "D", "marbles.jsonl:1")
    (verdict,) = check_completions(checker, [(text, problem)], Answers())
    assert (verdict.outcome is Outcome.CORRECT) is right
    assert verdict == checker.check(text, "D", question=MARBLES)


def test_a_labelled_row_may_have_its_question(tmp_path: Path) -> None:
    row = {"gold": "D", "prediction": "15 + 20 = 35", "equal": True, "kind": "choice", "form": "output"}
    path = tmp_path / "cases.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in (row, row | {"question": MARBLES, "form": "bare"})))
    assert (report := run_cases(path)).false_rejects == 1
    assert report.labelled == 2
