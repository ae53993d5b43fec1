"""Where a merge sums and compares: on the runtime's GPU if that has the memory, else on the processor."""

from __future__ import annotations

import torch

from selfimprove.recipe import Runtime


def device_with(runtime: Runtime, free: int) -> torch.device:
    """The runtime's GPU if it has one with so many bytes free, else the processor."""
    name = ("cuda" if torch.cuda.is_available() else "cpu") if runtime.device == "auto" else runtime.device
    device = torch.device(name)
    roomy = device.type == "cuda" and torch.cuda.mem_get_info(device)[0] >= free
    return device if roomy else torch.device("cpu")
