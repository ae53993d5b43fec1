"""The child process of the vLLM engine: owns the model, answers each load of requests with its completions.

Run as `python -m selfimprove.engines.vllm_worker REQUESTS REPLIES PARENT`: two inherited file descriptors and the
process id of the parent. Both directions carry JSON lines (`vllm_messages`). The first line in is the set-up, the first
line out says that the model is loaded; after that each line in is a load (a chunk, or on a GPU many that are sampled
together), and each line out the completions of one, in the order of its requests. vLLM writes its log to standard
output and error, which the parent points at a file, so the protocol has descriptors of its own. A failure is an
exception with its traceback in that log, and the end of this process.

All arguments of vLLM's engine and of its sampling come from two pure functions, `engine_arguments` and
`sampling_arguments`, so tests can hold them against vLLM's own checks where there is no GPU.

*One process.* With `VLLM_ENABLE_V1_MULTIPROCESSING=0` vLLM runs its scheduler and its model in the caller's process.
There is then no EngineCore process to be orphaned and no socket of it to be left behind, and, above all, scheduling is
deterministic: every request of a load is queued before the first step, where a separate core starts stepping while
requests still arrive, and so batches them differently each time.

*What a GPU holds.* Chunks of up to `MOST_ROWS` rows in all are a load, and as many rows run at once. With fewer, a step
takes as long as reading the weights does, however few they are; with more, it takes as much longer as there are more
rows (docs/scale.md). vLLM lets rows wait that its KV cache has no room for, so a load may ask for `QUEUED` times that
room: few completions are as long as they might be. The parent sends several loads ahead (`vllm.AHEAD`), whose rows
follow those that end (`vllm_loads`).

*Nothing from outside the load.* Prefix caching spares rows of one problem the same prefill. On a processor a load is
one chunk and comes alone, and the prefix cache is emptied before it, because a cached prefix changes the shape of a
prefill and with it the rounding. On a GPU, where loads overlap, the same ids are not promised.

*No chunked prefill on a processor.* A seeded request whose prefill is split makes vLLM rewind its generator, which only
a GPU's can ("CPU Generator does not use offset"). With `enable_chunked_prefill=False` a prompt that doesn't fit into
what a step has left waits for the next step.

*No orphans.* A thread watches the pipe of requests and the parent's process id from before vLLM is imported, and when
the parent is gone kills the whole process group. PR_SET_PDEATHSIG is not used: it would kill this process before it can
end its own children, and it fires when the *thread* that started this process ends.
"""

from __future__ import annotations

import json
import math
import os
import queue
import select
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from selfimprove.engines.gpus import CONTEXT_MIB
from selfimprove.engines.vllm_loads import Loads, serve
from selfimprove.engines.vllm_messages import LORA_ROOMS, Load, Message, Ready, Row, Sampled, Setup, to_line
from selfimprove.models.gpus import gpus_here
from selfimprove.sampling import StopReason

if TYPE_CHECKING:
    from vllm import LLM
    from vllm.lora.request import LoRARequest
    from vllm.outputs import CompletionOutput

CPU_CACHE_BYTES = 2 << 30
"""Largest KV cache without a GPU: 93,000 tokens of the embedded model."""

GPU_SHARE = 0.92
"""Share of the free GPU memory that weights, activations and KV cache may take."""

LEAST_GPU_SHARE = 0.01
"""Asked for where nothing is free: vLLM wants a share above 0, and its own refusal says how much memory there is."""

MOST_ROWS = 256
"""Most rows of a load on a GPU, and most that run at once: further loads in hand wait in vLLM's queue."""

QUEUED = 4
"""Padded tokens of a load on a GPU, as a multiple of the tokens that the KV cache has room for."""

STOPS: Mapping[str | None, StopReason] = {"stop": StopReason.EOS, "length": StopReason.LENGTH}
"""Stop reasons by vLLM's `finish_reason`; no other may occur."""


@dataclass(frozen=True)
class Machine:
    """What only the worker finds out: whether vLLM runs on a processor, and the size of its KV cache there.

    `gpu_memory` is as in `Setup`, where that is empty.
    """

    on_cpu: bool
    cpu_cache_bytes: int
    gpu_memory: Sequence[Sequence[int]] = ()


