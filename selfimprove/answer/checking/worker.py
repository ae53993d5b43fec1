"""The process that answers are judged in: reads requests, writes verdicts, one at a time.

It is started as a fresh interpreter that imports the checker and no library of machine learning, never forked from a
process that may hold a CUDA context. Requests and replies are JSON behind a four-byte length on its standard
input and output. Before each request it sets a timer whose default action kills the process, which holds inside one
long C call too; the parent's own deadline comes first. It dies with its parent: by the end of its input, and on
Linux by signal. Memory, file size, core dumps and child processes are limited; what the platform does not have is
left out.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import BinaryIO, Literal, TypedDict

from selfimprove.answer import Mode, asked, check, check_answer, fault_of_reference
from selfimprove.answer.loading import Waits

HEADER = 4  # bytes of length, big-endian
LOADING = 60.0  # seconds that loading a checker of one's own may take, and what a problem of its needs
GRACE = 2.0  # seconds the timer in the worker leaves to the parent's deadline
_PR_SET_PDEATHSIG = 1


class Failure(StrEnum):
    """Why a request has no result."""

    LATE = "late"
    """The worker missed its deadline."""
    DIED = "died"
    """The worker ended over it, twice."""
    MEMORY = "memory"
    """The worker reached its limit on memory."""
    LOADING = "loading"
    """The worker loads a library first; the result follows."""


Form = Mode | Literal["bare"]
"""Where the answer is looked for in a text; `bare`: the text is the answer."""


class Request(TypedDict):
    """What is asked of a worker: the verdict on a text, or (`fault`) only whether the reference can be used.

    `question` is that of the problem, whose choices may be answered by their text; empty: none is known. To a checker
    of one's own (`contained`), `reference` is the whole problem as JSON.
    """

    op: Literal["check", "fault"]
    text: str
    reference: str
    mode: Form
    cut: bool
    question: str


Fields = list[str | None]
"""Outcome, candidate, stage and reason of a verdict, and the score where one's own checker judges; of `fault`, the one
reason why a reference can't be used."""
Handler = Callable[[Request], Fields]


@dataclass(frozen=True)
class Reply:
    """The result of one request and the milliseconds it took, or why there is none."""

    fields: Fields
    ms: float | None = None
    failed: Failure | None = None

    @classmethod
    def read(cls, data: bytes) -> Reply:
        """The reply in a message, without its header."""
        fields, ms, failed = json.loads(data)
        return cls(fields, ms, None if failed is None else Failure(failed))

    def packed(self) -> bytes:
        """The reply as a message."""
        return packed([self.fields, self.ms, self.failed])


def packed(message: object) -> bytes:
    """A message with its length in front."""
    data = json.dumps(message, separators=(",", ":")).encode("ascii")
    return len(data).to_bytes(HEADER, "big") + data


def read_request(stream: BinaryIO) -> Request | None:
    """The next request, or None at the end of the stream."""
    head = stream.read(HEADER)
    if len(head) < HEADER:
        return None
    request: Request = json.loads(stream.read(int.from_bytes(head, "big")))
    return request


def write(stream: BinaryIO, reply: Reply) -> None:
    """Send a reply."""
    stream.write(reply.packed())
    stream.flush()


def die_with_parent(parent: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Ask Linux for this signal when the parent's thread that started this process ends."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)


SEALED = MappingProxyType({"RLIMIT_FSIZE": 0, "RLIMIT_NPROC": 0, "RLIMIT_NOFILE": 64})
"""The limits of a process that writes no files and starts no others."""


def limit_resources(memory_mb: int, caps: Mapping[str, int] = SEALED) -> None:
    """Cap memory, core dumps and what `caps` names, as far as the platform has the limit."""
    import resource

    for name, cap in {"RLIMIT_AS": memory_mb << 20, "RLIMIT_CORE": 0, **caps}.items():
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        try:
            resource.setrlimit(kind, (cap, cap))
        except (ValueError, OSError):  # a platform that names the limit and refuses it
            continue


class _Loading:
    """The time that a worker spends on loading a library within a request: the parent is told, and it isn't counted."""

    def __init__(self, target: BinaryIO, seconds_per_request: float) -> None:
        self._target, self._allowed = target, seconds_per_request
        self._since = 0.0
        self.seconds = 0.0

    def begun(self) -> None:
        """Stop the timer and say that the result takes longer."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        write(self._target, Reply([], failed=Failure.LOADING))
        self._since = time.perf_counter()

    def done(self) -> None:
        """Start the timer anew."""
        self.seconds += time.perf_counter() - self._since
        signal.setitimer(signal.ITIMER_REAL, self._allowed)


def serve(handler: Handler, arguments: list[str]) -> None:
    """Say hello, then answer requests until the input ends; one that needs too much memory ends the process.

    The arguments are the seconds per request, the megabytes of memory and the parent's process id.
    """
    timeout, memory_mb, parent = float(arguments[0]), int(arguments[1]), int(arguments[2])
    die_with_parent(parent)
    limit_resources(memory_mb)
    sys.set_int_max_str_digits(20_000)
    source, target = sys.stdin.buffer, sys.stdout.buffer
    write(target, Reply([]))
    loading = _Loading(target, timeout + GRACE)
    Waits.before, Waits.after = loading.begun, loading.done
    while (request := read_request(source)) is not None:
        signal.setitimer(signal.ITIMER_REAL, timeout + GRACE)
        start, loading.seconds = time.perf_counter(), 0.0
        try:
            fields = handler(request)
            reply = Reply(fields, 1000 * (time.perf_counter() - start - loading.seconds))
        except MemoryError:
            write(target, Reply([], failed=Failure.MEMORY))
            os._exit(3)
        signal.setitimer(signal.ITIMER_REAL, 0)
        write(target, reply)


def judge(request: Request) -> Fields:
    """The result of one request of the checker."""
    text, reference, mode = request["text"], request["reference"], request["mode"]
    if request["op"] == "fault":
        return [fault_of_reference(reference)]
    question = asked(request["question"])
    if mode == "bare":
        verdict = check_answer(text, reference, asked=question)
    else:
        verdict = check(text, reference, mode, cut=request["cut"], asked=question)
    return [verdict.outcome, verdict.candidate, verdict.stage, verdict.reason]


def main() -> None:
    """Serve verdicts, with what most of them need imported beforehand."""
    import mpmath  # noqa: F401 - the first evaluation would wait for it

    serve(judge, sys.argv[1:])


if __name__ == "__main__":
    main()
