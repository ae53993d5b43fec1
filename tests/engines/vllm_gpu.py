"""GPUs for vLLM where there are none: its own CUDA platform with told facts, and a GPU worker without a model.

vLLM takes its platform from plugins, which are entry points of installed packages: `install_gpus` writes such a package
into a folder, and a vLLM process with the folder on its PYTHONPATH believes in A100s. Everything before the weights is
vLLM's own: arguments, settings, their checks, the executor and its processes, the scheduler, the check of free memory.
In place of the model stands a worker that takes each next token from the request's seed (`told_token`). A driver's
tool, `nvidia-smi`, is written beside the package and tells the same figures.

`python tests/engines/vllm_gpu.py` reads lines of what a worker would pass (JSON) and prints what vLLM's
own checks make of each.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.paths import ROOT

MIB = 1 << 20
CACHE_BYTES = 3 * MIB
"""What is left for keys and values: less than the model's whole context, so that vLLM has to cut it."""
END = 2
"""The model's end-of-sequence token."""
CONTEXT_MIB = 900
"""What CUDA's context and NCCL's buffers take on each GPU before vLLM looks at what is free."""

DRIVER = """#!/bin/sh
case "$*" in
  *query-gpu=index*) printf '%s' '{index}' ;;
  *memory.free*) for gpu in $(echo "$2" | tr , ' '); do cat "$(dirname "$0")/gpu$gpu"; done ;;
  *memory.used*) echo 0 ;;
  *) exit 6 ;;
esac
"""


def install_gpus(folder: Path, memory: list[tuple[int, int]]) -> dict[str, str]:
    """GPUs with these MiB free and in all; returns the environment in which they are seen."""
    package = folder / "vllm_gpu-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm-gpu\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[vllm.platform_plugins]\ntold = tests.engines.vllm_gpu:platform\n")
    for index, (free, total) in enumerate(memory):
        (folder / f"gpu{index}").write_text(f"{free}, {total}\n")
    tool = folder / "nvidia-smi"
    tool.write_text(DRIVER.replace("{index}", "".join(f"{index}\n" for index in range(len(memory)))))
    tool.chmod(0o755)
    root = str(ROOT)
    return {
        "PATH": os.pathsep.join([str(folder), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([root, str(folder)]),
        "TOLD_GPUS": str(folder),
        "VLLM_CACHE_ROOT": str(folder / "cache"),
        # What a machine with a GPU has and this one may lack: vLLM's choice between its two model runners needs it.
        "VLLM_USE_V2_MODEL_RUNNER": "0",
    }


def platform() -> str | None:
    """The plugin: where vLLM finds its platform."""
    # vLLM looks at the model's class in a process of its own, and the class asks for kernels as it is imported.
    if "vllm.model_executor.models.registry" in sys.orig_argv:
        return None
    # The CUDA build's kernels, which the platform's module loads and this machine's build of vLLM doesn't have.
    for name in ("vllm._C_stable_libtorch", "vllm.vllm_flash_attn._vllm_fa2_C", "vllm.vllm_flash_attn._vllm_fa3_C"):
        sys.modules.setdefault(name, ModuleType(name))
    return "tests.engines.vllm_gpu_platform.Platform"


def visible() -> list[str]:
    return [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]


def memory_of(gpu: str) -> tuple[int, int]:
    """MiB free and in all once a process of vLLM has its context there."""
    free, total = Path(os.environ["TOLD_GPUS"], f"gpu{gpu}").read_text().split(",")
    return int(free) - CONTEXT_MIB, int(total)


def told_token(seed: int, place: int) -> int:
    """The token at this place of a completion: odd seeds end after as many tokens as their last digit says."""
    return END if seed % 2 and place == seed % 10 else 1000 + (seed * 31 + place) % 1000


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        answer = {
            "engines": [_or_refusal(lambda case=case: _engine(**case)) for case in asked["engines"]],
            "rows": [_or_refusal(lambda row=row: _row(row)) for row in asked["rows"]],
            "unknown": _unknown_settings(),
        }
        sys.stdout.write(f"ANSWER {json.dumps(answer)}\n")
        sys.stdout.flush()


def _or_refusal(check: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return check()
    except (TypeError, ValueError) as refusal:
        return {"refused": f"{type(refusal).__name__}: {refusal}"}


def _engine(gpus: str, arguments: dict[str, Any], folder: str) -> dict[str, Any]:
    """What vLLM makes of an engine's arguments before it loads weights, in a working directory.

    `key` is its part of the name under which it keeps what it compiles.
    """
    from vllm.engine.arg_utils import EngineArgs
    from vllm.platforms import current_platform
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.executor import Executor

    from tests.engines.vllm_gpu_worker import requested_memory

    os.environ["CUDA_VISIBLE_DEVICES"] = gpus
    os.chdir(folder)
    config = EngineArgs(**arguments).create_engine_config(UsageContext.LLM_CLASS)
    return {
        "platform": current_platform.device_type,
        "executor": Executor.get_class(config).__name__,
        "world": config.parallel_config.world_size_across_dp,
        "dtype": str(config.model_config.dtype),
        "max_model_len": config.model_config.max_model_len,
        "prefix_caching": config.cache_config.enable_prefix_caching,
        "key": config.compute_hash(),
        "requested": [requested_memory(gpu, config.cache_config) for gpu in visible()],
    }


def _row(arguments: dict[str, Any]) -> dict[str, Any]:
    """What vLLM makes of a row's arguments."""
    from vllm import SamplingParams

    params = SamplingParams(**arguments)
    return {name: getattr(params, name) for name in arguments}


def _unknown_settings() -> list[str]:
    """Variables of this environment that are addressed to vLLM, and that it doesn't know."""
    from vllm import envs

    return [name for name in os.environ if name.startswith("VLLM_") and name not in envs.environment_variables]


if __name__ == "__main__":
    main()
