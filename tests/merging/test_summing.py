"""One pass in blocks against the plain formula on whole weights: the same bits, the same sums."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from selfimprove.merging.adapters import Adapter
from selfimprove.merging.certificate import Change
from selfimprove.merging.rounding import stored, way_of
from selfimprove.merging.summing import BLOCK, product_in_order, sum_and_measure, sum_weight
from selfimprove.recipe import Rounding

CPU = torch.device("cpu")
ROUNDINGS = [Rounding(dtype="bfloat16", seed=3), Rounding(dtype="bfloat16", way="nearest"), Rounding(dtype="float32")]
SHAPE = (301, 999)
"""More than a block of rows, and no number of rows or columns that 4 divides."""


def _weight(rounding: Rounding) -> Tensor:
    assert SHAPE[0] * SHAPE[1] > BLOCK
    return (torch.randn(SHAPE, generator=torch.Generator().manual_seed(1)) * 0.02).to(getattr(torch, rounding.dtype))


def _chain(length: int, size: float = 3e-3) -> list[Adapter]:
    draw = torch.Generator().manual_seed(2)
    pairs = [
        (torch.randn(SHAPE[0], 8, generator=draw) * size, torch.randn(8, SHAPE[1], generator=draw) * size)
        for _ in range(length)
    ]
    return [Adapter(Path(f"{number}"), 1.7, {"w": pair}) for number, pair in enumerate(pairs)]


def delta_of(adapter: Adapter, weight: str) -> Tensor:
    """What the adapter adds to a weight, float32 [out, in]; zero if it leaves the weight alone."""
    if weight not in adapter.factors:
        return torch.zeros(())
    b, a = adapter.factors[weight]
    return (adapter.scale * (b.double() @ a.double())).float()


def _formula(weight: Tensor, chain: list[Adapter], rounding: Rounding) -> tuple[Tensor | None, Tensor]:
    exact = None
    for adapter in chain:
        delta = delta_of(adapter, "w")
        exact = (weight.float() if exact is None else exact) + delta
    return exact, stored("w", exact, weight, rounding)


@pytest.mark.parametrize("rounding", ROUNDINGS, ids=lambda rounding: f"{rounding.dtype}_{rounding.way}")
@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_give_the_bits_and_the_sums_of_the_whole_weight(length: int, rounding: Rounding, threads: int) -> None:
    weight, chain = _weight(rounding), _chain(length)
    before, parent = _formula(weight, chain[:-1], rounding)
    _, merged = _formula(weight, chain, rounding)
    was = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(sum_weight("w", weight, chain, rounding, CPU), merged)
        found, change, way = sum_and_measure("w", weight, chain, rounding, parent, CPU)
    finally:
        torch.set_num_threads(was)
    assert torch.equal(found, merged)
    assert way == way_of(weight, rounding)
    delta = delta_of(chain[-1], "w")
    d, p = delta.double(), (weight.float() if before is None else before).double()
    a = (merged.float() - parent.float()).double()
    sums = {"along": (a * d).sum(), "intended": (d * d).sum(), "error": ((a - d) ** 2).sum(), "before": (p * p).sum()}
    for key, sum_ in sums.items():
        assert getattr(change, key) == pytest.approx(sum_.item(), rel=1e-6, abs=1e-9), key
    assert (change.touched, change.unchanged) == (weight.numel(), int((merged == parent).sum()))
    assert (change.finite, change.identical, change.parent_is_chain) == (True, False, True)


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        (ROUNDINGS[0], "0237c217a416eb8ea8583d4d931ed4928106025a8ee03ac98e9377c61b0eb9d3"),
        (ROUNDINGS[1], "b416da63c74eecea6998839e627d9e4be02abf7f1a0c4ba2c86bd103c77c2907"),
        (ROUNDINGS[2], "345d912a63932c84421757c83124d7db46c2c8868b3b5e469666b68181b57dbf"),
    ],
    ids=["stochastic", "nearest", "float32"],
)
def test_a_merge_has_the_bits_that_it_has_on_another_machine(rounding: Rounding, expected: str) -> None:
    """The hashes are those of the machine that this test was written on: two threads, AVX-512."""
    stream = np.random.PCG64(7)

    def drawn(rows: int, columns: int, size: float) -> Tensor:
        words = stream.random_raw(rows * columns).astype(np.int64) >> 40
        return (torch.from_numpy(words).float() * (size * 2.0**-23)).view(rows, columns)

    weight = drawn(*SHAPE, 0.05).to(getattr(torch, rounding.dtype))
    pairs = [(drawn(SHAPE[0], 16, 3e-3), drawn(16, SHAPE[1], 3e-3)) for _ in range(3)]
    chain = [Adapter(Path(f"{number}"), 1.7, {"w": pair}) for number, pair in enumerate(pairs)]
    merged = sum_weight("w", weight, chain, rounding, CPU)
    assert not torch.equal(merged, weight)
    found = hashlib.sha256(merged.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()
    assert found == expected


def test_one_weight_that_differs_from_the_chain_is_seen_in_whichever_block(tmp_path: Path) -> None:
    weight, chain = _weight(ROUNDINGS[0]), _chain(1)
    for place in (0, weight.numel() - 1):
        other = weight.clone()
        other.view(-1)[place] += 1
        _, change, _ = sum_and_measure("w", weight, chain, ROUNDINGS[0], other, CPU)
        assert not change.parent_is_chain


@pytest.mark.parametrize("shape", [(), (5,), (BLOCK + 3,), (2, 3, 5), (0,)], ids=str)
def test_a_weight_that_no_adapter_changes_keeps_its_numbers_and_its_shape(shape: tuple[int, ...]) -> None:
    weight = torch.ones(shape)
    found, change, way = sum_and_measure("v", weight, _chain(2), ROUNDINGS[0], weight.bfloat16(), CPU)
    assert torch.equal(found, weight.bfloat16())
    assert (way, change) == ("", Change())
    strangers = (None, weight, weight.bfloat16() + 1) if weight.numel() else (None, weight)
    for parent in strangers:
        _, change, _ = sum_and_measure("v", weight, _chain(2), ROUNDINGS[0], parent, CPU)
        assert not change.identical


def test_whole_numbers_and_what_is_not_finite_go_through() -> None:
    whole = torch.arange(7)
    found, change, _ = sum_and_measure("v", whole, _chain(1), ROUNDINGS[0], whole, CPU)
    assert (torch.equal(found, whole), change.identical) == (True, True)
    weight = _weight(ROUNDINGS[0])
    weight[-1, -1] = torch.nan
    for name in ("v", "w"):
        assert not sum_and_measure(name, weight, _chain(1), ROUNDINGS[0], weight, CPU)[1].finite


@pytest.mark.parametrize("rank", [1, 4, 16, 64, 256])
def test_a_gpus_product_has_the_bits_of_a_processors(rank: int) -> None:
    draw = torch.Generator().manual_seed(rank)
    b, a = (torch.randn(shape, generator=draw).double() for shape in ((70, rank), (rank, 130)))
    assert torch.equal(product_in_order(b, a), b @ a)
