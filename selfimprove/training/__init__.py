"""Fit a LoRA to the examples of a round, so that a kill costs at most a few steps and changes nothing.

*Loss.* Negative log-likelihood of the target ids alone: the mean over an example's targets, times its weight, then the
mean over the examples of the optimizer batch (UPFT, arXiv 2503.02875, section 3.2, averages per sample; a mean over
tokens would hand most of the gradient to the few full rows). Gradients are accumulated over micro-batches, each token
weighing weight / (targets of its row · rows of the optimizer batch), so the sum is exact whatever the micro-batches.

*Speed and memory.* What a frozen model with a LoRA need not compute or keep is not computed or kept, and the result is
the same: a common prefix of rows is computed once and no layer sees padding (`branches.py`, `attention.py`), the output
head runs on target positions alone, some at a time (`loss.py`), the low-rank products and norms save no copies for the
backward pass (`products.py`). Where a model doesn't allow one of these, which is tried at the start, its own code runs.
How much is computed at once is chosen by the free memory (`sizes.py`). If that runs out all the same, the training goes
on from its checkpoint with half, once.

*Types.* The frozen weights stay in the type they are stored in (bfloat16 by default; float32 if the processor has no
bfloat16), LoRA weights and optimizer state are float32, and matrix products run in the type of the frozen weights.

*Determinism and resume.* The plan (`training/batches.py`) fixes what each step does; random draws (LoRA dropout) are
seeded per step, so there is no generator state to keep. Every `checkpoint_steps` steps, and after the last, the LoRA,
the state of AdamW and the losses so far are written to `work/checkpoint.safetensors` (`checkpoint.py`). A call that
finds a checkpoint of its own work goes on from there, at the sizes that were chosen, and gives the same adapter bit by
bit (same machine, type and thread count); on any machine, where only the adapter has to be written again.

*Memory.* When the training ends its weights are gone, and the memory is the system's and the driver's again: an engine
that starts beside this process sizes its cache from what is free.

*Processes.* `Runtime.train_processes` or `accelerate launch` (`group.py`, `fit.py`). A process that someone else put
into a group (`is_member`) does not try again with half: the others would wait for it.

*Failures* are `StageError`, and then there is no `out`: no examples, an example without prompt or targets, a loss or
gradient that is not finite, a loss that rose (`batches.fault_in_losses`), memory that ran out at half the sizes too, or
a training process that died.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict

import torch

from selfimprove.engines.release import memory_back
from selfimprove.errors import StageError
from selfimprove.models import processor
from selfimprove.models.gpus import gpus_here
from selfimprove.models.memory import gpus_in_use, is_out_of_memory, peak_rss_mb, release_memory, reset_peaks
from selfimprove.round.machinery import OnStep, TrainCounts, TrainJob
from selfimprove.round.prefixes import Example
from selfimprove.training.batches import count_tokens, fault_in_losses
from selfimprove.training.checkpoint import restore_checkpoint, save_adapter, save_checkpoint
from selfimprove.training.fit import Fit, held_weights, prepare, take_step
from selfimprove.training.group import gpus_awaited, is_member, train_in_group
from selfimprove.training.sizes import HEAD_FEWEST, Short, candidates, halved, read_sizes, write_sizes

CHECKPOINT = "checkpoint.safetensors"


def train(job: TrainJob, on_step: OnStep) -> TrainCounts:
    """Write the job's adapter to its new folder `out`; `on_step` hears the steps that this call takes.

    `job.model` is a folder as `models.resolve_model` or the merge writes it.
    """
    _check_examples(job.examples)
    if job.out.exists():
        raise FileExistsError(job.out)
    job.work.mkdir(parents=True, exist_ok=True)
    with memory_back(gpus_awaited(job.runtime), "the training"):
        return _trained(job, on_step)


def _trained(job: TrainJob, on_step: OnStep) -> TrainCounts:
    if is_member():
        return _whole(_attempt(job, on_step), job)
    attempt = _attempt if job.runtime.train_processes == 1 else _attempt_in_group
    first = attempt(job, on_step)
    if not isinstance(first, Short) or not _halve(job):
        return _whole(first, job)
    return _whole(attempt(job, on_step), job)


def _attempt_in_group(job: TrainJob, on_step: OnStep) -> TrainCounts | Short:
    return train_in_group(_attempt, job, on_step)


def _halve(job: TrainJob) -> bool:
    """Record smaller sizes for another attempt; whether there are any."""
    sizes = halved(read_sizes(job.work, job.runtime) or candidates(job.runtime, HEAD_FEWEST)[-1], job.runtime)
    if sizes is not None:
        write_sizes(sizes, job.work)
    return sizes is not None


def _whole(counts: TrainCounts | Short, job: TrainJob) -> TrainCounts:
    if isinstance(counts, TrainCounts):
        return counts
    sizes = read_sizes(job.work, job.runtime)
    tried = f" at {sizes.micro_tokens:,} tokens in one pass" if sizes else ""
    fewer = max(1, sizes.micro_tokens // 4) if sizes else 128
    raise StageError(
        f"training ran out of memory{tried}; saved work is kept",
        "Stop other programs that use the memory, and run the same command again, if necessary with --micro-tokens "
        f"{fewer} --gradient-checkpointing on; or start a new run with a smaller model.",
    )


def _attempt(job: TrainJob, on_step: OnStep) -> TrainCounts | Short:
    """Train in this process; every process of a group calls it, and the first one writes."""
    try:
        return _train(job, on_step)
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
    release_memory()  # the error is gone, and with it the frames that held the model
    return Short()


def _train(job: TrainJob, on_step: OnStep) -> TrainCounts:
    checkpoint = job.work / CHECKPOINT
    reset_peaks()
    # Of the generators of GPUs, that of the one in use: to fork all warns where there are several, and touches others.
    generators = gpus_in_use(job.runtime.device, gpus_here().has_generators())
    with processor(job.runtime), torch.random.fork_rng(generators):
        fit = prepare(job)
        first = fit.accelerator.is_main_process
        if first:
            write_sizes(fit.sizes, job.work)
        losses = restore_checkpoint(fit.state, checkpoint)
        for number in range(len(losses) + 1, len(fit.plan) + 1):
            loss = take_step(fit, number)
            losses.append(loss)
            if first:
                on_step(number, len(fit.plan), loss, fit.plan[number - 1].learning_rate)
            if first and (number % job.settings.checkpoint_steps == 0 or number == len(fit.plan)):
                save_checkpoint(fit.state, losses, checkpoint)
        if fault := fault_in_losses(losses):
            raise StageError(f"training failed: {fault}", "Lower training.learning_rate in a new run.")
        if first:
            save_adapter(fit.peft, job.work / "adapter", job.out)
        fit.accelerator.wait_for_everyone()
        return _counts(fit, losses)


def _check_examples(examples: Sequence[Example]) -> None:
    if not examples:
        raise StageError("no examples to train on", "See what the harvest left out; sample more problems.")
    for example in examples:
        if not (example.prompt_ids and example.target_ids and math.isfinite(example.weight)):
            raise StageError(f"problem {example.key}, sample {example.sample}: no prompt, no targets or no weight")


def _counts(fit: Fit, losses: list[float]) -> TrainCounts:
    epochs, examples = fit.job.settings.epochs, fit.job.examples
    return TrainCounts(
        examples=len(examples),
        steps=len(losses),
        first_loss=losses[0],
        last_loss=losses[-1],
        losses=losses,
        target_tokens=epochs * sum(len(e.target_ids) for e in examples),
        trained_prompt_tokens=epochs * sum(len(e.prompt_ids) for e in examples),
        computed_tokens=sum(count_tokens(step, fit.rows, fit.method.packs) for step in fit.plan),
        trained_weights=sum(p.numel() for p in fit.state.parameters.values()),
        held_weights=held_weights(fit),
        dtype=str(fit.dtype).removeprefix("torch."),
        device=fit.device.type,
        threads=torch.get_num_threads(),
        processes=fit.accelerator.num_processes,
        **asdict(fit.sizes),
        peak_rss_mb=peak_rss_mb(),
        peak_gpu_mb=gpus_here().peak_mib() or 0,
    )
