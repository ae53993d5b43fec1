"""The child process of the vLLM engine: owns the model, answers one chunk of requests with one chunk of completions.

Run as `python -m selfimprove.engines.vllm_worker REQUESTS REPLIES PARENT`: two inherited file descriptors and the
process id of the parent. Both directions carry JSON lines. The first line in is the set-up, the first line out says
what came of it; after that each line in is a chunk, and each line out its completions, in the order of the requests.
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
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

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
    engine, described = _start(json.loads(requests.readline()))
    _reply(replies, described)
    for line in requests:
        _reply(replies, _sample(engine, described["stop_ids"], json.loads(line)))


def _end_with_parent(requests_fd: int, parent: int) -> None:
    # The hang-up comes when the last writer of the pipe is gone. A process forked by the parent may still hold the
    # pipe then, hence the look at the parent's id as well. Registering for no events leaves the reading to `main`.
    poller = select.poll()
    poller.register(requests_fd, 0)
    while not poller.poll(500) and os.getppid() == parent:
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _reply(replies: IO[str], message: object) -> None:
    replies.write(json.dumps(message) + "\n")
    replies.flush()


def _start(setup: dict[str, Any]) -> tuple[LLM, dict[str, Any]]:
    from vllm import LLM
    from vllm.platforms import current_platform

    on_cpu = bool(current_platform.is_cpu())
    engine = LLM(
        model=setup["model"],
        dtype=_own_dtype(setup["model"]),
        # -1 is the model's own length, or the longest that the cache has room for.
        max_model_len=setup["max_model_len"] or -1,
        trust_remote_code=setup["trust_remote_code"],
        tensor_parallel_size=setup["tensor_parallel"],
        enable_prefix_caching=True,
        seed=0,
        **(_cpu_settings() if on_cpu else {**_gpu_settings(), "tensor_parallel_size": setup["gpus"]}),
    )
    limits = {"max_model_len": engine.model_config.max_model_len, "stop_ids": _stop_ids(engine)}
    return engine, {"reproducible": on_cpu, **limits}


def _own_dtype(model: str) -> str:
    # "auto" would turn float32 into bfloat16: the model sampled would not be the one that is trained.
    config: dict[str, Any] = json.loads(Path(model, "config.json").read_text(encoding="utf-8"))
    return str(config.get("dtype") or config.get("torch_dtype") or "auto")


def _cpu_settings() -> dict[str, Any]:
    # Eager: compiling makes the first start a minute and a half longer, and sampling a fifth faster.
    import psutil

    cache_bytes = min(CPU_CACHE_BYTES, psutil.virtual_memory().available // 4)
    return {"enforce_eager": True, "enable_chunked_prefill": False, "kv_cache_memory_bytes": cache_bytes}


def _gpu_settings() -> dict[str, Any]:
    # vLLM refuses to start if its share of the *total* memory isn't free, so the share is taken from what is free.
    import torch

    free, total = torch.cuda.mem_get_info()
    return {"gpu_memory_utilization": round(GPU_SHARE * free / total, 3)}


def _stop_ids(engine: LLM) -> list[int]:
    # Every id that ends a turn, by the generation config (or the model's config, without one) and by the tokenizer.
    own = engine.model_config.try_get_generation_config().get("eos_token_id")
    ids = {*(own if isinstance(own, list) else [own]), engine.get_tokenizer().eos_token_id}
    return sorted(stop for stop in ids if stop is not None)


def _sample(engine: LLM, stop_ids: list[int], chunk: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from vllm import SamplingParams

    defaults: dict[str, Any] = engine.model_config.get_diff_sampling_param()
    params = [SamplingParams(**_params(request, defaults, stop_ids)) for request in chunk]
    engine.reset_prefix_cache()
    prompts = [{"prompt_token_ids": request["prompt_ids"]} for request in chunk]
    outputs = engine.generate(prompts, params, use_tqdm=False)
    return [_completion(output.outputs[0], stop_ids) for output in outputs]


def _params(request: dict[str, Any], defaults: dict[str, Any], stop_ids: list[int]) -> dict[str, Any]:
    # What the request leaves open is as the model's generation config has it, a repetition penalty included.
    asked = {name: request[name] for name in ("temperature", "top_p", "top_k") if request[name] is not None}
    fixed = {"max_tokens": request["max_tokens"], "seed": request["seed"], "stop_token_ids": stop_ids}
    return {**defaults, **asked, **fixed, "detokenize": False}


def _completion(output: CompletionOutput, stop_ids: list[int]) -> dict[str, Any]:
    token_ids = list(output.token_ids)
    stop = {"stop": "eos", "length": "length"}[output.finish_reason]
    if (stop == "eos") != (token_ids[-1] in stop_ids):
        raise RuntimeError(f"stopped by {output.finish_reason!r} after token {token_ids[-1]}, which contradict")
    return {"token_ids": token_ids, "stop": stop}


if __name__ == "__main__":
    main()
