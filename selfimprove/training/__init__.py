"""Fit a LoRA to the examples of a round, so that a kill costs at most a few steps and changes nothing.

*Loss.* Negative log-likelihood of the target ids alone: the mean over an example's targets, times its weight, then the
mean over the examples of the optimizer batch (UPFT, arXiv 2503.02875, section 3.2, averages per sample; a mean over
tokens would hand most of the gradient to the few full rows). A micro-batch adds its share, each token weighing
weight / (targets of its row · rows of the optimizer batch), so accumulation is exact whatever the cut. Padding, and the
output head on target positions alone, are `training/loss.py`.

*Types.* The frozen weights stay in the type they are stored in (bfloat16 by default; float32 if the processor has no
bfloat16), LoRA weights and optimizer state are float32, and products run under autocast.

*Determinism and resume.* The plan (`training/schedule.py`) fixes what each step does; random draws (LoRA dropout) are
seeded per step, so there is no generator state to keep. Every `checkpoint_steps` steps the LoRA, the state of AdamW and
the losses so far are written to `work/checkpoint.safetensors` under a temporary name, synced and renamed. Its header
names the fingerprint of examples, settings and seed. A call that finds a whole checkpoint of its own work goes on from
there and gives the same adapter bit by bit (same machine, type and thread count); a foreign or broken one is ignored.

*Processes.* Under `accelerate launch`, each process takes every n-th micro-batch and the LoRA gradients, which are
small, are summed; the first process writes.

*Failures* are `StageError`, and then there is no `out`: no examples, an example without prompt or targets, a loss or
gradient that is not finite, or a loss that rose (`schedule.fault_in_losses`).
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from selfimprove.errors import StageError
from selfimprove.models import compute_dtype, load_model, processor
from selfimprove.models.weights import read_json, settle
from selfimprove.prefixes import Example
from selfimprove.recipe import Runtime, Training
from selfimprove.sampling import derive_seed
from selfimprove.training.loss import head_is_all, pad, target_losses
from selfimprove.training.schedule import Step, fault_in_losses, fingerprint_work, plan_steps

OnStep = Callable[[int, int, float, float], None]
"""Called after each step with (step, steps, loss, learning rate)."""

CHECKPOINT = "checkpoint.safetensors"


def train(
    examples: Sequence[Example],
    model: Path,
    work: Path,
    out: Path,
    settings: Training,
    seed: int,
    runtime: Runtime,
    on_step: OnStep,
) -> dict[str, Any]:
    """An adapter in the new folder `out`, and the counts of its training; goes on from a checkpoint in `work`.

    `model` is a folder as `models.resolve_model` or the merge writes it. `on_step` hears the steps done by this call.
    Tokens are counted over all epochs; `padded_tokens` are those that passed through the model, padding included.
    """
    _check_examples(examples)
    if out.exists():
        raise FileExistsError(out)
    work.mkdir(parents=True, exist_ok=True)
    with processor(runtime), torch.random.fork_rng():
        fit = _prepare(examples, model, settings, seed, runtime)
        losses = _restore(fit, work / CHECKPOINT)
        for number in range(len(losses) + 1, len(fit.plan) + 1):
            loss = _take_step(fit, number)
            losses.append(loss)
            on_step(number, len(fit.plan), loss, fit.plan[number - 1].learning_rate)
            if number % settings.checkpoint_steps == 0 and fit.accelerator.is_main_process:
                _save_checkpoint(fit, losses, work / CHECKPOINT)
        _check_losses(losses)
        if fit.accelerator.is_main_process:
            _save_adapter(fit.peft, work / "adapter", out)
        fit.accelerator.wait_for_everyone()
        return _counts(fit, losses)


@dataclass(frozen=True)
class _Fit:
    """Everything one training holds; the only mutable parts are the LoRA weights and the optimizer's state."""

    examples: Sequence[Example]
    settings: Training
    seed: int
    plan: tuple[Step, ...]
    fingerprint: str
    accelerator: Accelerator
    device: torch.device
    peft: PeftModel
    parameters: dict[str, nn.Parameter]
    optimizer: torch.optim.AdamW
    gathers: bool
    dtype: torch.dtype


def _check_examples(examples: Sequence[Example]) -> None:
    if not examples:
        raise StageError("no examples to train on", "See what the harvest left out; sample more problems.")
    for example in examples:
        if not (example.prompt_ids and example.target_ids and math.isfinite(example.weight)):
            raise StageError(f"problem {example.key}, sample {example.sample}: no prompt, no targets or no weight")


def _check_losses(losses: list[float]) -> None:
    fault = fault_in_losses(losses)
    if fault:
        raise StageError(f"training failed: {fault}", "Lower training.learning_rate in a new run.")


def _prepare(examples: Sequence[Example], model: Path, settings: Training, seed: int, runtime: Runtime) -> _Fit:
    accelerator = Accelerator(cpu=runtime.device == "cpu")
    device = accelerator.device if runtime.device in {"auto", "cpu"} else torch.device(runtime.device)
    dtype = compute_dtype(model, device)
    base = load_model(model, dtype, runtime.trust_remote_code)
    torch.manual_seed(derive_seed(seed, "lora"))
    peft = get_peft_model(base, _lora(settings)).to(device)
    if settings.gradient_checkpointing:
        base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    gathers = head_is_all(base, examples[0].prompt_ids[:8], device)
    peft.train()
    parameters = {name: p for name, p in peft.named_parameters() if p.requires_grad}
    lengths = [len(example.prompt_ids) + len(example.target_ids) - 1 for example in examples]
    return _Fit(
        examples=examples,
        settings=settings,
        seed=seed,
        plan=plan_steps(lengths, settings, seed),
        fingerprint=fingerprint_work(examples, settings, seed),
        accelerator=accelerator,
        device=device,
        dtype=dtype,
        peft=peft,
        gathers=gathers,
        parameters=parameters,
        optimizer=torch.optim.AdamW(
            parameters.values(),
            betas=(settings.beta1, settings.beta2),
            weight_decay=settings.weight_decay,
        ),
    )


