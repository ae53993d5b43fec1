"""Which engine `auto` stands for."""

from __future__ import annotations

from typing import Literal

Engine = Literal["transformers", "vllm"]


def choose_engine(asked: Literal["auto", "transformers", "vllm"], vllm_installed: bool, gpu_seen: bool) -> Engine:
    """The engine asked for; `auto` is vLLM where it is installed and a GPU is seen, else transformers.

    Without a GPU no size of run pays for vLLM: on two cores it takes 15 to 50 s to start and then samples 522 tokens a
    second of the embedded model, where the transformers engine samples 816 to 1,016 (docs/performance.md).
    """
    if asked != "auto":
        return asked
    return "vllm" if vllm_installed and gpu_seen else "transformers"
