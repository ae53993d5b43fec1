"""How a processor deals rows to lanes and attention to threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from selfimprove.engines.decoding import Plan
from selfimprove.engines.native import THREAD_TOKENS, compiled_attention, compiler
from selfimprove.engines.transformers import GPU_WIDTH, LANE_ROWS, LANE_WEIGHTS, WIDE, WIDTH, lanes_for, plan_for
from selfimprove.sampling import GREEDY, Request


@pytest.mark.parametrize(
    ("rows", "prompts", "weight_bytes", "lanes"),
    [
        (2 * LANE_ROWS, 2 * LANE_ROWS, LANE_WEIGHTS, 2),
        (2 * LANE_ROWS - 1, 2 * LANE_ROWS - 1, LANE_WEIGHTS, 1),
        (2 * LANE_ROWS, 1, LANE_WEIGHTS, 1),
        (2 * LANE_ROWS, 2 * LANE_ROWS, LANE_WEIGHTS + 1, 1),
        (9 * LANE_ROWS, 9 * LANE_ROWS, 1, 4),
    ],
)
def test_lanes_have_rows_enough_and_never_read_large_weights_twice(
    rows: int, prompts: int, weight_bytes: int, lanes: int
) -> None:
    requests = [_request(n, n % prompts) for n in range(rows)]
    assert lanes_for(requests, 4, weight_bytes) == lanes


@pytest.mark.parametrize(
    ("device", "rows", "room", "plan"),
    [
        ("cpu", 2 * LANE_ROWS, 500, Plan(lanes=2, width=WIDTH, threads=2)),
        ("cpu", LANE_ROWS, 500, Plan(lanes=1, width=WIDE, threads=4)),
        ("cpu", 2 * LANE_ROWS, 50, Plan(lanes=2, width=25, threads=2)),
        ("cpu", LANE_ROWS, 0, Plan(lanes=1, width=1, threads=4)),
        ("cuda", 2 * LANE_ROWS, 500, Plan(lanes=1, width=GPU_WIDTH, threads=4)),
    ],
)
def test_a_plan_is_as_wide_as_the_device_and_the_cache_allow(device: str, rows: int, room: int, plan: Plan) -> None:
    requests = [_request(n, n) for n in range(rows)]
    assert plan_for(requests, 4, torch.device(device), 1, room) == plan


@pytest.mark.skipif(compiler() is None, reason="needs a C compiler")
def test_attention_on_several_threads_is_that_of_one() -> None:
    attention = compiled_attention(16, 2, torch.bfloat16)
    assert attention is not None
    rows, capacity = 24, 2 * THREAD_TOKENS // 8
    positions = torch.arange(capacity - rows, capacity)
    queries, new = torch.randn(rows, 4, 16).bfloat16(), torch.randn(2, rows, 2, 16).bfloat16()
    cached = torch.randn(2, rows, 2, capacity, 16).bfloat16()
    found = []
    for threads in (1, 2, 5):
        with _threads(threads):
            keys, values = cached.clone()
            found.append([attention(positions, queries, *new, keys, values), keys, values])
    assert positions.sum() > 5 * THREAD_TOKENS
    assert all(torch.equal(one, other) for again in found for one, other in zip(found[0], again, strict=True))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


def _request(number: int, prompt: int) -> Request:
    return Request(key=f"r{number}", sample=0, prompt_ids=(1, prompt), max_new_tokens=8, seed=number, decoding=GREEDY)
