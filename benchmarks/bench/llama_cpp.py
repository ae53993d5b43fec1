"""llama.cpp's server as one more engine to compare with: its own batching over as many slots as a chunk has rows.

The server is that of the package `xllamacpp`, which holds llama.cpp compiled for processors. It reads a GGUF file and
gets the same prompts as token ids, each request by a connection of its own, at the same temperature. Weights of four
bits need a quarter of the bytes of bfloat16 in each step; they are another, coarser model, which a run can't train.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from selfimprove.sampling import Request

WAIT_SECONDS = 3600.0


@contextmanager
def llama_server(model: Path, slots: int, context: int, threads: int) -> Iterator[str]:
    """The address of a server on the GGUF file with so many slots of `context` tokens each."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(model)
    settings.n_parallel = slots
    settings.n_ctx = slots * context
    settings.kv_unified = False
    settings.n_batch = settings.n_ubatch = 512
    settings.n_threads_http = slots + 2
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    settings.cache_prompt = False
    settings.verbosity = 0
    settings.warmup = False
    server = xllamacpp.Server(settings)
    try:
        yield str(server.listening_address)
    finally:
        del server


def sampled(address: str, chunk: Sequence[Request]) -> list[int]:
    """Tokens of each of the chunk's completions, all of which the server has at once."""
    with ThreadPoolExecutor(len(chunk)) as pool:
        return list(pool.map(lambda request: _completed(address, request), chunk))


def _completed(address: str, request: Request) -> int:
    decoding = request.decoding
    asked = {
        "prompt": list(request.prompt_ids),
        "n_predict": request.max_new_tokens,
        "temperature": decoding.temperature,
        "top_p": decoding.top_p or 1.0,
        "top_k": decoding.top_k or 0,
        "min_p": 0.0,
        "seed": request.seed % 2**31,
        "cache_prompt": False,
    }
    sent = urllib.request.Request(
        f"{address}/completion", json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(sent, timeout=WAIT_SECONDS) as reply:
        return int(json.load(reply)["tokens_predicted"])
