"""A model with a LoRA on this process's device, and one optimizer step of it.

*Several processes* (`group.py`) each take every n-th micro-batch; the LoRA gradients, which are small, are all-reduced
in one bucket, so each process takes the same step and the loss is that of one process up to the order of a sum.

*Sharding.* With `sharding = "fsdp"` each decoder layer's frozen weights are sharded over the processes (`sharding.py`):
whole in one process only while that layer computes. The LoRA is replicated: it is a hundredth of the
weights, and optimizer, checkpoint and adapter are then those of one process. Embedding and output head are replicated
too, since models tie them. All processes gather a layer together, so each must run equally many micro-batches: one that
has none left runs the step's first again, its loss times 0.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from selfimprove.errors import StageError
from selfimprove.models import compute_dtype
from selfimprove.models.gpus import choose_device
from selfimprove.models.memory import (
    Peak,
    free_memory,
    is_out_of_memory,
    release_memory,
    resident_memory,
    trim_heap,
)
from selfimprove.models.working import working_set
from selfimprove.recipe import Training
from selfimprove.round.machinery import TrainJob
from selfimprove.round.prefixes import Example
from selfimprove.sampling import derive_seed
from selfimprove.training.batches import Step, count_tokens, fingerprint_work, largest_micro_batch, plan_steps
from selfimprove.training.branches import Ids
from selfimprove.training.checkpoint import State, load_adapter
from selfimprove.training.loss import LossMethod, loss_method, pack, pad, row_ids, weighted_loss
from selfimprove.training.products import slim
from selfimprove.training.sharding import agreed_method, deal_small, load_or_outline, outline_alike, shard
from selfimprove.training.sizes import HEAD_FEWEST, SHARE, Sizes, candidates, first_that_fits, head_targets, read_sizes
from selfimprove.training.targets import adapted_modules

LOADING = timedelta(hours=2)
"""How long a process of a group waits for the others: the first reads the whole model while they do. NCCL's own ten
minutes are too few for 145 GB; a process that died is noticed by its parent."""

PROBE_TOKENS = 256
"""Tokens that are computed to see what a token holds; the longest row may have more."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Everything one training holds in one process; `state` is all that changes.

    `most_kept` is the resident memory, in bytes, above which freed memory of the heap is given back (`sizes.py`).
    """

    job: TrainJob
    rows: tuple[Ids, ...]
    plan: tuple[Step, ...]
    sizes: Sizes
    accelerator: Accelerator
    device: torch.device
    dtype: torch.dtype
    peft: PeftModel
    method: LossMethod
    sharded: bool
    state: State
    most_kept: int = 0


def prepare(job: TrainJob) -> Fit:
    """The job's model with its LoRA on this process's device, its sizes, its plan of steps, and an optimizer."""
    fit = _loaded(job)
    sizes = read_sizes(job.work, job.runtime)
    fit.accelerator.wait_for_everyone()  # or one process might read what another has just chosen
    sizes = _chosen(fit) if sizes is None else sizes
    _set_checkpointing(fit, sizes.gradient_checkpointing)
    trim_heap()
    most_kept = resident_memory() + int(SHARE * _free(fit))
    return replace(fit, sizes=sizes, plan=_plan(fit, sizes), most_kept=most_kept)


def _loaded(job: TrainJob) -> Fit:
    """A fit whose sizes are not chosen yet, and without a plan."""
    settings, runtime = job.settings, job.runtime
    device = choose_device(runtime.device)
    # Without a GPU accelerate has to be told so, or each process of a group would train by itself.
    patient = InitProcessGroupKwargs(timeout=LOADING)
    accelerator = Accelerator(cpu=device.type == "cpu", kwargs_handlers=[patient])
    if device == torch.device("cuda"):  # one process alone: accelerate says which
        device = accelerator.device
    dtype = compute_dtype(job.model, device)
    sharded = runtime.sharding == "fsdp" and accelerator.num_processes > 1
    first = not sharded or accelerator.is_main_process
    base = load_or_outline(job.model, dtype, first, runtime.trust_remote_code)
    torch.manual_seed(derive_seed(job.seed, "lora"))
    peft = get_peft_model(base, _lora(settings, adapted_modules(base)))
    if job.start and first:
        load_adapter(peft, job.start)
    if not sharded:
        peft.to(device)
    rows = tuple(row_ids(example) for example in job.examples)
    own = loss_method(base, job.examples[0].prompt_ids[:8], max(map(len, rows))) if first else None
    method = own if own and not sharded else agreed_method(base, own)
    if sharded:
        outline_alike(peft, first)
        deal_small(peft, device)
    slim(peft)
    if sharded:
        shard(peft, accelerator, device)
    peft.train()
    parameters = {name: p for name, p in peft.named_parameters() if p.requires_grad}
    betas = (settings.beta1, settings.beta2)
    optimizer = torch.optim.AdamW(parameters.values(), betas=betas, weight_decay=settings.weight_decay)
    return Fit(
        job=job,
        rows=rows,
        plan=(),
        sizes=candidates(runtime, HEAD_FEWEST)[0],
        accelerator=accelerator,
        device=device,
        dtype=dtype,
        peft=peft,
        method=method,
        sharded=sharded,
        state=State(fingerprint_work(job.examples, settings, job.seed, job.start), parameters, optimizer),
    )


def _plan(fit: Fit, sizes: Sizes) -> tuple[Step, ...]:
    job, processes = fit.job, fit.accelerator.num_processes
    packs, tokens = fit.method.packs, sizes.micro_tokens
    return plan_steps(fit.rows, packs, job.settings, job.seed, micro_tokens=tokens, processes=processes)


def _chosen(fit: Fit) -> Sizes:
    """The sizes that the free memory allows (`sizes.py`), the same in all processes of a group."""
    free = _agreed(fit, _free(fit), least=True)
    vocabulary = fit.peft.get_base_model().get_output_embeddings().weight.shape[0]
    sizes = candidates(fit.job.runtime, head_targets(vocabulary, free, fit.device.type))
    if len(sizes) == 1:
        return sizes[0]
    for checkpointing in (False, True):
        alike = [size for size in sizes if size.gradient_checkpointing == checkpointing]
        if not alike:
            continue
        _set_checkpointing(fit, checkpointing)
        each = _agreed(fit, _bytes_that_fit(fit, alike[0], max(1, free)), least=False)
        plans = {size: _plan(fit, size) for size in alike}
        largest = {size: largest_micro_batch(plan, fit.rows, fit.method.packs) for size, plan in plans.items()}
        place = first_that_fits(alike, lambda size: each * largest[size], free)  # noqa: B023 - called here
        if place < len(alike):
            return alike[place]
    return sizes[-1]


def _free(fit: Fit) -> int:
    """Bytes that this process may still take beside gradients and optimizer, which are made in the first step."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", fit.accelerator.num_processes))
    trained = sum(parameter.numel() for parameter in fit.state.parameters.values())
    return max(0, free_memory(fit.device, here) - 3 * 4 * trained)


