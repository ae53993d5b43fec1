"""How a float32 sum becomes a stored weight: to the nearest value, or stochastically where nearest would lose it.

A model as the hub has it is stored in bfloat16, so its weights lie *on* the grid of the type that the sum is rounded
to. A LoRA's update is mostly smaller than half a step of that grid, and rounding to nearest then puts nearly every
weight back where it was: the merge keeps a quarter of the update at 4e-4, and almost nothing at 1e-5. *Stochastic
rounding* moves a weight up with the probability of its place between two neighbours, so the merged weights equal the
sum on average, whatever its size. A base that was finer than the grid (a GGUF file, float32 weights) needs none of
this: its sums lie between grid points already, nearest keeps them on average too, and adding noise would only harm.

One threshold for each weight, drawn from the run's seed and the tensor's name, serves every round. A weight rounds up
where its sum passes its threshold, so from one round to the next only those weights change whose sum has moved past
it: the noise of a merge is that of its own update, and doesn't grow with the chain. The thresholds don't depend on the
number of threads or the device, so a rebuilt model has the same hash.

The thresholds are 16 bits of numpy's PCG64 (a documented stream), added to the float32 bits below bfloat16's last
place; what carries over rounds up. That is unbiased to 2^-16 of a step, also across powers of two.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from selfimprove.recipe import Rounding
from selfimprove.sampling import derive_seed

_BELOW = 0xFFFF
"""The bits of a float32 below bfloat16's last place."""


def way_of(weight: Tensor, rounding: Rounding) -> str:
    """How sums onto this weight of the base are rounded: `nearest` or `stochastic`."""
    if rounding.dtype != "bfloat16" or not weight.is_floating_point():
        return "nearest"
    if rounding.way == "auto":
        on_grid = weight.dtype == torch.bfloat16 or torch.equal(weight.to(torch.bfloat16).to(weight.dtype), weight)
        return "stochastic" if on_grid else "nearest"
    return rounding.way


def stored(name: str, exact: Tensor | None, weight: Tensor, rounding: Rounding) -> Tensor:
    """The float32 sum `exact` in the stored type, rounded as `way_of` says.

    `weight` is the base's tensor; where `exact` is None no adapter changes it, and it is rounded to nearest itself.
    Equal arguments give equal bits on every machine and with every number of threads.
    """
    target: torch.dtype = getattr(torch, rounding.dtype)
    if exact is None:
        return weight.to(target) if weight.is_floating_point() else weight
    if way_of(weight, rounding) == "nearest":
        return exact.to(target)
    noise = thresholds(derive_seed(rounding.seed, "rounding", name), 0, exact.numel(), exact.device)
    return round_sum(exact, noise.view(exact.shape), target)


def thresholds(seed: int, first: int, count: int, device: torch.device) -> Tensor:
    """The thresholds, 16 bits each as int32, of `count` weights from place `first`, which 4 must divide."""
    words = np.random.PCG64(seed).advance(first // 4).random_raw(-(-count // 4))
    if device.type == "cpu":
        return torch.from_numpy(words.view(np.uint16)[:count].astype(np.int32))
    # Half the bytes to move, and torch has few operations on unsigned numbers.
    return torch.from_numpy(words.view(np.int16)[:count]).to(device).to(torch.int32).bitwise_and_(_BELOW)


def round_sum(exact: Tensor, noise: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Sums in the stored type: to the nearest value, or up where they pass their threshold, if there are any.

    Where one is not finite, all are rounded to nearest: a merge with such a weight fails.
    """
    if noise is None or not all_finite(exact):
        return exact.to(dtype)
    bits = exact.contiguous().view(torch.int32) + noise
    return bits.bitwise_and_(~_BELOW).view(torch.float32).to(dtype)


def all_finite(values: Tensor) -> bool:
    """Whether every number is finite; a NaN is the largest and the smallest of those it stands among."""
    if not values.numel() or not values.is_floating_point():
        return True
    return bool(torch.isfinite(torch.stack(torch.aminmax(values))).all())
