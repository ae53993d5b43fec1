"""Attention of a decode step as compiled C (`attention.c`), where a C compiler is found.

torch has no operation for one new token a row over rows of unequal length. What it has reads every row up to the
longest and, for a row that doesn't fill its slot, copies keys and values before it multiplies: 1.6 ms a layer for 64
rows of the embedded model at 192 tokens, on one core. The compiled one takes 0.55 ms, and reads each row's own length.

The rows of a step are dealt to the threads that torch uses: 128 rows of a model of 1.5 billion weights take 5.6 ms of
a layer with one thread and 3.6 ms with two, beside 22 ms for its products. Each row is summed alone, so how they are
dealt changes no result.

It is compiled for the model's head width when a sampler starts, in a third of a second, into a temporary folder that
is gone at once. It sums in another order than torch, so the two round differently: a machine keeps to one of them.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import torch

FLAGS = ("-c", "-O3", "-march=native", "-ffast-math", "-fPIC")
"""For compiling alone: a library *linked* with `-ffast-math` makes the whole process flush subnormal numbers."""
TYPES = {torch.bfloat16: "-DBFLOAT16", torch.float32: "-DFLOAT32"}

THREAD_TOKENS = 4096
"""Cached tokens that are worth a thread: fewer take less time than the handing over."""

Attention = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(positions (rows,), queries (rows, heads, width), new keys and new values (rows, groups, width), the layer's cached
keys and values (slots, groups, capacity, width)) to an output shaped as the queries. Caches the new ones."""


def compiler() -> str | None:
    """The path of a C compiler; None if there is none."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


@cache
def compiled_attention(width: int, share: int, dtype: torch.dtype) -> Attention | None:
    """Attention for heads of `width`, `share` query heads to each key head; None if it can't be compiled here."""
    tool = compiler()
    if tool is None or dtype not in TYPES:
        return None
    with tempfile.TemporaryDirectory(prefix="selfimprove-") as folder:
        code, library = Path(folder, "attention.o"), Path(folder, "attention.so")
        sizes = (TYPES[dtype], f"-DWIDTH={width}", f"-DSHARE={share}")
        compiling = [tool, *FLAGS, *sizes, str(Path(__file__).with_name("attention.c")), "-o", str(code)]
        linking = [tool, "-shared", str(code), "-o", str(library), "-lm"]
        if any(
            subprocess.run(command, capture_output=True, check=False).returncode for command in (compiling, linking)
        ):
            return None
        return _bind(ctypes.CDLL(str(library)).attend)


def _bind(function: Callable[..., None]) -> Attention:
    number, pointer = ctypes.c_int64, ctypes.c_void_p
    types = [number] * 3 + [pointer, ctypes.c_float] + [pointer, number] * 3 + [pointer] * 4
    function.argtypes = types  # type: ignore[attr-defined]  # a function of ctypes
    function.restype = None  # type: ignore[attr-defined]

    def attend(
        positions: torch.Tensor,
        queries: torch.Tensor,
        new_keys: torch.Tensor,
        new_values: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
    ) -> torch.Tensor:
        rows, heads, width = queries.shape
        groups, capacity = keys.shape[1:3]
        out = torch.empty((rows, heads, width), dtype=queries.dtype)
        threads = max(1, min(torch.get_num_threads(), rows, int(positions.sum()) // THREAD_TOKENS))
        scores = torch.empty(threads, heads // groups * capacity)

        def run(part: int) -> None:
            begin, end = (rows * edge // threads for edge in (part, part + 1))
            given = [new[begin:end] for new in (queries, new_keys, new_values)]
            fresh = [argument for new in given for argument in (new.data_ptr(), new.stride(0))]
            ends = [block.data_ptr() for block in (keys[begin:], values[begin:], scores[part], out[begin:])]
            function(end - begin, groups, capacity, positions[begin:].data_ptr(), width**-0.5, *fresh, *ends)

        others = [_threads().submit(run, part) for part in range(1, threads)]
        run(0)
        for other in others:
            other.result()
        return out

    return attend


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), "attention")