def _agreed(fit: Fit, own: int, *, least: bool) -> int:
    """The least or the most of what the processes of the group have."""
    all_of_them = fit.accelerator.gather(torch.tensor([own], device=fit.device))
    return int(all_of_them.min() if least else all_of_them.max())


def _bytes_that_fit(fit: Fit, sizes: Sizes, free: int) -> int:
    """Bytes that activations hold at most, a token; all that is `free` where the longest rows alone hold more.

    Such rows end in an error on a GPU. On a processor the system may end the process, so there they aren't computed if
    they hold more than is free by the model's configuration.
    """
    if _agreed(fit, int(_exceeds(fit, sizes, free)), least=False):
        return free
    try:
        return min(free, _bytes_per_token(fit, sizes))
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
    release_memory()  # the error is gone, and with it the frames that held what was computed
    fit.state.optimizer.zero_grad(set_to_none=True)
    return free


def _exceeds(fit: Fit, sizes: Sizes, free: int) -> bool:
    """Whether the longest rows hold more than is `free` on a processor, told by the first process.

    The others may have no weights in their folder of the model, whose shapes this is computed from.
    """
    longest = max(map(len, fit.rows))
    if fit.device.type == "cpu" and fit.accelerator.is_main_process:
        held = working_set(fit.job.model).activations(longest, checkpointing=sizes.gradient_checkpointing)
        return longest * held * fit.dtype.itemsize > free
    return False


