"""A model with a LoRA on this process's device, and one optimizer step of it.

*Several processes* (`group.py`) each take every n-th micro-batch; the LoRA gradients, which are small, are summed, so
each process takes the same step and the loss is that of one process up to the order of a sum.

*Sharding.* With `sharding = "fsdp"` each decoder layer's frozen weights are cut over the processes by torch's
`fully_shard`: whole in one process only while that layer computes. The LoRA is left out of it and stays whole
everywhere: it is a hundredth of the weights, and optimizer, checkpoint and adapter are then those of one process.
Embedding and output head stay whole too, since models tie them. Layers are gathered by all processes together, so
each must run equally many micro-batches: one that has none left runs the step's first again with weight 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from selfimprove.errors import StageError
from selfimprove.models import compute_dtype, load_model
from selfimprove.recipe import Runtime, Training
from selfimprove.round.prefixes import Example
from selfimprove.sampling import derive_seed
from selfimprove.training.attention import branches_hold
from selfimprove.training.checkpoint import State
from selfimprove.training.loss import Ways, head_is_all, pack, pad, row_ids, weighted_loss
from selfimprove.training.products import slim
from selfimprove.training.schedule import Step, fingerprint_work, plan_steps


@dataclass(frozen=True)
class Fit:
    """Everything one training holds in one process; `state` is all that changes."""

    examples: Sequence[Example]
    settings: Training
    seed: int
    plan: tuple[Step, ...]
    accelerator: Accelerator
    device: torch.device
    dtype: torch.dtype
    peft: PeftModel
    ways: Ways
    sharded: bool
    state: State


def prepare(examples: Sequence[Example], model: Path, settings: Training, seed: int, runtime: Runtime) -> Fit:
    """The model of the folder `model` with a fresh LoRA, its plan of steps, and an optimizer."""
    # Where it isn't told that there are processors alone, each process of a group would train by itself.
    alone = runtime.device == "auto" and not torch.accelerator.is_available()
    accelerator = Accelerator(cpu=alone or runtime.device == "cpu")
    device = accelerator.device if runtime.device in {"auto", "cpu"} else torch.device(runtime.device)
    dtype = compute_dtype(model, device)
    base = load_model(model, dtype, runtime.trust_remote_code)
    torch.manual_seed(derive_seed(seed, "lora"))
    peft = get_peft_model(base, _lora(settings))
    sharded = runtime.sharding == "fsdp" and accelerator.num_processes > 1
    if not sharded:
        peft.to(device)
    rows = [row_ids(example) for example in examples]
    some, place = examples[0].prompt_ids[:8], base.device
    gathers = head_is_all(base, some, place)
    ways = Ways(branches_hold(base, some, max(map(len, rows)), place), gathers)
    if settings.gradient_checkpointing:
        base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    slim(peft)
    if sharded:
        _shard(peft, accelerator, device)
    peft.train()
    parameters = {name: p for name, p in peft.named_parameters() if p.requires_grad}
    betas = (settings.beta1, settings.beta2)
    optimizer = torch.optim.AdamW(parameters.values(), betas=betas, weight_decay=settings.weight_decay)
    return Fit(
        examples=examples,
        settings=settings,
        seed=seed,
        plan=plan_steps(rows, ways.branches, settings, seed, accelerator.num_processes),
        accelerator=accelerator,
        device=device,
        dtype=dtype,
        peft=peft,
        ways=ways,
        sharded=sharded,
        state=State(fingerprint_work(examples, settings, seed), parameters, optimizer),
    )


def _lora(settings: Training) -> LoraConfig:
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules="all-linear",  # all but the output head
        task_type="CAUSAL_LM",
    )


def _shard(peft: PeftModel, accelerator: Accelerator, device: torch.device) -> None:
    """Cut the frozen weights of each decoder layer over the processes, and put everything on the device."""
    mesh = init_device_mesh(device.type, (accelerator.num_processes,))
    kinds = set(peft.get_base_model()._no_split_modules or ())
    for module in peft.modules():
        if type(module).__name__ in kinds:
            trained = {parameter for parameter in module.parameters() if parameter.requires_grad}
            fully_shard(module, mesh=mesh, ignored_params=trained)
    peft.to(device)


def held_weights(fit: Fit) -> int:
    """How many weights this process holds, frozen ones included: its shard of those that are cut."""
    return sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in fit.peft.parameters())


def take_step(fit: Fit, number: int) -> float:
    """One optimizer step; returns the loss of its batch as it was before the step. `StageError` if it isn't finite."""
    step, accelerator = fit.plan[number - 1], fit.accelerator
    torch.manual_seed(derive_seed(fit.seed, "step", number, accelerator.process_index))
    total = torch.zeros((), device=fit.device)
    for rows, share in _own_share(fit, step):
        loss = _loss(fit, [fit.examples[row] for row in rows]) * (share / step.rows)
        torch.autograd.backward(loss)
        total += loss.detach()
    parameters = list(fit.state.parameters.values())
    if accelerator.num_processes > 1:
        _sum_gradients(accelerator, parameters)
        total = accelerator.reduce(total, "sum")
    norm = nn.utils.clip_grad_norm_(parameters, fit.settings.clip_norm)
    if not (torch.isfinite(total) and torch.isfinite(norm)):
        raise StageError(
            f"training failed at step {number} of {len(fit.plan)}: loss {total.item()}, gradient norm {norm.item()}",
            "Lower training.learning_rate in a new run; if it is step 1, the model's weights are broken.",
        )
    for group in fit.state.optimizer.param_groups:
        group["lr"] = step.learning_rate
    fit.state.optimizer.step()
    fit.state.optimizer.zero_grad(set_to_none=True)
    return float(total)


def _own_share(fit: Fit, step: Step) -> Iterator[tuple[tuple[int, ...], float]]:
    """This process's micro-batches, each with what its loss counts."""
    processes, own = fit.accelerator.num_processes, fit.accelerator.process_index
    micro = step.micro_batches
    yield from ((rows, 1.0) for rows in micro[own::processes])
    if fit.sharded and own >= (len(micro) - 1) % processes + 1:
        yield micro[0], 0.0


def _sum_gradients(accelerator: Accelerator, parameters: list[nn.Parameter]) -> None:
    for parameter in parameters:
        own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        parameter.grad = accelerator.reduce(own, "sum")


def _loss(fit: Fit, examples: Sequence[Example]) -> Tensor:
    """The sum of these examples' losses."""
    batch = (pack if fit.ways.branches else pad)(examples, fit.device)
    with torch.autocast(fit.device.type, dtype=torch.bfloat16, enabled=fit.dtype == torch.bfloat16):
        return weighted_loss(fit.peft.get_base_model(), batch, fit.ways.gathers)
