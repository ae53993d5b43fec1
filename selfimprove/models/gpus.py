"""The GPUs of this machine as torch, the driver and NVML tell of them, and the device that a run's models compute on.

The driver is asked through `nvidia-smi` and not through torch, which would take a CUDA context, and with it memory, in
the process that asks. Where there is no such tool, no GPU is visible and nothing is in use.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import takewhile

import psutil
import torch

from selfimprove.errors import UsageError
from selfimprove.host.gpus import Counter, Gpus, Memory, NoGpus

_NAME = re.compile(r"\d+$|GPU-|MIG-")
"""What names a GPU in CUDA_VISIBLE_DEVICES: its number, or its UUID."""


class CudaGpus:
    """NVIDIA's GPUs."""

    def visible(self) -> tuple[str, ...]:
        """Those of the driver that CUDA_VISIBLE_DEVICES leaves, as that names them; none without a driver.

        As for CUDA, a word in it that names no GPU (`-1`, `NoDevFiles`) ends the list.
        """
        there = tuple(_ask((), "--query-gpu=index"))
        named = os.environ.get("CUDA_VISIBLE_DEVICES")
        if named is None or not there:
            return there
        return tuple(takewhile(_NAME.match, (gpu.strip() for gpu in named.split(","))))

    def usable(self) -> bool:
        """Whether torch is built for CUDA and the driver is new enough for it."""
        return bool(torch.cuda.is_available())

    def title(self, device: str) -> str:
        """As the driver names it."""
        return torch.cuda.get_device_name(device)

    def memory(self, device: str) -> Memory:
        """In this process's CUDA context, which is made if there is none; what torch holds without using it is free."""
        free, total = torch.cuda.mem_get_info(device)
        return Memory(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device), total)

    def has_bfloat16(self) -> bool:
        """By the current device; what torch only emulates (before compute capability 8.0), vLLM refuses."""
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))

    def has_generators(self) -> bool:
        """Wherever torch can use CUDA."""
        return self.usable()

    def peak_mib(self) -> int | None:
        """Of what torch allocated; None before this process uses CUDA."""
        if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # untyped in torch
            return None
        return sum(torch.cuda.max_memory_allocated(gpu) for gpu in range(torch.cuda.device_count())) >> 20

    def forget_peak(self) -> None:
        """Of what torch allocated."""
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # untyped in torch
            for gpu in range(torch.cuda.device_count()):
                torch.cuda.reset_peak_memory_stats(gpu)

    def release(self) -> None:
        """The blocks of torch's allocator that hold no tensor."""
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # untyped in torch
            torch.cuda.empty_cache()

    def memory_of(self, names: Sequence[str]) -> tuple[Memory, ...]:
        """In whole MiB, as the driver tells it."""
        lines = _ask(names, "--query-gpu=memory.free,memory.total") if names else []
        pairs = [[part.strip() for part in line.split(",")] for line in lines]
        if len(pairs) != len(names) or not all(len(pair) == 2 and all(map(str.isdecimal, pair)) for pair in pairs):
            return ()
        return tuple(Memory(int(free) << 20, int(total) << 20) for free, total in pairs)

    def used_mib(self, names: Sequence[str]) -> int:
        """By the driver."""
        return sum(int(line) for line in _ask(names, "--query-gpu=memory.used") if line.isdecimal()) if names else 0

    def holders(self, names: Sequence[str]) -> list[str]:
        """By the driver; in a container it often names none."""
        return _ask(names, "--query-compute-apps=pid,process_name,used_memory")

    def energy_counters(self) -> list[Counter]:
        """NVML's, where `pynvml` is installed, of the GPUs that CUDA_VISIBLE_DEVICES names by number."""
        if not find_spec("pynvml"):
            return []
        import pynvml

        found: list[Counter] = []
        try:
            pynvml.nvmlInit()
            for number in self.visible():
                handle = pynvml.nvmlDeviceGetHandleByIndex(int(number))
                pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
                found.append(
                    Counter("gpu", lambda handle=handle: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3)  # type: ignore[misc]
                )
        except (pynvml.NVMLError, ValueError):
            return []  # no driver, a GPU without the counter or named by its UUID: a part would look like all of it
        return found


_here: list[Gpus] = []


def gpus_here() -> Gpus:
    """This machine's GPUs, or those that `pretend_gpus` put in their place."""
    if _here:
        return _here[-1]
    return CudaGpus() if torch.cuda.is_available() or shutil.which("nvidia-smi") else NoGpus()


@contextlib.contextmanager
def pretend_gpus(gpus: Gpus) -> Iterator[None]:
    """Within the context this process takes `gpus` for the machine's."""
    _here.append(gpus)
    try:
        yield
    finally:
        _here.remove(gpus)


def own_gpu() -> int:
    """The number by CUDA's count of the GPU of this process: in a group (`LOCAL_RANK`), each process has its own."""
    rank, gpus = int(os.environ.get("LOCAL_RANK", 0)), gpus_here().visible()
    return rank % len(gpus) if gpus else rank


def choose_device(name: str) -> torch.device:
    """The torch device of that name, the one choice for sampling, training and canaries; `auto` is CUDA, else the CPU.

    A process of a group gets its own GPU by number, so that it leaves no CUDA context on that of the first.
    Apple's GPU (`mps`) is taken only when it is asked for. Raises `UsageError` for a device that can't be used.
    """
    gpus = gpus_here()
    if name == "auto":
        name = "cuda" if gpus.usable() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{own_gpu()}"
    try:
        device = torch.device(name)
        if device.type == "cuda" and gpus.usable():
            gpus.memory(name)  # there may be no GPU of that number
        else:
            torch.zeros(1, device=device).item()  # not every device that can be named holds numbers
    except (RuntimeError, AssertionError, LookupError) as error:
        cause = str(error).splitlines()[0]
        raise UsageError(f"device `{name}` can't be used: {cause}", "Use --device cpu, or leave it out.") from None
    return device


def total_memory(device: torch.device) -> int:
    """Bytes of memory that the device has, used or not; Apple's GPU shares the machine's."""
    if device.type == "cuda":
        return gpus_here().memory(str(device)).total
    return int(psutil.virtual_memory().total)


def has_float64(device: torch.device) -> bool:
    """Whether the device computes in float64; Apple's GPU doesn't, and what needs it moves to the processor."""
    return device.type != "mps"


def runs_packed(device: torch.device) -> bool:
    """Whether the packed trainer and our own decoder are for that device, and not transformers' forward pass alone.

    They use operations that were never tried on Apple's GPU.
    """
    return device.type != "mps"


def _ask(gpus: Sequence[str], query: str) -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    chosen = ["-i", ",".join(gpus)] if gpus else []
    command = [tool, *chosen, query, "--format=csv,noheader,nounits"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()] if answer.returncode == 0 else []
