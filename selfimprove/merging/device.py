"""Where a merge sums and compares: on the runtime's device, or on the processor where that lacks memory or float64."""

from __future__ import annotations

import torch

from selfimprove.models.gpus import choose_device, gpus_here, has_float64
from selfimprove.recipe import Runtime

CPU = torch.device("cpu")


def device_with(runtime: Runtime, free: int) -> torch.device:
    """The runtime's device, or the processor where a GPU has less than that many bytes free."""
    device = choose_device(runtime.device)
    if device.type == "cuda" and gpus_here().memory(str(device)).free < free:
        return CPU
    return device


def summing_device(runtime: Runtime, free: int) -> torch.device:
    """As `device_with`, for sums in float64."""
    device = device_with(runtime, free)
    return device if has_float64(device) else CPU
