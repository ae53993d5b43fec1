"""The child process of the vLLM engine: owns the model, answers one chunk of requests with one chunk of completions.

Run as `python -m selfimprove.engines.vllm_worker REQUESTS REPLIES PARENT`: two inherited file descriptors and the
process id of the parent. Both directions carry JSON lines (`vllm_messages.py`). The first line in is the set-up, the
first line out says what came of it; after that each line in is a chunk, and each line out its completions, in the order
of the requests.
vLLM writes its log to standard output and error, which the parent points at a file, so the protocol has descriptors of
its own. A failure is an exception with its traceback in that log, and the end of this process.

*One process.* With `VLLM_ENABLE_V1_MULTIPROCESSING=0` vLLM runs its scheduler and its model in the caller's process.
There is then no EngineCore process to be orphaned and no socket of it to be left behind, and, above all, scheduling is
deterministic: every request of a chunk is queued before the first step, where a separate core starts stepping while
requests still arrive, and so batches them differently each time.

*Nothing from outside the chunk.* Prefix caching spares rows of one problem the same prefill, and is emptied before each
chunk, because a cached prefix changes the shape of a prefill and with it the rounding.

*No cut prompts on a processor.* A seeded request whose prefill is cut makes vLLM rewind its generator, which only a
GPU's can ("CPU Generator does not use offset"). There `enable_chunked_prefill=False` makes a prompt that doesn't fit in
what a step has left wait for the next step.

*Arguments apart from the start.* `engine_arguments` and `sampling_arguments` are functions of values alone, so that the
tests can hand exactly what a GPU would be given to vLLM's own checks on a machine that has none.

*No CUDA before the engine.* How much GPU memory is free is told by the parent, which asks the driver. A CUDA context of
this process would take memory on the first GPU, and vLLM's workers for the others couldn't be forked from it; they are
spawned in any case, since a forked one would inherit the pipes and keep them open.

*No orphans.* A thread watches the pipe of requests and the parent's process id from before vLLM is imported, and when
the parent is gone kills the whole process group. PR_SET_PDEATHSIG is not used: it would kill this process before it can
end its own children, and it fires when the *thread* that started this process ends.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from selfimprove.engines.vllm_messages import Ready, Row, Sampled, Setup, from_line, to_line

if TYPE_CHECKING:
    from vllm import LLM
    from vllm.outputs import CompletionOutput

CPU_CACHE_BYTES = 2 << 30
"""Most memory for keys and values without a GPU: 93,000 tokens of the embedded model."""

GPU_SHARE = 0.92
"""Share of the free GPU memory that weights, activations and cache may take."""


def main() -> None:
    """Serves chunks until the parent ends this process; nothing is left of its group when the parent is gone."""
    requests_fd, replies_fd, parent = (int(argument) for argument in sys.argv[1:4])
    for descriptor in (requests_fd, replies_fd):
        os.set_inheritable(descriptor, False)
    threading.Thread(target=_end_with_parent, args=(requests_fd, parent), daemon=True).start()
    # Not closed before the process ends: the parent takes the end of the replies for that, and then kills the group.
    requests = os.fdopen(requests_fd, encoding="utf-8", closefd=False)
    replies = os.fdopen(replies_fd, "w", encoding="utf-8", closefd=False)
    (setup,) = from_line(requests.readline(), Setup)
    engine, ready = _start(setup)
    _reply(replies, [ready])
    for line in requests:
        _reply(replies, _sample(engine, ready.stop_ids, from_line(line, Row)))


def _end_with_parent(requests_fd: int, parent: int) -> None:
    # The hang-up comes when the last writer of the pipe is gone. A process forked by the parent may still hold the
    # pipe then, hence the look at the parent's id as well. Registering for no events leaves the reading to `main`.
    poller = select.poll()
    poller.register(requests_fd, 0)
    while not poller.poll(500) and os.getppid() == parent:
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _reply(replies: IO[str], messages: Sequence[Ready] | Sequence[Sampled]) -> None:
    replies.write(to_line(messages))
    replies.flush()


def _start(setup: Setup) -> tuple[LLM, Ready]:
    from vllm import LLM
    from vllm.platforms import current_platform

    on_cpu = bool(current_platform.is_cpu())
    engine = LLM(**engine_arguments(setup, cache_bytes=_cpu_cache_bytes() if on_cpu else None))
    length = engine.model_config.max_model_len
    return engine, Ready(reproducible=on_cpu, max_model_len=length, stop_ids=_stop_ids(engine))


def engine_arguments(setup: Setup, cache_bytes: int | None) -> dict[str, Any]:
    """What vLLM's engine is started with; `cache_bytes` is the size of the KV cache on a processor, None on a GPU."""
    shared = {
        "model": setup.model,
        "dtype": _own_dtype(setup.model),
        # -1 is the model's own length, or the longest that the cache has room for.
        "max_model_len": setup.max_model_len or -1,
        "trust_remote_code": setup.trust_remote_code,
        "tensor_parallel_size": setup.tensor_parallel,
        "enable_prefix_caching": True,
        "seed": 0,
    }
    if cache_bytes is None:
        # vLLM refuses to start if its share of the *total* memory isn't free, so the share is taken from what is free.
        return {**shared, "gpu_memory_utilization": round(GPU_SHARE * setup.free_memory, 3)}
    # Eager: compiling makes the first start a minute and a half longer, and sampling a fifth faster.
    return {**shared, "enforce_eager": True, "enable_chunked_prefill": False, "kv_cache_memory_bytes": cache_bytes}


