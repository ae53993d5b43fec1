"""Tasks of lm-evaluation-harness on the same models; skipped, with the reason, where it isn't installed."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from selfimprove.errors import UsageError
from selfimprove.evaluate.harness import refuse_missing
from tests.docs_model import make_talker
from tests.paths import ROOT
from tests.workshop import Workshop, make_workshop

EXECUTION = ("--threads", "1", "--checker-workers", "1", "--device", "cpu", "--engine", "transformers")
INSTALLED = importlib.util.find_spec("lm_eval") is not None


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A run of one accepted round, and a task file on a file of differences."""
    workshop = make_workshop(tmp_path_factory.mktemp("shop"))
    make_talker(workshop.folder / "talker")
    rows = [{"question": f"What is {a} - {b}?", "answer": str(a - b)} for a in range(7, 17) for b in range(3)]
    (workshop.folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (workshop.folder / "tasks").mkdir()
    shutil.copy(ROOT / "tests" / "cases" / "harness_task.yaml", workshop.folder / "tasks" / "sums.yaml")
    done = workshop.run("done", 1, "--set", "gate.rule=none", "--model", "talker")
    assert done.returncode == 0, done.stderr
    return workshop


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not INSTALLED, reason="lm-eval isn't installed: pip install 'selfimprove[eval]'")
def test_a_local_task_is_told_with_its_standard_error_and_kept(shop: Workshop) -> None:
    words = ("done", "mine.jsonl", "--limit", "6", "--tasks", "sums", "--tasks-from", "tasks", *EXECUTION)
    first = shop.call("evaluate", *words, "--json", timeout=600)
    assert first.returncode == 0, first.stderr
    tasks = json.loads(first.stdout)["tasks"]
    assert [(one["model"], one["task"], one["metric"]) for one in tasks] == [
        ("base", "sums", "exact_match"),
        ("round 1 (champion)", "sums", "exact_match"),
    ]
    assert all(one["n"] == 6 and one["stderr"] >= 0 and 0 <= one["value"] <= 1 for one in tasks)
    kept = sorted((shop.runs / "done" / "evaluate" / "tasks").iterdir())
    assert len(kept) == 2
    times = [path.stat().st_mtime_ns for path in kept]
    shown = shop.call("evaluate", *words, timeout=600)
    assert "By lm-evaluation-harness" in shown.stdout
    assert [path.stat().st_mtime_ns for path in kept] == times
    unknown = shop.call("evaluate", "done", "mine.jsonl", "--limit", "6", "--tasks", "no_such", *EXECUTION, timeout=600)
    assert unknown.returncode == 2
    assert "--tasks no_such: lm-evaluation-harness has no such task" in unknown.stderr


@pytest.mark.skipif(INSTALLED, reason="lm-eval is installed, so nothing is missing")
def test_without_the_harness_tasks_are_refused_with_what_to_type() -> None:
    with pytest.raises(UsageError, match="isn't installed") as refused:
        refuse_missing(None)
    assert refused.value.hint == "Run: pip install 'selfimprove[eval]'"


@pytest.mark.skipif(not INSTALLED, reason="lm-eval isn't installed: pip install 'selfimprove[eval]'")
def test_a_folder_of_tasks_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--tasks-from .*nowhere: no such folder"):
        refuse_missing(tmp_path / "nowhere")
