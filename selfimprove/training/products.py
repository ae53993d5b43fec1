"""Two operations of a frozen model with a LoRA, without what a frozen model does not need.

*LoRA product.* x·Wᵀ + b + s·(x·Aᵀ)·Bᵀ with W, b frozen, as one operation. peft's own casts x to the type of A and
autocast casts it back, once for each matrix, and saves every copy for backward; here x is saved as it is (one tensor
for all matrices that read it), and the second product is added in place. A, B and their gradients stay float32.

*Norm.* weight · (x / rms(x)), the weight frozen: saved for backward are x and one number a token, where the model's own
code saves three copies of x in float32.

`slim` puts them in place of the modules' own forward, where they compute the same: a LoRA without dropout on a plain
linear layer, and a norm whose output on random numbers is exactly what the operation here gives (norms differ by model:
some add one to the weight, some round elsewhere). Everything else keeps its own.
"""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import Linear
from torch import Tensor, nn


class _Product(torch.autograd.Function):
    """[tokens, in] to [tokens, out]: the frozen product plus the low-rank one, in the type of the frozen weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Linear, a: Tensor, b: Tensor, scale: float) -> Tensor:  # noqa: ANN401 - torch's context
        low, high = a.to(x.dtype), (b * scale).to(x.dtype)
        inner = x @ low.T
        ctx.save_for_backward(x, inner, layer.weight, low, high)
        ctx.scale = scale
        return nn.functional.linear(x, layer.weight, layer.bias).addmm_(inner, high.T)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, Tensor, Tensor, None]:  # noqa: ANN401 - torch's context
        x, inner, weight, low, high = ctx.saved_tensors
        through = gradient @ high
        towards = (gradient @ weight).addmm_(through, low) if ctx.needs_input_grad[0] else None
        return towards, None, (through.T @ x).float(), (gradient.T @ inner).float() * ctx.scale, None


class _Norm(torch.autograd.Function):
    """weight · (x / rms(x)), rounded where Llama's own code rounds; `epsilon` is under the root."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:  # noqa: ANN401 - torch's context
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
        ctx.save_for_backward(x, weight, scale)
        return weight * (wide * scale).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401 - torch's context
        x, weight, scale = ctx.saved_tensors
        unit = torch.mul(x, scale)
        inner = (gradient * weight).float()
        inner -= unit.mul_((inner * unit).mean(-1, keepdim=True))
        return inner.mul_(scale).to(x.dtype), None, None


def slim(peft: PeftModel) -> None:
    """Replace the `forward` of every module that computes one of these operations."""
    for module in peft.modules():
        # A proxy: weights of a module that refers to itself would live on after the training, until Python collects.
        if isinstance(module, Linear) and _is_plain(module):
            module.forward = partial(_adapted, weakref.proxy(module))
        elif type(module).__name__.endswith("RMSNorm") and _is_norm(module):
            module.forward = partial(_normed, weakref.proxy(module))


def _is_plain(module: Linear) -> bool:
    plain = type(module.base_layer) is nn.Linear and not module.lora_variant and not module.lora_bias["default"]
    return plain and isinstance(module.lora_dropout["default"], nn.Identity)


def _adapted(module: Linear, x: Tensor) -> Tensor:
    layer = module.base_layer
    a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
    rows = x.to(layer.weight.dtype).flatten(0, -2)
    product: Tensor = _Product.apply(rows, layer, a, b, module.scaling["default"])  # type: ignore[no-untyped-call]  # torch
    return product.view(*x.shape[:-1], -1)


@torch.no_grad()
def _is_norm(module: nn.Module) -> bool:
    """Whether the module's output is the operation's, bit by bit, on numbers of three sizes."""
    names = {name for name, _ in module.named_parameters()}
    if names != {"weight"} or not hasattr(module, "variance_epsilon"):
        return False
    weight: Any = module.weight
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, weight.shape[0], generator=generator) * torch.tensor([[1e-3], [1.0], [30.0]])
    x = x.to(weight.device, weight.dtype)
    return torch.equal(module(x), _normed(module, x))


def _normed(module: Any, x: Tensor) -> Tensor:  # noqa: ANN401 - any class of norm with these two
    normed: Tensor = _Norm.apply(x, module.weight, module.variance_epsilon)  # type: ignore[no-untyped-call]  # torch
    return normed
