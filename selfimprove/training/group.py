"""One training in several processes of this machine, started from inside the one command.

`train_in_group` starts `train_processes` children, each of which joins a process group (gloo on processors, nccl on
GPUs) and does its part; the first one tells its steps to the parent through a pipe, and its counts in the end. The
parent computes nothing.

*No child outlives its parent.* Each child holds one end of a pipe whose other end the parent alone holds; when that
closes, however the parent ended, a thread of the child ends it. *No parent waits for a dead group:* when a child
fails or dies, the parent ends the others. A `StageError` of a child is raised in the parent as it is; a child that
dies without a word (out of memory, say) is a `StageError` that names its exit code; any other error is a bug, and is
raised with the child's traceback. Ctrl-C reaches the parent alone.

Under `accelerate launch` or `torchrun` the processes are there already (`is_member`), and nothing is started.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from selfimprove.errors import StageError
from selfimprove.recipe import Runtime

Part = Callable[[Any, Runtime, Callable[[int, int, float, float], None]], dict[str, Any]]
"""One process's part of the training: (job, runtime, what hears the steps) to the counts."""


@dataclass(frozen=True)
class _Member:
    process: SpawnProcess
    pipe: Connection


def is_member() -> bool:
    """Whether this process was started as one of a group."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def train_in_group(
    part: Part,
    job: Any,  # noqa: ANN401 - handed on as it is
    runtime: Runtime,
    on_step: Callable[[int, int, float, float], None],
) -> dict[str, Any]:
    """The first process's counts, after all have done their part; `on_step` hears its steps."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    members = [_start(part, job, runtime, rank, port) for rank in range(runtime.train_processes)]
    try:
        return _listen(members, on_step)
    finally:
        for member in members:
            member.pipe.close()
            member.process.kill()
            member.process.join()


def _start(part: Part, job: Any, runtime: Runtime, rank: int, port: int) -> _Member:  # noqa: ANN401 - handed on
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    own = runtime.model_copy(update={"threads": max(1, runtime.usable_threads() // runtime.train_processes)})
    process = context.Process(target=_join, args=(part, job, own, rank, port, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Member(process, ours)


def _listen(members: list[_Member], on_step: Callable[[int, int, float, float], None]) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    owed = {member.pipe: member for member in members}
    while owed:
        for pipe in wait(list(owed)):
            assert isinstance(pipe, Connection)
            try:
                kind, content = pipe.recv()
            except EOFError:
                raise _death(owed[pipe].process) from None
            match kind:
                case "step":
                    on_step(*content)
                case "done":
                    counts = content or counts
                    del owed[pipe]
                case "stage":
                    raise StageError(*content)
                case _:
                    raise RuntimeError(f"a training process failed:\n{content}")
    return counts


def _death(process: SpawnProcess) -> StageError:
    process.join()
    return StageError(
        f"{process.name} of the training died with exit code {process.exitcode}",
        "If memory ran out, lower training.micro_tokens in a new run, or --train-processes.",
    )


def _join(part: Part, job: Any, runtime: Runtime, rank: int, port: int, pipe: Connection) -> None:  # noqa: ANN401 - handed on
    """The life of a child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends the group
    threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": runtime.train_processes, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in own.items()} | {"MASTER_ADDR": "127.0.0.1"})
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    try:
        counts = part(job, runtime, lambda *step: pipe.send(("step", step)))
        pipe.send(("done", counts if rank == 0 else None))
    except StageError as error:
        pipe.send(("stage", (error.message, error.hint)))
    except Exception:  # noqa: BLE001 - whatever it is, the parent raises it with this traceback
        pipe.send(("bug", traceback.format_exc()))


def _end_with_parent(pipe: Connection) -> None:
    """Wait for the parent's end of the pipe to close, and end this process."""
    try:
        pipe.recv()
    except (EOFError, OSError):
        os._exit(1)