def main() -> None:
    """Serve loads until the parent ends this process; if the parent dies, the whole group is killed."""
    requests_fd, replies_fd, parent = (int(argument) for argument in sys.argv[1:4])
    for descriptor in (requests_fd, replies_fd):
        os.set_inheritable(descriptor, False)
    threading.Thread(target=_end_with_parent, args=(requests_fd, parent), daemon=True).start()
    # Not closed before the process ends: the parent takes the end of the replies for that, and then kills the group.
    requests = os.fdopen(requests_fd, encoding="utf-8", closefd=False)
    replies = os.fdopen(replies_fd, "w", encoding="utf-8", closefd=False)
    setup = Setup(**json.loads(requests.readline()))
    machine = _machine(setup)
    engine = _start(setup, machine)
    stop_ids = _stop_ids(engine)
    rows, tokens = (0, 0) if machine.on_cpu else held(engine)
    lora = _lora(setup)
    length = engine.model_config.max_model_len
    _reply(replies, Ready(reproducible=machine.on_cpu, max_model_len=length, rows=rows, tokens=tokens))
    inbox: queue.SimpleQueue[Load | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests, inbox), daemon=True).start()

    def enqueue(rows: Sequence[Row]) -> Sequence[str]:
        return _enqueue(engine, stop_ids, rows, lora, alone=machine.on_cpu)

    loads = Loads(engine, enqueue, lambda output: _sampled(output, stop_ids))
    serve(inbox, loads, lambda answer: _reply(replies, answer))


def _read(requests: IO[str], inbox: queue.SimpleQueue[Load | None]) -> None:
    for line in requests:
        inbox.put(Load.read(line))
    inbox.put(None)


def _end_with_parent(requests_fd: int, parent: int) -> None:
    # The hang-up comes when the last writer of the pipe is gone. A process forked by the parent may still hold the
    # pipe then, hence the look at the parent's id as well. Registering for no events leaves the reading to `main`.
    poller = select.poll()
    poller.register(requests_fd, 0)
    while not poller.poll(500) and os.getppid() == parent:
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _reply(replies: IO[str], message: Message) -> None:
    replies.write(to_line(message))
    replies.flush()


