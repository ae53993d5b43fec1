"""The GPU memory that the models of this process take."""

from __future__ import annotations


def take_gpu_peak() -> int | None:
    """This process's peak of GPU memory since the last call, in MiB, summed over GPUs; None where it uses none."""
    import torch

    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # untyped in torch
        return None
    devices = range(torch.cuda.device_count())
    peak = sum(torch.cuda.max_memory_allocated(device) for device in devices)
    for device in devices:
        torch.cuda.reset_peak_memory_stats(device)
    return peak >> 20
