"""Entry points of the child processes. Light to import, so that the parent never loads a model library."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from multiprocessing import connection, parent_process

from tests.chaos.attempt import Attempt
from tests.chaos.trace import Tracer
from tests.chaos.workload import Workload

FAILURE_FILE = "failed"
"""File in the workload's folder with the reason why the model could not be made."""


def run_attempt(attempt: Attempt) -> None:
    """Take the run to its end, or be killed on the way; an error becomes the trace's last line and exit code 1."""
    _end_with_parent()
    from tests.chaos.instrumented_run import run_instrumented

    tracer = Tracer(attempt.trace, attempt.number)
    try:
        attempt.mutate()
        run_instrumented(attempt, tracer)
    except Exception:  # noqa: BLE001 - whatever it is, the parent reports it
        tracer.write("failed", text=traceback.format_exc())
        sys.exit(1)
    tracer.write("finished")


def prepare_model(workload: Workload) -> None:
    """Make or convert the model before any attempt needs it; an error goes to `FAILURE_FILE`, with exit code 1."""
    _end_with_parent()
    from tests.chaos.instrumented_run import make_model

    try:
        make_model(workload)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent reports it
        (workload.folder / FAILURE_FILE).write_text(str(error) or repr(error), encoding="utf-8")
        sys.exit(1)


def _end_with_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_kill_after, args=(parent.sentinel,), daemon=True).start()


def _kill_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os.kill(os.getpid(), signal.SIGKILL)
