"""Run in vLLM's environment: the engine configuration that vLLM makes of arguments where its platform is CUDA.

    python tests/vllm_on_cuda.py CASES

CASES is a JSON list of engine arguments, an object each. vLLM's own CUDA platform class is installed as the current
platform before anything asks for one; only what the driver (two H100s) and the compiled kernels would tell is told
here. Everything up to the loading of weights is then vLLM's own: `EngineArgs` refuses what it doesn't know, and
`create_engine_config` checks the rest. Prints a JSON list of what came of each, or the error that refused it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import types
from typing import Any

GPUS = 2
KERNELS = ("vllm._C_stable_libtorch", "vllm.vllm_flash_attn._vllm_fa2_C")
"""Compiled modules that only the wheel for CUDA has; nothing here calls them."""


LOOK = """
from vllm.model_executor.models.registry import ModelRegistry
ModelRegistry.models["LlamaForCausalLM"].inspect_model_cls()
"""
"""Has vLLM look at the model's class on the platform that is here, and keep what it saw in its cache."""


def install_cuda() -> None:
    """Make vLLM's current platform CUDA, with two H100s."""
    sys.modules |= {name: types.ModuleType(name) for name in KERNELS}
    import vllm.platforms
    from vllm.platforms.cuda import CudaPlatformBase
    from vllm.platforms.interface import DeviceCapability

    class H100(CudaPlatformBase):
        @classmethod
        def get_device_capability(cls, device_id: int = 0) -> DeviceCapability:
            return DeviceCapability(9, 0)

        @classmethod
        def get_device_name(cls, device_id: int = 0) -> str:
            return "NVIDIA H100 80GB HBM3"

        @classmethod
        def get_device_total_memory(cls, device_id: int = 0) -> int:
            return 80 << 30

        @classmethod
        def device_count(cls) -> int:
            return GPUS

        @classmethod
        def is_fully_connected(cls, device_ids: list[int]) -> bool:
            return True

    vllm.platforms._current_platform = H100()


def configured(arguments: dict[str, Any]) -> dict[str, Any]:
    """What vLLM makes of the arguments that `LLM` is given; its `error` if it refuses them."""
    from vllm.engine.arg_utils import EngineArgs

    try:
        config = EngineArgs(**arguments).create_engine_config()
    except (TypeError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {
        "device": config.device_config.device_type,
        "worker": config.parallel_config.worker_cls,
        "executor": config.parallel_config.distributed_executor_backend,
        "world_size": config.parallel_config.world_size,
        "data_parallel": config.parallel_config.data_parallel_size,
        "utilization": config.cache_config.gpu_memory_utilization,
        "dtype": str(config.model_config.dtype),
        "prefix_caching": config.cache_config.enable_prefix_caching,
        "chunked_prefill": config.scheduler_config.enable_chunked_prefill,
        "seed": config.model_config.seed,
    }


if __name__ == "__main__":
    subprocess.run([sys.executable, "-c", LOOK], check=True, stdout=subprocess.DEVNULL)
    install_cuda()
    sys.stdout.write(json.dumps([configured(arguments) for arguments in json.loads(sys.argv[1])]) + "\n")
