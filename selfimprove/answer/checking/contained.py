"""The process that a checker of one's own is called in: whatever that does, the next verdict is judged.

The function may loop, eat memory, raise, print, start processes, write files or end its process. So each verdict is
made in a process of its own, forked from one that has loaded the function and never calls it. That one, the *keeper*,
holds the deadline and, when the verdict is there or late, ends all that was started for it: the process group by one
signal, which no fork outruns, and on Linux what left the group too, since orphans are handed to the keeper and not to
the system. It ends them likewise when it is asked to end, and when its parent is gone.

A forked process starts from the same state each time, so no verdict depends on those before it. What is costly is
loaded by the function's module, once, and not inside the function.

Standard input is empty, standard output and error go nowhere. The current folder, which is also the home and the
temporary folder, is emptied after each verdict. Memory, core dumps, the size of a file and the number of open files
are limited. A function that is hostile is not held back by this: it is the user's own. What a *completion* makes it do
is (docs/checkers.md runs code from completions with neither files nor network).
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import BinaryIO, NoReturn

from selfimprove.answer.checking.worker import (
    HEADER,
    LOADING,
    Failure,
    Fields,
    Reply,
    Request,
    die_with_parent,
    limit_resources,
    packed,
    read_request,
    write,
)
from selfimprove.answer.custom import failure, verdict_of
from selfimprove.answer.verdict import Verdict
from selfimprove.escaping import escape_text

Judge = Callable[[Request], object]
LIMITS: Mapping[str, int] = MappingProxyType({"RLIMIT_FSIZE": 64 << 20, "RLIMIT_NOFILE": 256})
_PR_SET_CHILD_SUBREAPER = 36
_SLICE_MS = 50
_ENDING = 5.0  # seconds to end what a verdict started


def serve_contained(
    load: Callable[[], Judge],
    name: str,
    arguments: list[str],
    prepare: Callable[[Request], None] = lambda request: None,
) -> NoReturn:
    """Say hello, or why the function that `name` names can't be loaded; then answer requests until the input ends.

    The arguments are those of `worker.serve`. `prepare` loads in the keeper what a request needs, by its reference and
    never by its text.
    """
    timeout, memory_mb, parent = float(arguments[0]), int(arguments[1]), int(arguments[2])
    source, target = _own_pipes()
    scratch = Path.cwd()
    signal.signal(signal.SIGTERM, _end)
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    die_with_parent(parent, signal.SIGTERM)
    limit_resources(memory_mb, LIMITS)
    signal.setitimer(signal.ITIMER_REAL, LOADING)
    try:
        judge = load()
    except BaseException as cause:  # noqa: BLE001 - whatever the user's module raises, `SystemExit` too, is told
        write(target, Reply([f"answers.checker: {escape_text(name, 200)} can't be loaded: {_told(cause)}"]))
        _end()
    signal.setitimer(signal.ITIMER_REAL, 0)
    gc.freeze()  # what is loaded is shared by the forks, not walked and copied
    write(target, Reply([]))
    while (request := read_request(source)) is not None:
        with suppress(Exception):  # the judge meets it too, and tells
            signal.setitimer(signal.ITIMER_REAL, LOADING)
            prepare(request)
        signal.setitimer(signal.ITIMER_REAL, 0)
        write(target, _apart(judge, request, timeout, (source, target)))
        _empty(scratch)
    _end()


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the parent under numbers that nobody else knows; 0, 1 and 2 lead nowhere from now on."""
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)
    return source, target


def _apart(judge: Judge, request: Request, timeout: float, pipes: tuple[BinaryIO, BinaryIO]) -> Reply:
    """The reply to one request, from a process that has ended, with all that it started, when this returns."""
    start = time.monotonic()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _judge_and_exit(judge, request, writing, (reading, *(pipe.fileno() for pipe in pipes)))
    os.close(writing)
    with suppress(OSError):
        os.setpgid(pid, pid)  # the child does the same: whoever comes first
    try:
        found = _collected(pid, reading, start + timeout)
    finally:
        os.close(reading)
        _end_all(pid)
    if isinstance(found, Failure):
        return Reply([], failed=found)
    return Reply(found, 1000 * (time.monotonic() - start))


def _judge_and_exit(judge: Judge, request: Request, writing: int, unneeded: tuple[int, ...]) -> NoReturn:
    """In the forked process: the verdict as a message into the pipe."""
    keeper = os.getppid()
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        die_with_parent(keeper)
        for descriptor in unneeded:
            os.close(descriptor)
        verdict = _judged(judge, request)
        score = None if verdict.score is None else repr(verdict.score)
        message = packed([verdict.outcome, verdict.candidate, verdict.stage, verdict.reason, score])
        while message:
            message = message[os.write(writing, message) :]
    finally:
        os._exit(0)


def _judged(judge: Judge, request: Request) -> Verdict:
    try:
        return verdict_of(judge(request))
    except BaseException as cause:  # noqa: BLE001 - whatever the function raises is its verdict
        return failure(_told(cause))


def _told(cause: BaseException) -> str:
    try:
        return escape_text(f"{type(cause).__name__}: {cause}".removesuffix(": "), 300)
    except Exception:  # noqa: BLE001 - an exception whose text raises
        return type(cause).__name__


def _collected(pid: int, reading: int, deadline: float) -> Fields | Failure:
    """What the process sends before the deadline; an `error` where it ends without having sent anything whole."""
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    data, ended = bytearray(), False
    while len(data) < HEADER or len(data) < HEADER + int.from_bytes(data[:HEADER], "big"):
        left = deadline - time.monotonic()
        if left <= 0:
            return Failure.LATE
        if poll.poll(0 if ended else min(_SLICE_MS, 1000 * left)):
            part = os.read(reading, 65_536)
            data += part
            ended = ended or not part
            if part:
                continue
        if ended:  # whoever else still holds the pipe open is not waited for
            return _failed(f"its process {_cause_of_end(pid)} before there was a verdict")
        ended = bool(_status(pid))
    fields: Fields = json.loads(bytes(data[HEADER:]))
    return fields


def _status(pid: int) -> os.waitid_result | None:
    """How the process ended, which it still has to be waited for; None while it works."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)


def _cause_of_end(pid: int) -> str:
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    if found is None or found.si_code == os.CLD_EXITED:
        return f"ended with status {found.si_status if found else '?'}"
    return f"was ended by signal {found.si_status} ({signal.Signals(found.si_status).name})"


def _failed(why: str) -> Fields:
    verdict = failure(why)
    return [verdict.outcome, None, verdict.stage, verdict.reason, None]


def _end_all(pid: int) -> None:
    """Kill the group of a verdict's process, and whatever else was handed to this one; returns when all are gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)
    deadline = time.monotonic() + _ENDING
    while time.monotonic() < deadline:
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            _kill_descendants()
            time.sleep(0.002)
    os._exit(4)  # something can't be ended: the parent tries once more in a fresh process


def _kill_descendants() -> None:
    import psutil

    with suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()


def _empty(folder: Path) -> None:
    """Remove all that stands in the folder, as far as that can be done; it is made again if it is gone itself."""
    if not folder.is_dir():
        folder.mkdir()
        os.chdir(folder)
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            with suppress(OSError):
                Path(entry.path).unlink()


def _end(_signal: int = 0, _frame: FrameType | None = None) -> NoReturn:
    """End everything below this process, and then this one."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    deadline = time.monotonic() + _ENDING / 2
    while time.monotonic() < deadline:
        _kill_descendants()
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            break
        time.sleep(0.002)
    os._exit(0)
