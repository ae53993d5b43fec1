"""Which engine `auto` stands for, and a sampler of an engine by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from selfimprove.recipe import Runtime
from selfimprove.sampling import Sampler

Engine = Literal["transformers", "vllm"]


def choose_engine(asked: Literal["auto", "transformers", "vllm"], vllm_installed: bool, gpu_seen: bool) -> Engine:
    """The engine asked for; `auto` is vLLM where it is installed and a GPU is seen, else transformers.

    Without a GPU no size of run pays for vLLM: on two cores it takes 15 to 50 s to start and then samples 522 tokens a
    second of the embedded model, where the transformers engine samples 816 to 1,016 (docs/performance.md).
    """
    if asked != "auto":
        return asked
    return "vllm" if vllm_installed and gpu_seen else "transformers"


def open_sampler(engine: str, model: Path, runtime: Runtime, adapter: Path | None = None) -> Sampler:
    """A sampler of that engine on a model folder, with a LoRA adapter added in memory if one is named.

    The engine's library is imported here.
    """
    match engine:
        case "vllm":
            from selfimprove.engines.vllm import VllmSampler

            vllm: Sampler = VllmSampler(model, runtime, adapter=adapter)
            return vllm
        case _:
            from selfimprove.engines.transformers import TransformersSampler

            return TransformersSampler(model, runtime, adapter=adapter)


def promises(engine: str, runtime: Runtime) -> dict[str, bool]:
    """Whether equal chunks give equal completions again, and whether attention is compiled, in this process."""
    from selfimprove.engines.native import compiler
    from selfimprove.models.gpus import choose_device, gpus_here

    gpu = gpus_here().usable() if engine == "vllm" else choose_device(runtime.device).type != "cpu"
    return {"reproducible": not gpu, "compiled_attention": engine == "transformers" and not gpu and bool(compiler())}
