"""One pass over a weight: the adapters' deltas summed onto it, the sum rounded, and what changed measured.

A weight goes through in blocks of rows, small enough for a core's cache, so that each number is read from memory once
and written once, however many operations it takes: at most 25 ns of one core for each weight of a first round, and 8
for each earlier adapter, the measuring included (`benchmarks/merge_cost.py`). Blocks don't depend on one another and
are shared out to the threads.

*On a GPU* the same operations run on larger blocks. The merged bits are those of a processor: the product of two
float32 numbers is exact in float64, a delta is summed there in the order of the rank (`product_in_order`, which is also
the order of the processor's own product), thresholds come from numpy in any case, and everything else is one operation
after the other on single numbers. Only the certificate's sums may differ from machine to machine, below 1e-6 of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from selfimprove.merging.adapters import Adapter
from selfimprove.merging.certificate import Change, measure, total_change, untouched
from selfimprove.merging.rounding import round_sum, thresholds, way_of
from selfimprove.recipe import Rounding
from selfimprove.sampling import derive_seed

T = TypeVar("T")

BLOCK = 1 << 18
"""Weights in a block on a processor, about: 1 MB in float32."""

GPU_BLOCK = 1 << 22
"""Weights in a block on a GPU, about."""

GPU_THREADS = 4
"""Most blocks under way on a GPU: thresholds are drawn by the processor, and take it longer than the GPU its part."""

GPU_ROOM = 2 << 30
"""Free GPU memory that as many blocks may need, in bytes."""

Factors = tuple[float, Tensor, Tensor]
"""Scale, B [out, rank] and A [rank, in] of a delta, in float64."""


def sum_weight(name: str, weight: Tensor, chain: Sequence[Adapter], rounding: Rounding, device: torch.device) -> Tensor:
    """The base's weight plus the deltas of the chain, as it is stored; on the processor."""
    work = _Work.of(name, weight, chain, rounding, device)
    work.each_block(work.write)
    return work.out


def sum_and_measure(
    name: str, weight: Tensor, chain: Sequence[Adapter], rounding: Rounding, parent: Tensor | None, device: torch.device
) -> tuple[Tensor, Change, str]:
    """What `sum_weight` gives, what the last adapter changed against the parent's weight, and how it was rounded.

    `rounding` is empty where the last adapter leaves the weight alone. No `parent`: it has no such weight.
    """
    work = _Work.of(name, weight, chain, rounding, device)
    if parent is not None and (parent.shape != weight.shape or parent.dtype != work.out.dtype):
        parent = None
    known = None if parent is None else parent.reshape(work.weight.shape)
    changes = work.each_block(lambda rows: work.change(rows, known))
    return work.out, total_change(changes), work.way if work.touched else ""


@dataclass(frozen=True, kw_only=True)
class _Work:
    """A weight as a matrix [rows, columns], its deltas in the chain's order (None: it has none), and the merged one."""

    weight: Tensor
    deltas: Sequence[Factors | None]
    way: str
    seed: int
    out: Tensor
    device: torch.device

    @staticmethod
    def of(name: str, weight: Tensor, chain: Sequence[Adapter], rounding: Rounding, device: torch.device) -> _Work:
        deltas = [adapter.factors64(name, device) for adapter in chain]
        stored = getattr(torch, rounding.dtype) if weight.is_floating_point() else weight.dtype
        return _Work(
            weight=weight if any(deltas) else weight.reshape(-1, 1),
            deltas=deltas,
            way=way_of(weight, rounding) if any(deltas) else "nearest",
            seed=derive_seed(rounding.seed, "rounding", name),
            out=torch.empty(weight.shape, dtype=stored),
            device=device,
        )

    @property
    def touched(self) -> bool:
        """Whether the last adapter changes the weight."""
        return self.deltas[-1] is not None

    def each_block(self, function: Callable[[slice], T]) -> list[T]:
        """The function's results on all blocks of rows, each with a number of weights that can be divided by 4."""
        count, columns = self.weight.shape
        size = (BLOCK if self.device.type == "cpu" else GPU_BLOCK) // max(1, columns)
        size = max(4, size - size % 4)
        blocks = [slice(first, min(first + size, count)) for first in range(0, count, size)] or [slice(0, 0)]
        most = torch.get_num_threads() if self.device.type == "cpu" else GPU_THREADS
        threads = min(most, torch.get_num_threads(), len(blocks))
        if threads < 2:
            return [function(rows) for rows in blocks]
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(function, blocks))

    def write(self, rows: slice) -> Tensor:
        """The merged rows, which are written to `out`."""
        weight = self.weight[rows].to(self.device)
        exact = self._sum(rows, weight, self.deltas)
        return self._write(rows, self._stored(weight, exact, self._thresholds(rows)))

    def change(self, rows: slice, parent: Tensor | None) -> Change:
        """What the last adapter changes in these rows, which are written to `out`."""
        weight = self.weight[rows].to(self.device)
        known = None if parent is None else parent[rows].to(self.device)
        before, noise = self._sum(rows, weight, self.deltas[:-1]), self._thresholds(rows)
        expected = self._stored(weight, before, noise)
        if self.deltas[-1] is None:
            return untouched(self._write(rows, expected), known)
        before = weight.float() if before is None else before
        delta = _delta(self.deltas[-1], rows)
        merged = self._write(rows, self._stored(weight, before + delta, noise))
        return measure(before, delta, merged, expected, known)

    def _sum(self, rows: slice, weight: Tensor, deltas: Sequence[Factors | None]) -> Tensor | None:
        exact = None
        for factors in deltas:
            if factors is not None:
                exact = (weight.float() if exact is None else exact) + _delta(factors, rows)
        return exact

    def _thresholds(self, rows: slice) -> Tensor | None:
        if self.way != "stochastic":
            return None
        first, columns = rows.start, self.weight.shape[1]
        found = thresholds(self.seed, first * columns, (rows.stop - first) * columns, self.device)
        return found.view(-1, columns)

    def _stored(self, weight: Tensor, exact: Tensor | None, noise: Tensor | None) -> Tensor:
        return weight.to(self.out.dtype) if exact is None else round_sum(exact, noise, self.out.dtype)

    def _write(self, rows: slice, merged: Tensor) -> Tensor:
        self.out.view(self.weight.shape)[rows] = merged.cpu()
        return merged


def _delta(factors: Factors, rows: slice) -> Tensor:
    scale, b, a = factors
    product = b[rows] @ a if b.device.type == "cpu" else product_in_order(b[rows], a)
    return product.mul_(scale).float()


def product_in_order(b: Tensor, a: Tensor) -> Tensor:
    """B · A of factors that hold float32 numbers in float64, bit by bit as a processor's product sums it."""
    total = b.new_zeros(b.shape[0], a.shape[1])
    for column, row in zip(b.unbind(1), a.unbind(0), strict=True):
        total.addr_(column, row)
    return total
