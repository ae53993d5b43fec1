"""One training in several processes of this machine, started from inside the one command.

`train_in_group` starts `train_processes` children, each of which joins a process group (gloo on processors, nccl on
GPUs) and trains; each sends the parent what it did through a pipe, and rank 0 its steps and counts. The parent computes
nothing.

*No child outlives its parent.* Each child holds one end of a pipe whose other end the parent alone holds; when that
closes, however the parent ended, a thread of the child ends it. *No parent waits for a dead group:* when a child
fails or dies, the parent ends the others. A `StageError` of a child is raised in the parent as it is; a child that ran
out of memory makes the whole attempt `Short`; one that dies without a word (killed by a system that ran out of memory,
say) is a `StageError` that names its exit code; any other error is a bug, and is raised with the child's traceback.
Ctrl-C reaches the parent alone.

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
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from selfimprove.engines.release import gpus_of
from selfimprove.errors import StageError
from selfimprove.recipe import Runtime
from selfimprove.round.machinery import OnStep, TrainCounts, TrainJob
from selfimprove.training.sizes import Short

Attempt = Callable[[TrainJob, OnStep], TrainCounts | Short]
"""Trains in the process that calls it."""


@dataclass(frozen=True)
class _Member:
    process: SpawnProcess
    pipe: Connection


@dataclass(frozen=True)
class _Stepped:
    """A child took an optimizer step; the numbers are what `OnStep` is called with."""

    numbers: tuple[int, int, float, float]


@dataclass(frozen=True)
class _Finished:
    """A child is done; rank 0 sends the counts, and any that ran out of memory says so."""

    counts: TrainCounts | Short | None


@dataclass(frozen=True)
class _Failed:
    """A child raised this `StageError`."""

    message: str
    hint: str


@dataclass(frozen=True)
class _Crashed:
    """A child raised anything else: a bug."""

    traceback: str


Message = _Stepped | _Finished | _Failed | _Crashed


def is_member() -> bool:
    """Whether this process was started as one of a group."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def gpus_awaited(runtime: Runtime) -> tuple[str, ...]:
    """The GPUs whose memory is waited for when a training ends, each process's; none by a member of a group.

    The others of the group may hold memory of the same GPUs, and end when they like.
    """
    return () if is_member() else gpus_of(runtime.device, runtime.train_processes)


def train_in_group(train: Attempt, job: TrainJob, on_step: OnStep) -> TrainCounts | Short:
    """Run `train` in as many processes as the job's runtime asks for; rank 0's counts, and its steps to `on_step`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    members = [_start(train, job, rank, port) for rank in range(job.runtime.train_processes)]
    try:
        return _listen(members, on_step)
    finally:
        for member in members:
            member.pipe.close()
            member.process.kill()
            member.process.join()


def _start(train: Attempt, job: TrainJob, rank: int, port: int) -> _Member:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    threads = max(1, job.runtime.usable_threads() // job.runtime.train_processes)
    own = replace(job, runtime=job.runtime.model_copy(update={"threads": threads}))
    process = context.Process(target=_run_child, args=(train, own, rank, port, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Member(process, ours)


def _listen(members: list[_Member], on_step: OnStep) -> TrainCounts | Short:
    """Rank 0's counts, once every child is done; `Short` as soon as one ran out of memory."""
    counts: TrainCounts | Short | None = None
    running = {member.pipe: member for member in members}
    while running:
        for pipe in wait(list(running)):
            assert isinstance(pipe, Connection)
            try:
                message: Message = pipe.recv()
            except EOFError:
                raise _death(running[pipe].process) from None
            match message:
                case _Stepped(numbers):
                    on_step(*numbers)
                case _Finished(Short()):
                    return Short()
                case _Finished(found):
                    counts = found or counts
                    del running[pipe]
                case _Failed(text, hint):
                    raise StageError(text, hint)
                case _Crashed(trace):
                    raise RuntimeError(f"a training process failed:\n{trace}")
    assert counts is not None  # rank 0 sends them when it is done
    return counts


def _death(process: SpawnProcess) -> StageError:
    process.join()
    return StageError(
        f"{process.name} of the training died with exit code {process.exitcode}",
        "If memory ran out, run the same command with --micro-tokens 256 --gradient-checkpointing on, or fewer "
        "--train-processes.",
    )


def _run_child(train: Attempt, job: TrainJob, rank: int, port: int, pipe: Connection) -> None:
    """Join the process group, train, and send the parent what came of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends the group
    threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": job.runtime.train_processes, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in own.items()} | {"MASTER_ADDR": "127.0.0.1"})
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    try:
        counts = train(job, lambda *numbers: pipe.send(_Stepped(numbers)))
        pipe.send(_Finished(counts if rank == 0 or isinstance(counts, Short) else None))
    except StageError as error:
        pipe.send(_Failed(error.message, error.hint))
    except Exception:  # noqa: BLE001 - whatever it is, the parent raises it with this traceback
        pipe.send(_Crashed(traceback.format_exc()))


def _end_with_parent(pipe: Connection) -> None:
    """Wait for the parent's end of the pipe to close, and end this process."""
    try:
        pipe.recv()
    except (EOFError, OSError):
        os._exit(1)
