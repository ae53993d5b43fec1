"""EleutherAI's lm-evaluation-harness on the same model folders: its tasks, prompts and metrics, its standard errors.

The harness renders its own prompts and judges by its own rules, so its figures stand beside ours and are compared with
nothing of ours. It loads the folder through transformers; the models are the same weights to the bit. What a model
scored on a task is kept in `evaluate/tasks/`, by the hashes of the model and of the task's files.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfimprove.errors import StageError, UnreadableError, UsageError
from selfimprove.evaluate.answering import DIGITS
from selfimprove.evaluate.subjects import Subject
from selfimprove.events import Emit, StageProgress, StageStarted
from selfimprove.store.durable import content_hash, read_json, write_json
from selfimprove.store.evaluations import TaskFigures

PACKAGE = "lm_eval"
STDERR = "_stderr"


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """Tasks by name, a folder with files of one's own, how many rows of each are taken (0: all), who loads them."""

    names: tuple[str, ...]
    folder: Path | None
    limit: int
    manager: Any
    """The harness's `TaskManager`; the package ships no types."""


def refuse_missing(tasks_from: Path | None) -> None:
    """`UsageError` if the harness isn't installed, or the folder of task files isn't there."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise UsageError(
            "--tasks needs lm-evaluation-harness, which isn't installed", "Run: pip install 'selfimprove[eval]'"
        )
    if tasks_from is not None and not tasks_from.is_dir():
        raise UsageError(f"--tasks-from {tasks_from}: no such folder", "Name a folder with task files (.yaml).")


def known_tasks(names: tuple[str, ...], folder: Path | None, limit: int) -> Tasks:
    """These tasks, which may be none; `UsageError` for one that the harness doesn't know, or if it isn't installed."""
    if not names:
        return Tasks(names=(), folder=None, limit=0, manager=None)
    refuse_missing(folder)
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder) if folder else None)
    known = set(manager.all_tasks)
    for name in names:
        if name not in known:
            hint = "`lm-eval ls tasks` lists its own tasks; your own come from --tasks-from FOLDER."
            raise UsageError(f"--tasks {name}: lm-evaluation-harness has no such task", hint)
    return Tasks(names=names, folder=folder, limit=limit, manager=manager)


def figures(folder: Path, subjects: Sequence[Subject], tasks: Tasks, emit: Emit) -> tuple[TaskFigures, ...]:
    """The figures of each model on each task, from the record in `folder` where one is there; none without tasks.

    Raises `StageError` if the harness fails over a task.
    """
    if not tasks.names:
        return ()
    found: list[TaskFigures] = []
    for subject in subjects:
        stage = f"{subject.name}: tasks"
        names = {task: f"{subject.sha256[:DIGITS]}-{_digest(task, tasks)}.json" for task in tasks.names}
        results = {task: _kept(folder / "tasks" / name) for task, name in names.items()}
        owed = [task for task, result in results.items() if result is None]
        emit(StageStarted(number=0, stage=stage, total=len(names), kept=len(names) - len(owed), unit="tasks"))
        with subject.opened() if owed else nullcontext(Path()) as model:
            for done, task in enumerate(owed, len(names) - len(owed) + 1):
                results[task] = _run(folder / "tasks" / names[task], model, subject, task, tasks)
                emit(StageProgress(number=0, stage=stage, done=done, total=len(names), tokens=0))
        found += [one for task in names for one in _figures(subject.name, results[task] or {})]
    return tuple(found)


def _digest(name: str, tasks: Tasks) -> str:
    """A hash of the task, of the files it may be made of, and of the harness's version."""
    files = content_hash(tasks.folder) if tasks.folder else ""
    told = [name, files, tasks.limit, importlib.metadata.version(PACKAGE)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:DIGITS]


def _kept(path: Path) -> dict[str, Any] | None:
    try:
        return read_json(path)
    except UnreadableError:
        return None


def _run(path: Path, model: Path, subject: Subject, task: str, tasks: Tasks) -> dict[str, Any]:
    """What the harness says of the task, which is on record then."""
    from lm_eval import simple_evaluate

    from selfimprove.models.gpus import choose_device

    runtime = subject.machinery.runtime
    arguments = {"pretrained": str(model), "trust_remote_code": runtime.trust_remote_code, "dtype": "auto"}
    try:
        with redirect_stdout(sys.stderr):  # ours holds nothing but our own
            found = simple_evaluate(
                model="hf",
                model_args=arguments,
                tasks=[task],
                task_manager=tasks.manager,
                device=str(choose_device(runtime.device)),
                batch_size=8,
                limit=tasks.limit or None,
                log_samples=False,
                bootstrap_iters=1000,
            )
    except (ValueError, RuntimeError, OSError, KeyError, TypeError) as error:
        raise StageError(f"lm-evaluation-harness failed on task {task}: {error}") from error
    kept = {"results": found["results"], "n": {name: n["effective"] for name, n in found["n-samples"].items()}}
    plain: dict[str, Any] = json.loads(json.dumps(kept, default=str))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, plain)
    return plain


def _figures(model: str, result: Mapping[str, Any]) -> list[TaskFigures]:
    """The metrics of a result; the harness names them `metric,filter`, and their errors `metric_stderr,filter`."""
    found = []
    for task, metrics in result.get("results", {}).items():
        for name, value in metrics.items():
            metric, comma, filtered = name.partition(",")
            if not comma or metric.endswith(STDERR) or not isinstance(value, (int, float)):
                continue
            error = metrics.get(f"{metric}{STDERR},{filtered}")
            found.append(
                TaskFigures(
                    model=model,
                    task=task,
                    metric=metric,
                    filter=filtered,
                    value=value,
                    stderr=error if isinstance(error, (int, float)) else None,
                    n=result.get("n", {}).get(task),
                )
            )
    return found
