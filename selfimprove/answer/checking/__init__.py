"""The checker as the rest of the package uses it.

`Checker` judges in worker processes (`pool` holds the pool, `process` one process as its parent
sees it, `worker` what runs inside it); `run_cases` measures it on labelled rows (`cases`); `check`
is the library call: one worker process, started on first use, so that even one hostile answer can't hang or crash
the caller.
"""

from __future__ import annotations

import atexit
import threading

from selfimprove.answer import VERSION, Explanation, Mode, Outcome, Verdict
from selfimprove.answer.checking.cases import CasesReport, KindReport, run_cases
from selfimprove.answer.checking.pool import MEMORY_MB, Checker
from selfimprove.answer.checking.process import TIMEOUT

_SHARED: list[Checker] = []
_LOCK = threading.Lock()


def check(answer: str, gold: str, mode: Mode = "last", *, question: str = "") -> Verdict:
    """The verdict on a bare answer or a whole completion against a reference, judged in a process of its own.

    `mode` says where a final answer is looked for: `boxed`, `marked` or `last`, as `answers.mode` of a recipe; in
    `last`, the answer may also be bare (`1/2`, `x + 1`). A choice that `question` lists may be answered by its text.
    The first call starts the process, which takes a fraction of a second; it stays until the interpreter ends, and a
    later call takes about a millisecond, 3 seconds at most (`timed_out`). Usable from any thread; calls are judged one
    at a time.
    """
    with _LOCK:
        if not _SHARED:
            _SHARED.append(Checker())
            atexit.register(_SHARED[0].close)
    shared = _SHARED[0]
    if mode == "last":
        return shared.check_answer(answer, gold, question=question)
    return shared.check(answer, gold, mode, question=question)


__all__ = [
    "MEMORY_MB", "TIMEOUT", "VERSION", "CasesReport", "Checker", "Explanation", "KindReport", "Mode", "Outcome",
    "Verdict", "check", "run_cases",
]  # fmt: skip
