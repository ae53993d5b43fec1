"""The check itself: each row in a process of its own, until one fails or the time is over."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.gpu_check import Bench, Checked, table
from benchmarks.gpu_check.rows import ROWS, Row, UntriedError
from selfimprove.errors import SelfImproveError, UsageError

ROOT = Path(__file__).parents[2]


def check(bench: Bench, seconds: float, out: Path | None, say: Callable[[str], None]) -> bool:
    """Answer the rows in order, print the table by `say` and write `out` after each; whether none failed."""
    done: list[Checked] = []
    end = time.monotonic() + seconds
    for row in ROWS:
        say(f"checking: {row.name} ({row.what})")
        done.append(_alone(row, bench, end - time.monotonic()))
        if out:
            out.write_text(json.dumps({"toy": bench.toy, "rows": [asdict(row) for row in done]}, indent=1) + "\n")
        if done[-1].failed:
            break
    say("")
    say(table(done))
    say("")
    if bench.toy:
        say("Without a GPU: toy sizes, which show that the rows run. Their seconds and rates are not figures.")
    if done[-1].failed:
        say(f"The check ended at the row `{done[-1].name}`.")
    return not done[-1].failed


def _alone(row: Row, bench: Bench, seconds: float) -> Checked:
    """The row in a process of its own, which is killed with all that it started when the time is over."""
    outcome = Checked(name=row.name, what=row.what, seconds=0.0)
    if seconds <= 0:
        return replace(outcome, failed="not begun: the time was over")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder, tempfile.TemporaryFile("w+") as log:
        words = [row.name, json.dumps(asdict(replace(bench, folder=Path(folder))), default=str)]
        command = [sys.executable, "-m", "benchmarks.gpu_check.running", *words]
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )
        try:
            said, _ = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            said = ""
        finally:
            _end(child)
        log.seek(0)
        outcome = replace(outcome, seconds=time.monotonic() - began)
        if child.returncode:
            timed_out = time.monotonic() - began >= seconds
            reason = log.read().strip()[-600:] or f"its process ended with {child.returncode}"
            return replace(outcome, failed="ended: the time was over" if timed_out else _one_line(reason))
    return replace(outcome, **json.loads(said.splitlines()[-1]))


def _end(child: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")


def answer(words: Sequence[str]) -> str:
    """The row of that name on the bench in the JSON beside it, as JSON: what its process says last."""
    name, told = words
    given = json.loads(told)
    bench = Bench(**{**given, "model": Path(given["model"]), "folder": Path(given["folder"])})
    (row,) = [row for row in ROWS if row.name == name]
    try:
        return json.dumps({"figures": row.answer(bench)})
    except UntriedError as reason:
        return json.dumps({"left_out": str(reason)})
    except (SelfImproveError, RuntimeError, OSError, ValueError) as error:
        return json.dumps({"failed": _one_line(f"{type(error).__name__}: {error}")})


def bench_on(folder: Path, model: Path | None, engine: str | None) -> Bench:
    """The bench for this machine: toy without a usable GPU, the engine that `auto` stands for."""
    from selfimprove.engines.choice import choose_engine
    from selfimprove.engines.vllm import is_installed
    from selfimprove.models.gpus import gpus_here
    from selfimprove.recipe import Runtime
    from selfimprove.runs.devices import refuse_unfit_gpus

    if model and not (model / "config.json").is_file():
        raise UsageError(f"--model {model}: there is no config.json", "Name a folder of safetensors.")
    refuse_unfit_gpus(Runtime())  # or a GPU that torch can't use would pass at toy size
    usable = gpus_here().usable()
    chosen = engine or choose_engine("auto", is_installed(), usable)
    return Bench(model=(model or folder / "model").resolve(), folder=folder, engine=chosen, toy=not usable)


if __name__ == "__main__":
    sys.stdout.write(answer(sys.argv[1:]) + "\n")