def _bytes_per_token(fit: Fit, sizes: Sizes) -> int:
    """Bytes that activations hold at most, a token: of the longest rows, computed once forward and backward."""
    chosen: list[int] = []
    for row in sorted(range(len(fit.rows)), key=lambda row: (-len(fit.rows[row]), row)):
        if sum(len(fit.rows[held]) for held in chosen) >= PROBE_TOKENS:
            break
        chosen.append(row)
    chosen.sort(key=lambda row: fit.rows[row])
    tokens = count_tokens(Step((tuple(chosen),), 0.0), fit.rows, fit.method.packs)
    peak = Peak()
    with peak:
        torch.autograd.backward(_loss(replace(fit, sizes=sizes), [fit.job.examples[row] for row in chosen]))
    fit.state.optimizer.zero_grad(set_to_none=True)
    return math.ceil(peak.bytes / tokens)


def _set_checkpointing(fit: Fit, on: bool) -> None:
    base = fit.peft.get_base_model()
    if on:
        base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    elif base.is_gradient_checkpointing:
        base.gradient_checkpointing_disable()


def _lora(settings: Training, modules: Sequence[str]) -> LoraConfig:
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(modules),
        task_type="CAUSAL_LM",
    )


def held_weights(fit: Fit) -> int:
    """How many weights this process holds, frozen ones included; of sharded ones, those in its shard."""
    return sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in fit.peft.parameters())


def take_step(fit: Fit, number: int) -> float:
    """Take optimizer step `number`; returns its batch's loss before the step. `StageError` if it isn't finite."""
    step, accelerator = fit.plan[number - 1], fit.accelerator
    torch.manual_seed(derive_seed(fit.job.seed, "step", number, accelerator.process_index))
    total = torch.zeros((), device=fit.device)
    for rows, factor in _own_micro_batches(fit, step):
        loss = _loss(fit, [fit.job.examples[row] for row in rows]) * (factor / step.rows)
        torch.autograd.backward(loss)
        total += loss.detach()
        if resident_memory() > fit.most_kept:
            trim_heap()
    parameters = list(fit.state.parameters.values())
    if accelerator.num_processes > 1:
        total = _all_reduced(accelerator, parameters, total)
    norm = nn.utils.clip_grad_norm_(parameters, fit.job.settings.clip_norm)
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


def _own_micro_batches(fit: Fit, step: Step) -> Iterator[tuple[tuple[int, ...], float]]:
    """The rows of this process's micro-batches, each with the factor of its loss: 0 for one that only keeps step."""
    processes, own = fit.accelerator.num_processes, fit.accelerator.process_index
    micro = step.micro_batches
    yield from ((rows, 1.0) for rows in micro[own::processes])
    if fit.sharded and own >= (len(micro) - 1) % processes + 1:
        yield micro[0], 0.0


def _all_reduced(accelerator: Accelerator, parameters: list[nn.Parameter], total: Tensor) -> Tensor:
    """The loss summed over the processes, as the gradients are in place: one message for all of them."""
    own = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    bucket: Tensor = accelerator.reduce(torch.cat([total.view(1), *(gradient.flatten() for gradient in own)]), "sum")
    parts = torch.split(bucket[1:], [parameter.numel() for parameter in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter)
    return bucket[0]


def _loss(fit: Fit, examples: Sequence[Example]) -> Tensor:
    """The sum of these examples' losses."""
    batch = (pack if fit.method.packs else pad)(examples, fit.device)
    with torch.autocast(fit.device.type, dtype=torch.bfloat16, enabled=fit.dtype == torch.bfloat16):
        return weighted_loss(fit.peft.get_base_model(), batch, fit.method.head_alone, fit.sizes.head_targets)
