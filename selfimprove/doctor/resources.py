"""Checks of room and access: memory, disk, the model cache, the hub."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from selfimprove.doctor.findings import Finding, error, ok, warning
from selfimprove.doctor.subject import Subject
from selfimprove.errors import SelfImproveError
from selfimprove.formatting import byte_count, plural
from selfimprove.host.cgroups import Bounds, bounds
from selfimprove.plan.disk import existing_part
from selfimprove.plan.forecast import forecast_round
from selfimprove.store.durable import size_of

if TYPE_CHECKING:
    from selfimprove.training.forecast import MemoryNeed

SECONDS = 2.0
"""How long the hub may take to answer."""
TIGHT = 0.95
"""Share of the memory beyond which a round may not fit: its need is an estimate."""
UNKNOWN = "unknown until the weights are downloaded"


def memory(subject: Subject, limits: Bounds | None = None) -> Finding:
    """Available memory against what a round takes: an error where training won't fit at its smallest.

    It is a warning where what sampling and merging take is not there, or nearly all of it would be taken.
    """
    from selfimprove.models.gpus import choose_device
    from selfimprove.models.memory import free_memory
    from selfimprove.training.forecast import foretold

    device = choose_device(subject.runtime.device)
    limit = (bounds() if limits is None else limits).memory
    room = min(free_memory(device), limit) if limit and device.type == "cpu" else free_memory(device)
    owner = "that the container may use" if room == limit else "available"
    where = f"{byte_count(room)} {owner if device.type == 'cpu' else f'free on {device}'}"
    if isinstance(subject.model, SelfImproveError) or subject.model.footprint is None:
        return ok("memory", f"{where}; need {UNKNOWN}")
    need = foretold(subject.recipe, subject.runtime, subject.model.folder.path, device, room)
    return held_against(where, need, room, _machine_memory(limit))


def held_against(where: str, need: MemoryNeed, room: int, machine: int) -> Finding:
    """The finding where `room` bytes are free on the device, of which `where` tells, and `machine` of the system's."""
    found = f"{where}; {need.told()}"
    if need.least > room:
        advice = "Use a smaller model or a machine with more memory, or shard it over GPUs: --sharding fsdp"
        return error("memory", found, f"{advice} --train-processes N")
    if need.host > machine:
        return error("memory", f"{found}, which has {byte_count(machine)} available", "Use a machine with more memory.")
    if need.peak > TIGHT * room:
        return warning("memory", found, "Stop other programs that use the memory, or lower sampling.chunk_rows.")
    return ok("memory", found)


def _machine_memory(limit: int | None) -> int:
    from torch import device

    from selfimprove.models.memory import free_memory

    return min(free_memory(device("cpu")), limit or sys.maxsize)


def disk(subject: Subject) -> Finding:
    """Free bytes on the disk of the runs' folder against the most that this run needs, and whether it is writable."""
    there = existing_part(subject.folder)
    fault = _fault_of_writing(there)
    if fault:
        return error("disk", f"{there}: can't be written to ({fault})", "Make it writable, or use --rounds-dir FOLDER.")
    free = shutil.disk_usage(there).free
    problems, model = subject.problems, subject.model
    if isinstance(problems, SelfImproveError) or isinstance(model, SelfImproveError) or model.footprint is None:
        unknown = "unknown without problems" if isinstance(problems, SelfImproveError) else UNKNOWN
        return ok("disk", f"{there}: {byte_count(free)} free; need {unknown}")
    work, keep_models = forecast_round(subject.recipe, len(problems.train)), subject.runtime.keep_models
    need = work.disk(model.footprint, subject.rounds, keep_models=keep_models).total
    found = f"{there}: {byte_count(free)} free, {plural(subject.rounds, 'round')} may need {byte_count(need)}"
    if need > free:
        return error("disk", found, "Free some space (selfimprove prune RUN), or name a --rounds-dir with more space.")
    return ok("disk", found)


def model_cache(subject: Subject) -> Finding:
    """Where converted models are cached, their size, and whether the cache is writable."""
    cache = subject.cache
    fault = _fault_of_writing(existing_part(cache))
    if fault:
        advice = "Make it writable, or set SELFIMPROVE_CACHE to a folder that is."
        return error("model cache", f"{cache}: can't be written to ({fault})", advice)
    models = [path for path in (cache / "models").glob("[!.]*") if path.is_dir()]
    free = shutil.disk_usage(existing_part(cache)).free
    taken = byte_count(sum(map(size_of, models)))
    return ok("model cache", f"{cache}: {plural(len(models), 'model')}, {taken}; {byte_count(free)} free")


def hub(subject: Subject, seconds: float = SECONDS) -> Finding:
    """Whether the hub answers; only a recipe that takes something from it is warned."""
    from huggingface_hub import constants

    from selfimprove.host.hub import IS_KEPT_OFFLINE, fault_of_reaching

    names = subject.hub_names()
    wanted = f"; taken from it: {', '.join(names)}" if names else "; this recipe needs nothing from it"
    if IS_KEPT_OFFLINE:
        fault, advice = "HF_HUB_OFFLINE is set", "Unset HF_HUB_OFFLINE, unless all of it is in the hub's cache."
    elif not (fault := fault_of_reaching(constants.ENDPOINT, seconds)):
        return ok("hub", f"{constants.ENDPOINT} answers{wanted}")
    else:
        fault = f"{constants.ENDPOINT} can't be reached ({fault})"
        advice = "Connect (HTTPS_PROXY, HF_ENDPOINT), or name local files: what is in the hub's cache is used anyway."
    return warning("hub", f"{fault}{wanted}", advice) if names else ok("hub", f"{fault}{wanted}")


def _fault_of_writing(folder: Path) -> str:
    """Why no file can be made in the folder; empty if one can, which is gone again."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
    except OSError as cause:
        return cause.strerror or type(cause).__name__
    return ""
