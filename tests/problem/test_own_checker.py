"""A checker of one's own: whatever it does is a verdict with one line, and the next answer is judged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from selfimprove.answer import Outcome, Verdict
from selfimprove.answer.checking import Checker
from selfimprove.answer.custom import located
from selfimprove.errors import UsageError
from selfimprove.problem.judging import open_checker, packed, refuse_unloadable
from selfimprove.problem.values import Problem, make_problem
from selfimprove.recipe import Answers
from tests.paths import ROOT

HOSTILE = f"{ROOT}/tests/cases/checkers/hostile.py:check"
ASKED = make_problem("What?", "42", "here")


@pytest.fixture(scope="module")
def own() -> Iterator[Checker]:
    with Checker(2, command=_command(HOSTILE), timeout=1.0, memory_mb=512, contained=True) as one:
        yield one


def _command(name: str) -> tuple[str, ...]:
    return ("-m", "selfimprove.problem.judging", located(name).packed())


def judged(own: Checker, text: str, problem: Problem = ASKED) -> Verdict:
    return own.check(text, packed(problem))


def test_a_truth_value_a_score_and_a_verdict_are_what_they_say(own: Checker) -> None:
    assert judged(own, "yes").outcome is Outcome.CORRECT
    assert judged(own, "no").outcome is Outcome.WRONG
    assert judged(own, "problem").outcome is Outcome.CORRECT
    assert judged(own, "one") == Verdict(Outcome.CORRECT, None, "checker", "score 1")
    assert judged(own, "half") == Verdict(Outcome.WRONG, None, "checker", "score 0.5", 0.5)
    assert judged(own, "verdict") == Verdict(Outcome.UNPARSED, "it", "checker", "no table⏎in it")
    assert judged(own, "scored") == Verdict(Outcome.WRONG, "it", "checker", "3 of 4", 0.75)


@pytest.mark.parametrize(
    ("deed", "outcome", "reason"),
    [
        ("loop", Outcome.TIMED_OUT, "not judged in time"),
        ("sleep", Outcome.TIMED_OUT, "not judged in time"),
        ("bomb", Outcome.TIMED_OUT, "not judged in time"),
        ("allocate", Outcome.ERROR, "MemoryError"),
        ("raise", Outcome.ERROR, r"ValueError: two⏎lines \x1b[31m of red"),
        ("exit", Outcome.ERROR, "SystemExit: 3"),
        ("end", Outcome.ERROR, "its process ended with status 7 before there was a verdict"),
        ("kill", Outcome.ERROR, "its process was ended by signal 9 (SIGKILL) before there was a verdict"),
        ("nan", Outcome.ERROR, "the score nan, which is not from 0 to 1"),
        ("two", Outcome.ERROR, "the score 2, which is not from 0 to 1"),
        ("none", Outcome.ERROR, "it returned NoneType, not a bool, a number or a Verdict"),
        ("text", Outcome.ERROR, "it returned str, not a bool, a number or a Verdict"),
        ("no such deed", Outcome.ERROR, "KeyError: 'no such deed'"),
        ("print", Outcome.CORRECT, "accepted"),
        ("write", Outcome.CORRECT, "accepted"),
        ("remove", Outcome.CORRECT, "accepted"),
    ],
)
def test_whatever_it_does_is_a_verdict_and_the_next_answer_is_judged(
    own: Checker, deed: str, outcome: Outcome, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    verdicts = own.check_all([(text, packed(ASKED)) for text in ("yes", deed, "no", "write")])
    assert [verdict.outcome for verdict in verdicts] == [Outcome.CORRECT, outcome, Outcome.WRONG, Outcome.CORRECT]
    assert reason in verdicts[1].reason
    assert "\n" not in verdicts[1].reason
    assert capfd.readouterr() == ("", "")
    assert _descendants(own) == []


def _descendants(own: Checker) -> list[psutil.Process]:
    pids = [worker.pid for worker in list(own._slots.queue) if worker is not None]
    return [child for pid in pids for child in psutil.Process(pid).children(recursive=True)]


def test_what_it_started_ends_with_its_verdict(own: Checker, tmp_path: Path) -> None:
    assert judged(own, "fork", make_problem(str(tmp_path), "1", "here")).outcome is Outcome.CORRECT
    started = [int((tmp_path / name).read_text()) for name in ("child", "left")]
    assert not any(psutil.pid_exists(pid) for pid in started)


def test_no_verdict_sees_what_one_before_it_left(own: Checker) -> None:
    texts = [("calls", packed(make_problem(f"Q{number}", "1", "here"))) for number in range(5)]
    assert {verdict.outcome for verdict in own.check_all(texts)} == {Outcome.CORRECT}


def test_its_folder_goes_with_it(tmp_path: Path) -> None:
    with Checker(1, command=_command(HOSTILE), contained=True) as own:
        own.start()
        (worker,) = (worker for worker in list(own._slots.queue) if worker is not None)
        folder, pid = Path(psutil.Process(worker.pid).cwd()), worker.pid
        assert folder.is_dir()
        judged(own, "yes")
    assert not folder.exists()
    assert not psutil.pid_exists(pid)


def test_what_it_started_ends_with_a_killed_parent(tmp_path: Path) -> None:
    """A checker in the middle of a verdict, its group left behind: parent killed, all of them end."""
    (tmp_path / "slow.py").write_text(
        "import os, time, pathlib\n"
        "def check(completion, problem):\n"
        "    if os.fork() == 0:\n        os.setsid()\n"
        "    pathlib.Path(problem.question, str(os.getpid())).touch()\n    time.sleep(600)\n",
        "utf-8",
    )
    code = (
        "import sys; from selfimprove.answer.checking import Checker; from selfimprove.answer.custom import located;"
        "from selfimprove.problem.judging import packed; from selfimprove.problem.values import make_problem;"
        "own = Checker(1, 60, command=('-m', 'selfimprove.problem.judging', located(sys.argv[1] + '/slow.py:check')"
        ".packed()), contained=True); (sys.stdout.write('on\\n'), sys.stdout.flush());"
        "own.check('x', packed(make_problem(sys.argv[1], '1', 'here')))"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, env={"PYTHONPATH": str(ROOT)}
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    while len(started := [path.name for path in tmp_path.iterdir() if path.name.isdigit()]) < 2:
        assert parent.poll() is None
    parent.kill()
    parent.wait()
    parent.stdout.close()
    processes = [psutil.Process(int(pid)) for pid in started if psutil.pid_exists(int(pid))]
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in alive)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("raise ImportError('no\\nsuch thing')", "ImportError: no⏎such thing"),
        ("import sys; sys.exit(2)", "SystemExit: 2"),
        ("def other(): ...", "has no function `check`"),
        ("def check(:", "SyntaxError"),
        ("print('loading'); check = 3", "has no function `check`"),
    ],
)
def test_one_that_cant_be_loaded_is_a_users_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, fault: str
) -> None:
    (tmp_path / "mine.py").write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("mine.py:check", "mine:check"):
        with pytest.raises(UsageError) as caught:
            refuse_unloadable(Answers(checker=name))
        assert caught.value.message.startswith(f"answers.checker: {name} can't be loaded: ")
        assert fault in caught.value.message
        assert "\n" not in caught.value.message


def test_one_that_isnt_there_is_a_users_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"answers\.checker: nowhere\.py: no such file"):
        open_checker(Answers(checker="nowhere.py:check"))
    for name in ("nowhere.at.all:check", "json.nothing:check", "sys:exit"):
        with pytest.raises(UsageError, match="no module `"):
            open_checker(Answers(checker=name))


def test_a_module_in_a_package_is_found_without_being_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "tasks" / "inner"
    package.mkdir(parents=True)
    (tmp_path / "tasks" / "__init__.py").write_text("WORD = 'yes'\n", "utf-8")
    (package / "__init__.py").touch()
    (package / "words.py").write_text(
        "from tasks import WORD\nfrom . import other\ndef check(completion, problem):\n    return completion == WORD\n",
        "utf-8",
    )
    (package / "other.py").touch()
    monkeypatch.chdir(tmp_path)
    with open_checker(Answers(checker="tasks.inner.words:check")) as checker:
        assert "tasks" not in sys.modules
        assert checker.own is not None
        verdicts = checker.own.check_all([("yes", packed(ASKED)), ("no", packed(ASKED))])
    assert [verdict.outcome for verdict in verdicts] == [Outcome.CORRECT, Outcome.WRONG]
