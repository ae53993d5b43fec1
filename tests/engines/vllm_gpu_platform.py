"""The platform of `vllm_gpu.py`. vLLM imports it while it has no platform yet, so it needs little of vLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from vllm.platforms.cuda import CudaPlatform
from vllm.platforms.interface import DeviceCapability

from tests.engines.vllm_gpu import MIB, memory_of, visible

if TYPE_CHECKING:
    from vllm.config import VllmConfig

# Which kernels the build has for a GPU, asked as modules are imported: none.
KERNELS = torch.library.Library("_C", "FRAGMENT")
for question in ("scaled_mm_supports_fp8", "scaled_mm_supports_block_fp8", "scaled_mm_supports_fp4"):
    KERNELS.define(f"cutlass_{question}(int capability) -> bool")
    KERNELS.impl(f"cutlass_{question}", lambda capability: False, "CompositeExplicitAutograd")


class Platform(CudaPlatform):
    """vLLM's CUDA platform, told what it would ask the driver: one A100 for each name in CUDA_VISIBLE_DEVICES."""

    @classmethod
    def device_count(cls) -> int:
        return len(visible())

    @classmethod
    def get_device_capability(cls, device_id: int = 0) -> DeviceCapability:
        return DeviceCapability(8, 0)

    @classmethod
    def get_device_name(cls, device_id: int = 0) -> str:
        return "NVIDIA A100-SXM4-80GB"

    @classmethod
    def get_device_total_memory(cls, device_id: int = 0) -> int:
        return memory_of(visible()[device_id])[1] * MIB

    @classmethod
    def set_device(cls, device: torch.device) -> None:
        pass

    @classmethod
    def check_and_update_config(cls, vllm_config: VllmConfig) -> None:
        super().check_and_update_config(vllm_config)
        assert vllm_config.parallel_config.worker_cls == "vllm.v1.worker.gpu_worker.Worker"
        vllm_config.parallel_config.worker_cls = "tests.engines.vllm_gpu_worker.Worker"
