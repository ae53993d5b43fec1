"""A chunk's requests decoded as a continuous batch: which rows run, which have ended, and each one's next token.

*Continuous batching.* At most `width` rows run at once. A row that ends leaves the batch at once, and waiting rows
enter as soon as a quarter of the batch is free (a prefill of few prompts costs as much as one of many). So a chunk
costs the tokens it produces, not rows times the longest, and only its last steps run with few rows.

*Lanes.* On a processor, two threads with a wide batch each are faster than two that share each small operation and wait
for one another at its end. Where there are rows enough, they are dealt to lanes, each a batch with its own decoder on
its own thread. The weights are shared, and each lane reads them all in every step: large models have a single lane
(`transformers.lanes_for`).

Both are planned from the requests alone, nothing depends on time: which rows are batched together, and so how their
sums are rounded, is the same on every run with the same number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event
from typing import Protocol

import torch

from selfimprove.engines.draws import Repetition, draw, uniforms
from selfimprove.errors import StageError
from selfimprove.sampling import DrawRule, OnTokens, Request

PULSE = 5.0
"""Seconds between two words on how far a chunk is."""
REFILL = 0.25
"""Share of the batch that has to be free before waiting rows enter."""


class Decoder(Protocol):
    """A batch of rows with their KV cache, of which each decode step makes every row one token longer."""

    refills: bool
    """Whether rows may enter while others run."""

    def prefill(self, prompts: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """Append rows with these prompts to the batch; logits (prompts, vocabulary) of their first new tokens."""
        ...

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append one token (rows,) to each row; logits (rows, vocabulary) of the next."""
        ...

    def keep(self, order: Sequence[int]) -> None:
        """Reorder the batch: row i becomes the former row `order[i]`; rows that `order` lacks are dropped."""
        ...


@dataclass(frozen=True)
class Plan:
    """How a chunk is decoded: in `lanes` batches of at most `width` rows, each with `threads` threads."""

    lanes: int
    width: int
    threads: int


@dataclass
class _Row:
    request: Request
    uniforms: torch.Tensor
    ids: list[int]


def decode(
    open_decoder: Callable[[], Decoder],
    requests: Sequence[Request],
    rule: DrawRule,
    ends: frozenset[int],
    plan: Plan,
    on_tokens: OnTokens = lambda tokens: None,
) -> list[list[int]]:
    """The sampled ids of each request, up to and with an id of `ends`, or as many as the request allows.

    `on_tokens` is told every `PULSE` seconds how many ids there are so far.
    """
    rows = [_Row(request, uniforms(request), []) for request in requests]
    stopped, threads = Event(), torch.get_num_threads()

    def run(lane: list[_Row]) -> None:
        torch.set_num_threads(plan.threads)  # of this thread; threads that it starts inherit it
        with torch.inference_mode():
            _run_lane(open_decoder(), lane, rule, ends, plan.width, stopped)

    try:
        with ThreadPoolExecutor(plan.lanes) as pool:
            lanes = [pool.submit(run, lane) for lane in _deal(rows, plan.lanes)]
            try:
                pending = set(lanes)
                while pending:
                    done, pending = wait(pending, PULSE, FIRST_COMPLETED)
                    for lane in done:
                        lane.result()
                    so_far = sum(len(row.ids) for row in rows)
                    if so_far and not done:
                        on_tokens(so_far)
            finally:  # Ctrl-C, or a lane that failed: the others shall not go on to their ends
                stopped.set()
    finally:
        torch.set_num_threads(threads)
    return [row.ids for row in rows]


def _deal(rows: Sequence[_Row], lanes: int) -> list[list[_Row]]:
    """The rows of each lane, sorted by prompt: equal prompts share a lane, and similar ones spread over all lanes."""
    prompts = sorted({row.request.prompt_ids for row in rows})
    lane = {prompt: number % lanes for number, prompt in enumerate(prompts)}
    ordered = sorted(rows, key=lambda row: row.request.prompt_ids)
    dealt = [[row for row in ordered if lane[row.request.prompt_ids] == number] for number in range(lanes)]
    return [rows for rows in dealt if rows]


def _run_lane(
    decoder: Decoder, rows: Sequence[_Row], rule: DrawRule, ends: frozenset[int], width: int, stopped: Event
) -> None:
    waiting, running = list(rows), list[_Row]()
    tokens, repetition = torch.empty(0, dtype=torch.long), Repetition(rule.repetition_penalty)
    while (waiting or running) and not stopped.is_set():
        parts = [decoder.step(tokens)] if running else []
        if entering := _entering(waiting, len(running), width, decoder.refills):
            prompts = [row.request.prompt_ids for row in entering]
            parts.append(_refuse_nan(decoder.prefill(prompts)))
            repetition.enter(prompts, parts[-1])
            running, waiting = running + entering, waiting[len(entering) :]
        logits = repetition.penalized(torch.cat(parts))
        numbers = torch.stack([row.uniforms[len(row.ids)] for row in running])
        tokens = draw(logits, rule, numbers.to(logits.device))
        repetition.append(tokens)
        kept = [_append(row, token, ends) for row, token in zip(running, tokens.tolist(), strict=True)]
        if not all(kept):
            order = _compacted(kept)
            decoder.keep(order)
            repetition.keep(order)
            running, tokens = [running[place] for place in order], tokens[order]


def _refuse_nan(logits: torch.Tensor) -> torch.Tensor:
    if torch.isnan(logits).any():
        raise StageError("the model answers with NaN: its weights, or sums over them, are broken", "Check the model.")
    return logits


def _entering(waiting: list[_Row], running: int, width: int, refills: bool) -> list[_Row]:
    free = width - running
    return waiting[:free] if not running or (refills and free >= width * REFILL) else []


def _append(row: _Row, token: int, ends: frozenset[int]) -> bool:
    """Append the token; whether the row goes on."""
    row.ids.append(token)
    return token not in ends and len(row.ids) < row.request.max_new_tokens


def _compacted(kept: Sequence[bool]) -> list[int]:
    """The rows to keep in a batch without gaps: kept rows beyond its new length fill the gaps, all others stay."""
    count = sum(kept)
    spare = [row for row in range(count, len(kept)) if kept[row]]
    return [row if kept[row] else spare.pop() for row in range(count)]
