"""Whether this machine's GPUs are what a runtime asks for, refused before a model is loaded and anything is sampled."""

from __future__ import annotations

from pathlib import Path

from selfimprove.errors import UsageError
from selfimprove.formatting import byte_count, plural
from selfimprove.recipe import Runtime


def refuse_unfit_gpus(runtime: Runtime) -> None:
    """`UsageError` for a device that isn't there, GPUs that torch can't use, or fewer of them than processes.

    On a cluster the workers' GPUs count, and not those of the driver.
    """
    from selfimprove.models.gpus import choose_device

    if runtime.device != "auto":
        choose_device(runtime.device)
    if not runtime.ray:
        _refuse_idle_gpus(runtime)
        _refuse_crowded_gpus(runtime)


def _refuse_idle_gpus(runtime: Runtime) -> None:
    """`UsageError` if `auto` would be the CPU although the driver shows a GPU."""
    import torch

    from selfimprove.models.gpus import gpus_here

    if runtime.device == "auto" and not gpus_here().usable() and (gpus := gpus_here().visible()):
        raise UsageError(
            f"--device auto: the driver shows {plural(len(gpus), 'GPU')}, but torch {torch.__version__} can't use it",
            "Install torch's CUDA build or a newer driver (pytorch.org/get-started), or run on the CPU: --device cpu",
        )


def _refuse_crowded_gpus(runtime: Runtime) -> None:
    """`UsageError` if two training processes would share a GPU, which ends in an error of NCCL."""
    from selfimprove.models.gpus import gpus_here
    from selfimprove.models.memory import gpus_in_use
    from selfimprove.training.group import is_member

    processes, gpus = runtime.train_processes, gpus_here().visible()
    if processes == 1 or is_member() or not gpus_in_use(runtime.device, gpus_here().usable()):
        return
    if ":" in runtime.device:
        raise UsageError(
            f"--device {runtime.device}: {processes} training processes need a GPU each, and that is one GPU",
            "Use --device cuda with --train-processes; CUDA_VISIBLE_DEVICES chooses the GPUs.",
        )
    if gpus and processes > len(gpus):
        raise UsageError(
            f"--train-processes {processes}: each process needs a GPU, and this run sees {plural(len(gpus), 'GPU')}",
            f"Use --train-processes {len(gpus)}" + (" or fewer." if len(gpus) > 1 else ", or leave it out."),
        )


def refuse_large_model(runtime: Runtime, folder: Path) -> None:
    """`UsageError` if the weights of the folder's model that a training process holds exceed its GPU's whole memory."""
    import torch

    from selfimprove.models import compute_dtype
    from selfimprove.models.gpus import gpus_here
    from selfimprove.models.working import working_set
    from selfimprove.training.forecast import process_weights
    from selfimprove.training.group import gpus_awaited

    memories = () if runtime.ray else gpus_here().memory_of(gpus_awaited(runtime))
    if not memories:
        return
    width, room = compute_dtype(folder, torch.device("cuda")).itemsize, min(memory.total for memory in memories)
    need = width * process_weights(runtime, working_set(folder))
    if need > room:
        raise UsageError(
            f"training holds {byte_count(need)} of weights in each process, and its GPU has {byte_count(room)}",
            "Shard them over more GPUs, as with --train-processes 8 --sharding fsdp, or use a smaller model.",
        )