def _lora(settings: Training) -> LoraConfig:
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules="all-linear",  # all but the output head
        task_type="CAUSAL_LM",
    )


def _take_step(fit: _Fit, number: int) -> float:
    """One optimizer step; returns the loss of its batch as it was before the step."""
    step, accelerator = fit.plan[number - 1], fit.accelerator
    torch.manual_seed(derive_seed(fit.seed, "step", number, accelerator.process_index))
    total = torch.zeros((), device=fit.device)
    for rows in step.micro_batches[accelerator.process_index :: accelerator.num_processes]:
        loss = _loss_share(fit, [fit.examples[row] for row in rows], step.rows)
        torch.autograd.backward(loss)
        total += loss.detach()
    parameters = list(fit.parameters.values())
    if accelerator.num_processes > 1:
        _sum_gradients(accelerator, parameters)
        total = accelerator.reduce(total, "sum")
    norm = nn.utils.clip_grad_norm_(parameters, fit.settings.clip_norm)
    if not (torch.isfinite(total) and torch.isfinite(norm)):
        raise StageError(
            f"training failed at step {number} of {len(fit.plan)}: loss {total.item()}, gradient norm {norm.item()}",
            "Lower training.learning_rate in a new run; if it is step 1, the model's weights are broken.",
        )
    for group in fit.optimizer.param_groups:
        group["lr"] = step.learning_rate
    fit.optimizer.step()
    fit.optimizer.zero_grad(set_to_none=True)
    return float(total)


def _sum_gradients(accelerator: Accelerator, parameters: list[nn.Parameter]) -> None:
    for parameter in parameters:
        own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        parameter.grad = accelerator.reduce(own, "sum")


def _loss_share(fit: _Fit, examples: Sequence[Example], rows: int) -> Tensor:
    """What these examples add to the loss of an optimizer batch of `rows` examples."""
    batch = pad(examples, fit.device)
    with torch.autocast(fit.device.type, dtype=torch.bfloat16, enabled=fit.dtype == torch.bfloat16):
        losses = target_losses(fit.peft.get_base_model(), batch, fit.gathers)
    return losses @ batch.weights / rows


def _save_checkpoint(fit: _Fit, losses: list[float], path: Path) -> None:
    tensors: dict[str, Tensor] = {}
    for name, parameter in fit.parameters.items():
        state = {"weight": parameter.detach(), **fit.optimizer.state[parameter]}
        tensors |= {f"{key}|{name}": value.detach().cpu().contiguous() for key, value in state.items()}
    metadata = {"fingerprint": fit.fingerprint, "losses": json.dumps(losses)}
    temporary = path.with_suffix(".partial")
    save_file(tensors, temporary, metadata=metadata)
    settle(path.parent)
    temporary.replace(path)


def _restore(fit: _Fit, path: Path) -> list[float]:
    """Losses of the steps that the checkpoint holds, its state put into `fit`; none if it isn't whole and our own."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("fingerprint") != fit.fingerprint:
                return []
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError):
        return []
    for name, parameter in fit.parameters.items():
        with torch.no_grad():
            parameter.copy_(tensors[f"weight|{name}"])
        fit.optimizer.state[parameter] = {
            "step": tensors[f"step|{name}"],
            "exp_avg": tensors[f"exp_avg|{name}"].to(fit.device),
            "exp_avg_sq": tensors[f"exp_avg_sq|{name}"].to(fit.device),
        }
    return [float(loss) for loss in json.loads(metadata["losses"])]


def _save_adapter(peft: PeftModel, temporary: Path, out: Path) -> None:
    """The adapter as peft reads it, without the path of its base model, equal bytes for equal weights."""
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    tensors = {name: tensor.cpu().contiguous() for name, tensor in get_peft_model_state_dict(peft).items()}
    save_file(tensors, temporary / "adapter_model.safetensors", metadata={"format": "pt"})
    peft.peft_config["default"].save_pretrained(str(temporary))
    config = read_json(temporary / "adapter_config.json")
    config |= {
        "base_model_name_or_path": "",
        "inference_mode": True,
        "target_modules": sorted(config["target_modules"]),  # a set in peft: its order varies
    }
    (temporary / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    settle(temporary)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary.rename(out)


def _counts(fit: _Fit, losses: list[float]) -> dict[str, Any]:
    epochs, examples = fit.settings.epochs, fit.examples
    return {
        "examples": len(examples),
        "steps": len(losses),
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "losses": losses,
        "target_tokens": epochs * sum(len(e.target_ids) for e in examples),
        "trained_prompt_tokens": epochs * sum(len(e.prompt_ids) for e in examples),
        "padded_tokens": sum(_padded(rows, examples) for step in fit.plan for rows in step.micro_batches),
        "trained_weights": sum(p.numel() for p in fit.parameters.values()),
        "dtype": str(fit.dtype).removeprefix("torch."),
        "device": fit.device.type,
        "threads": torch.get_num_threads(),
        "processes": fit.accelerator.num_processes,
    }


def _padded(rows: Sequence[int], examples: Sequence[Example]) -> int:
    return len(rows) * max(len(examples[row].prompt_ids) + len(examples[row].target_ids) - 1 for row in rows)
