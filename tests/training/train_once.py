"""One training in a process of its own, for tests that kill or join it:

`train_once.py FOLDER [STEP TO STOP AT [DROPOUT [PROCESSES]]]`.

FOLDER holds `model/`; `work/` and `adapter/` are made in it. At the given step the process announces itself and waits.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from selfimprove.recipe import Runtime, Training
from selfimprove.round.machinery import TrainJob
from selfimprove.round.prefixes import Example
from selfimprove.training import train

SETTINGS = Training(
    epochs=2,
    batch_rows=4,
    rank=4,
    dropout=0.1,
    learning_rate=1e-2,
    schedule="cosine",
    checkpoint_steps=3,
)

RUNTIME = Runtime(device="cpu", threads=1, micro_tokens=64)


def make_examples(count: int) -> list[Example]:
    """Rows of unlike lengths and weights whose targets can be learnt: each counts on from its prompt."""
    return [
        Example(
            key=f"k{n:03}",
            sample=0,
            kind="full" if n % 4 == 0 else "prefix",
            prompt_ids=tuple(60 + (n + at) % 40 for at in range(5 + n % 7)),
            target_ids=tuple(60 + (n + 5 + n % 7 + at) % 40 for at in range(12 if n % 4 == 0 else 1 + n % 5)),
            weight=1.0 + n % 3 / 2,
        )
        for n in range(count)
    ]


def make_job(folder: Path, model: Path, **changes: Any) -> TrainJob:  # noqa: ANN401 - a value of any field
    """A job on twenty rows with `work` and `out` in `folder`; `changes` replace what it has of each field."""
    job = TrainJob(
        examples=make_examples(20),
        model=model,
        work=folder / "work",
        out=folder / "out",
        settings=SETTINGS,
        seed=7,
        runtime=RUNTIME,
    )
    return replace(job, **changes)


def main() -> None:
    """Train, and stop in the middle if asked to."""
    folder, stop = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else -1
    settings = SETTINGS.model_copy(update={"dropout": float(sys.argv[3])}) if len(sys.argv) > 3 else SETTINGS
    done: list[int] = []

    def on_step(step: int, *_: float) -> None:
        done.append(step)
        if step == stop:
            sys.stdout.write("waiting\n")
            sys.stdout.flush()
            time.sleep(600)

    processes = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    runtime = RUNTIME.model_copy(update={"train_processes": processes})
    job = make_job(folder, folder / "model", out=folder / "adapter", settings=settings, runtime=runtime)
    counts = train(job, on_step)
    sys.stdout.write(json.dumps({"counts": asdict(counts), "steps": done}))


if __name__ == "__main__":
    main()
