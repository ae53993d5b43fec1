"""How the process of a life begins: light to import, so that the parent never loads a model library."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from multiprocessing import connection, parent_process

from tests.chaos.orders import Life
from tests.chaos.setting import Setting
from tests.chaos.trace import Tracer

FAILED = "failed"
"""File in the setting's folder with the reason for which the model could not be made."""


def live(life: Life) -> None:
    """Bring the run to its end, or die on the way; an error is the last line of the trace, and exit code 1."""
    _follow_parent()
    from tests.chaos.victim import run_victim

    tracer = Tracer(life.trace, life.number)
    try:
        life.mutant()
        run_victim(life, tracer)
    except Exception:  # noqa: BLE001 - whatever it is, the parent reports it
        tracer.write("failed", text=traceback.format_exc())
        sys.exit(1)
    tracer.write("lived")


def prepare(setting: Setting) -> None:
    """Make or convert the model, so that no life has to; what fails is written to `FAILED`, and gives exit code 1."""
    _follow_parent()
    from tests.chaos.victim import make_model

    try:
        make_model(setting)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent reports it
        (setting.folder / FAILED).write_text(str(error) or repr(error), encoding="utf-8")
        sys.exit(1)


def _follow_parent() -> None:
    """Leave Ctrl-C to the parent, and die with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_die_after, args=(parent.sentinel,), daemon=True).start()


def _die_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os.kill(os.getpid(), signal.SIGKILL)
