"""Chunks dealt to workers: each is sampled once, results come in order, and no worker idles while chunks wait."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selfimprove.engines.ordered import Item, Joins, Ordered, never
from selfimprove.engines.transformers import GPU_WIDTH, held
from selfimprove.host.gpus import Memory
from selfimprove.models.gpus import pretend_gpus
from selfimprove.sampling import GREEDY, ONE_CHUNK, Hold, Request, plan_chunks
from tests.scripted_gpus import ScriptedGpus


def _chunk(rows: int, new: int = 512, prompt: int = 100) -> list[Request]:
    ids = tuple(range(prompt))
    return [
        Request(key=str(row), sample=0, prompt_ids=ids, max_new_tokens=new, seed=0, decoding=GREEDY)
        for row in range(rows)
    ]


def _joins_below(most: int) -> Joins:
    return lambda load, item: sum(load) + item <= most


@given(
    sizes=st.lists(st.integers(1, 9), max_size=60),
    workers=st.integers(1, 5),
    most=st.integers(0, 20),
    losses=st.integers(0, 6),
    seed=st.integers(0, 99),
)
def test_every_item_is_yielded_once_and_in_order_whatever_is_lost(
    sizes: list[int], workers: int, most: int, losses: int, seed: int
) -> None:
    draw, busy, found, taken = random.Random(seed), list[list[Item]](), list[int](), list[int]()

    def source() -> Iterator[int]:
        for number, size in enumerate(sizes):
            taken.append(number)
            yield size

    order = Ordered(source(), 2 * workers, _joins_below(most) if most else never)
    while True:
        found += order.in_turn()
        loads = order.loads(workers - len(busy))
        assert all(len(load) == 1 or sum(size for _, size in load) <= most for load in loads)
        busy += loads
        if order.finished:
            break
        assert busy, "nothing under way, and not at the end"
        load = busy.pop(draw.randrange(len(busy)))
        if losses:
            losses -= 1
            for item in load:
                order.again(item)
        else:
            order.done(load, [10 * size for _, size in load])
        if not most:
            assert len(taken) <= len(found) + 2 * workers
    assert found == [10 * size for size in sizes]


def _dealt(chunks: Sequence[Any], workers: int, hold: Hold) -> list[int]:
    """Rows of each worker's first load."""
    loads = Ordered(chunks, 2 * workers, hold.joins).loads(workers)
    return [sum(len(chunk) for _, chunk in load) for load in loads]


HOLD = Hold(rows=256, tokens=4_000_000)


@pytest.mark.parametrize(
    ("chunks", "workers", "rows"),
    [
        ([_chunk(64)] * 100, 1, [256]),
        ([_chunk(64)] * 100, 8, [256] * 8),
        ([_chunk(64)] * 16, 8, [128] * 8),  # 1,000 held-out problems: every GPU has its part
        ([_chunk(64)] * 3, 8, [64] * 3),
        ([_chunk(3, 16_384)] * 200, 1, [240]),  # what 65,536 padded tokens leave of a chunk
        ([_chunk(600)] * 2, 1, [600]),  # larger than what is held: as it is
    ],
    ids=["one_gpu", "eight_gpus", "few", "fewer_than_gpus", "long", "larger"],
)
def test_a_gpu_gets_hundreds_of_rows_in_whole_chunks(chunks: list[Any], workers: int, rows: list[int]) -> None:
    assert _dealt(chunks, workers, HOLD) == rows


def test_long_completions_fill_a_gpu_though_the_plan_gives_three_rows_a_chunk() -> None:
    chunks = plan_chunks(_chunk(1000, 16_384), 64, 65_536)
    assert {len(chunk) for chunk in chunks[:-1]} == {3}
    assert _dealt(chunks, 1, HOLD) == [240]


@pytest.mark.gpu_branch
def test_the_own_engine_holds_what_its_share_of_a_gpus_memory_has_room_for() -> None:
    with pretend_gpus(ScriptedGpus(memories=[Memory(free=1, total=80 << 30)])):
        hold = held(torch.device("cuda"), 57_344)
        assert held(torch.device("cpu"), 57_344) == ONE_CHUNK
    assert hold.rows == GPU_WIDTH
    assert (hold.tokens * 57_344) <= (10 << 30) < (hold.tokens + 1) * 57_344