def _own_dtype(model: str) -> str:
    # "auto" would turn float32 into bfloat16: the model sampled would not be the one that is trained.
    config: dict[str, Any] = json.loads(Path(model, "config.json").read_text(encoding="utf-8"))
    return str(config.get("dtype") or config.get("torch_dtype") or "auto")


def _cpu_cache_bytes() -> int:
    import psutil

    return int(min(CPU_CACHE_BYTES, psutil.virtual_memory().available // 4))


def _stop_ids(engine: LLM) -> list[int]:
    # Every id that ends a turn, by the generation config (or the model's config, without one) and by the tokenizer.
    own = engine.model_config.try_get_generation_config().get("eos_token_id")
    ids = {*(own if isinstance(own, list) else [own]), engine.get_tokenizer().eos_token_id}
    return sorted(stop for stop in ids if stop is not None)


def _sample(engine: LLM, stop_ids: list[int], chunk: list[Row]) -> list[Sampled]:
    from vllm import SamplingParams

    defaults: dict[str, Any] = engine.model_config.get_diff_sampling_param()
    params = [SamplingParams(**sampling_arguments(row, defaults, stop_ids)) for row in chunk]
    engine.reset_prefix_cache()
    prompts = [{"prompt_token_ids": row.prompt_ids} for row in chunk]
    outputs = engine.generate(prompts, params, use_tqdm=False)
    return [_completion(output.outputs[0], stop_ids) for output in outputs]


def sampling_arguments(row: Row, defaults: dict[str, Any], stop_ids: list[int]) -> dict[str, Any]:
    """The sampling parameters of a row: what it leaves open is as the model's generation config (`defaults`) has it."""
    asked = {"temperature": row.temperature, "top_p": row.top_p, "top_k": row.top_k}
    given = {name: value for name, value in asked.items() if value is not None}
    fixed = {"max_tokens": row.max_tokens, "seed": row.seed, "stop_token_ids": stop_ids}
    return {**defaults, **given, **fixed, "detokenize": False}


def _completion(output: CompletionOutput, stop_ids: list[int]) -> Sampled:
    token_ids = list(output.token_ids)
    stop: Literal["eos", "length"] = "eos" if output.finish_reason == "stop" else "length"
    if output.finish_reason not in ("stop", "length") or (stop == "eos") != (token_ids[-1] in stop_ids):
        raise RuntimeError(f"stopped by {output.finish_reason!r} after token {token_ids[-1]}, which contradict")
    return Sampled(token_ids=token_ids, stop=stop)


if __name__ == "__main__":
    main()