def _machine(setup: Setup) -> Machine:
    import psutil
    from vllm.platforms import current_platform

    on_cpu, cache = bool(current_platform.is_cpu()), min(CPU_CACHE_BYTES, psutil.virtual_memory().available // 4)
    return Machine(on_cpu, cache, () if on_cpu else own_memory(setup))


def own_memory(setup: Setup) -> list[tuple[int, int]]:
    """Free and all MiB of this process's one GPU where the driver's tool tells nothing, as of a part of a GPU."""
    if setup.gpu_memory or setup.tensor_parallel > 1:
        return []
    gpu = gpus_here().memory("cuda")
    return [(gpu.free >> 20, gpu.total >> 20)]


def _start(setup: Setup, machine: Machine) -> LLM:
    from vllm import LLM

    rank = _rank(setup.adapter) if setup.adapter else 0
    engine = LLM(**engine_arguments(setup, rank, machine))
    # Without an EngineCore process nobody listens when a GPU's process dies, and the next step would wait for ever.
    engine.llm_engine.model_executor.register_failure_callback(lambda: os._exit(1))
    return engine


def engine_arguments(setup: Setup, rank: int, machine: Machine) -> dict[str, object]:
    """All keyword arguments of vLLM's `LLM`; `rank` is that of the set-up's adapter."""
    common = {
        "model": setup.model,
        # Not "auto", which would turn float32 into bfloat16: the model sampled would not be the one that is trained.
        "dtype": setup.dtype,
        # -1 is the model's own length, or the longest that the KV cache has room for.
        "max_model_len": setup.max_model_len or -1,
        "trust_remote_code": setup.trust_remote_code,
        "tensor_parallel_size": setup.tensor_parallel,
        # Not "auto": vLLM would fill in what the model's generation config says, penalties on greedy rows included.
        "generation_config": "vllm",
        "enable_prefix_caching": True,
        "seed": 0,
    }
    if setup.adapter:
        common |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": lora_room(rank)}
    if machine.on_cpu:
        # Eager: compiling makes the first start a minute and a half longer, and sampling a fifth faster.
        eager = {"enforce_eager": True, "enable_chunked_prefill": False}
        return common | eager | {"kv_cache_memory_bytes": machine.cpu_cache_bytes}
    share = gpu_share(setup.gpu_memory or machine.gpu_memory)
    return common | {"gpu_memory_utilization": share, "max_num_seqs": MOST_ROWS}


def lora_room(rank: int) -> int:
    """The least of the ranks that vLLM makes room for in which a LoRA of this rank, at most the last one, fits."""
    return next(room for room in LORA_ROOMS if room >= rank)


def _rank(adapter: str) -> int:
    config: Mapping[str, object] = json.loads(Path(adapter, "adapter_config.json").read_text(encoding="utf-8"))
    return int(str(config["r"]))


def _lora(setup: Setup) -> LoRARequest | None:
    if not setup.adapter:
        return None
    from vllm.lora.request import LoRARequest

    return LoRARequest("step", 1, setup.adapter)


def held(engine: LLM) -> tuple[int, int]:
    """Rows and padded tokens of a load on this engine's GPUs."""
    config = engine.llm_engine.vllm_config
    tokens = config.cache_config.kv_cache_size_tokens or 0
    return min(MOST_ROWS, config.scheduler_config.max_num_seqs), QUEUED * tokens


def gpu_share(memory: Sequence[Sequence[int]]) -> float:
    """vLLM's `gpu_memory_utilization`, from (free, total) MiB of each GPU.

    vLLM refuses to start if this share of the *total* memory isn't free on every one of its GPUs, and looks when each
    of them already holds a context. So the share is taken of what is free, and the fullest GPU decides.
    """
    shares = [GPU_SHARE * (free - CONTEXT_MIB) / total for free, total in memory]
    return max(LEAST_GPU_SHARE, math.floor(min(shares, default=GPU_SHARE) * 1000) / 1000)


def _stop_ids(engine: LLM) -> list[int]:
    # Every id that ends a turn, by the generation config (or the model's config, without one) and by the tokenizer.
    own = engine.model_config.try_get_generation_config().get("eos_token_id")
    ids = {*(own if isinstance(own, list) else [own]), engine.get_tokenizer().eos_token_id}
    return sorted(stop for stop in ids if stop is not None)


def _enqueue(
    engine: LLM, stop_ids: Sequence[int], rows: Sequence[Row], lora: LoRARequest | None, *, alone: bool
) -> Sequence[str]:
    """Add the rows to the engine's queue; returns vLLM's names for them. `alone`: nothing before them may matter."""
    from vllm import SamplingParams

    if alone and not engine.reset_prefix_cache():
        raise RuntimeError("vLLM kept its cached prefixes, and this load would depend on the ones before it")
    params = [SamplingParams(**sampling_arguments(row, stop_ids)) for row in rows]
    prompts = [{"prompt_token_ids": row.prompt_ids} for row in rows]
    names: Sequence[str] = engine.enqueue(prompts, params, use_tqdm=False, lora_request=lora)
    return names


def sampling_arguments(row: Row, stop_ids: Sequence[int]) -> dict[str, object]:
    """All keyword arguments of vLLM's `SamplingParams` for one row: its parameters under their own names."""
    given = {name: value for name, value in vars(row).items() if name != "prompt_ids"}
    return {**given, "stop_token_ids": list(stop_ids), "detokenize": False}


def _sampled(output: CompletionOutput, stop_ids: Sequence[int]) -> Sampled:
    token_ids = list(output.token_ids)
    stop = STOPS[output.finish_reason]
    if (stop == StopReason.EOS) != (token_ids[-1] in stop_ids):
        raise RuntimeError(f"stopped by {output.finish_reason!r} after token {token_ids[-1]}, which contradict")
    return Sampled(token_ids=token_ids, stop=stop)


if __name__ == "__main__":
    main()
