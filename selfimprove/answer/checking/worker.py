"""The process that answers are judged in: reads requests, writes verdicts, one at a time.

It is started as a fresh interpreter that imports `selfimprove.answer` and nothing else of the package, never forked
from a process that may hold a CUDA context. Requests and replies are JSON behind a four-byte length on its standard
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
from collections.abc import Callable
from typing import Any, BinaryIO

Handler = Callable[[dict[str, Any]], Any]
HEADER = 4  # bytes of length, big-endian
GRACE = 2.0  # seconds the timer in the worker leaves to the parent's deadline
_PR_SET_PDEATHSIG = 1


def packed(message: object) -> bytes:
    """A message with its length in front."""
    data = json.dumps(message, separators=(",", ":")).encode("ascii")
    return len(data).to_bytes(HEADER, "big") + data


def write_message(stream: BinaryIO, message: object) -> None:
    """Write one message whole."""
    stream.write(packed(message))
    stream.flush()


def read_message(stream: BinaryIO) -> Any:  # noqa: ANN401 - a message is any JSON value
    """The next message, or None at the end of the stream."""
    head = stream.read(HEADER)
    if len(head) < HEADER:
        return None
    return json.loads(stream.read(int.from_bytes(head, "big")))


def _die_with_parent(parent: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)


def _limit_resources(memory_mb: int) -> None:
    """Cap memory, file size, core dumps and processes, as far as the platform has the limit."""
    import resource

    caps = {"RLIMIT_AS": memory_mb << 20, "RLIMIT_CORE": 0, "RLIMIT_FSIZE": 0, "RLIMIT_NPROC": 0, "RLIMIT_NOFILE": 64}
    for name, cap in caps.items():
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        try:
            resource.setrlimit(kind, (cap, cap))
        except (ValueError, OSError):  # a platform that names the limit and refuses it
            continue


def serve(handler: Handler, arguments: list[str]) -> None:
    """Say hello, then answer requests until the input ends; one that needs too much memory ends the process.

    The arguments are the seconds per request, the megabytes of memory and the parent's process id.
    """
    timeout, memory_mb, parent = float(arguments[0]), int(arguments[1]), int(arguments[2])
    _die_with_parent(parent)
    _limit_resources(memory_mb)
    sys.set_int_max_str_digits(20_000)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    write_message(sink, {"hello": os.getpid()})
    while (request := read_message(source)) is not None:
        signal.setitimer(signal.ITIMER_REAL, timeout + GRACE)
        start = time.perf_counter()
        try:
            reply = {"ok": handler(request), "ms": 1000 * (time.perf_counter() - start)}
        except MemoryError:
            write_message(sink, {"failed": "memory"})
            os._exit(3)
        signal.setitimer(signal.ITIMER_REAL, 0)
        write_message(sink, reply)


def judge(request: dict[str, Any]) -> Any:  # noqa: ANN401 - a reply is any JSON value
    """The reply to one request of the checker: a verdict as a list, or a reference's fault."""
    import selfimprove.answer as answer

    if request["op"] == "fault":
        return answer.fault_of_reference(request["reference"])
    text, reference, mode = request["text"], request["reference"], request["mode"]
    verdict = answer.check_answer(text, reference) if mode == "bare" else answer.check(text, reference, mode)
    return [verdict.outcome, verdict.candidate, verdict.stage, verdict.reason]


def main() -> None:
    """Serve verdicts, with what most of them need imported beforehand."""
    import mpmath  # noqa: F401 - mpmath has no types; the first evaluation would wait for it

    import selfimprove.answer  # noqa: F401 - likewise

    serve(judge, sys.argv[1:])


if __name__ == "__main__":
    main()
