"""The rows of a chunk through a decoder: who runs when, who has ended, and what each draws.

*Continuous batching.* At most `width` rows run at once. A row that ends leaves at once, and as soon as a quarter of the
places are free (a prefill of few prompts costs as much as one of many) the next ones are filled in. So a chunk costs
the tokens it produces, not rows times the longest, and only its end runs with few rows.

*Lanes.* On a processor, two threads with rows of their own are faster than two that share each small operation and
wait for one another at its end. The rows are dealt to lanes, each with a decoder of its own on a thread of its own; the
weights are shared.

Both are planned from the requests alone, nothing depends on time: which rows stand together, and so how their sums are
rounded, is the same on every run with the same number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from threading import Event
from typing import Protocol

import torch

from selfimprove.engines.draws import Rule, draw, uniforms
from selfimprove.errors import StageError
from selfimprove.sampling import Request

REFILL = 0.25
"""Share of the places that are free before new rows enter."""


class Decoder(Protocol):
    """Rows that grow by a token a step; the places of rows are 0, 1, … in the order they were started."""

    refills: bool
    """Whether rows may be started while others run."""

    def prefill(self, prompts: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """Start rows behind those that run; logits (prompts, vocabulary) of their first tokens."""
        ...

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append a token (rows,) to each row; logits (rows, vocabulary) of the next."""
        ...

    def keep(self, order: Sequence[int]) -> None:
        """The row at place i is from now on the one that was at `order[i]`; the others are gone."""
        ...


@dataclass(frozen=True)
class Plan:
    """How a chunk is decoded: at most `width` rows in each of `lanes` lanes, which have `threads` threads each."""

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
    rule: Rule,
    ends: frozenset[int],
    plan: Plan,
) -> list[list[int]]:
    """The ids that follow each prompt, up to and with an id of `ends`, or as many as the request allows."""
    rows = [_Row(request, uniforms(request), []) for request in requests]
    stopped, threads = Event(), torch.get_num_threads()

    def run(lane: list[_Row]) -> None:
        torch.set_num_threads(plan.threads)  # of this thread; new threads take it over
        with torch.inference_mode():
            _run_lane(open_decoder(), lane, rule, ends, plan.width, stopped)

    try:
        with ThreadPoolExecutor(plan.lanes) as pool:
            lanes = [pool.submit(run, lane) for lane in _deal(rows, plan.lanes)]
            try:
                for done in as_completed(lanes):
                    done.result()
            finally:  # Ctrl-C, or a lane that failed: the others shall not go on to their ends
                stopped.set()
    finally:
        torch.set_num_threads(threads)
    return [row.ids for row in rows]


def _deal(rows: Sequence[_Row], lanes: int) -> list[list[_Row]]:
    """Rows by lane, in order of their prompts: equal prompts in one lane, similar ones together and in all lanes."""
    prompts = sorted({row.request.prompt_ids for row in rows})
    lane = {prompt: number % lanes for number, prompt in enumerate(prompts)}
    ordered = sorted(rows, key=lambda row: row.request.prompt_ids)
    dealt = [[row for row in ordered if lane[row.request.prompt_ids] == number] for number in range(lanes)]
    return [rows for rows in dealt if rows]


def _run_lane(
    decoder: Decoder, rows: Sequence[_Row], rule: Rule, ends: frozenset[int], width: int, stopped: Event
) -> None:
    waiting, running = list(rows), list[_Row]()
    tokens = torch.empty(0, dtype=torch.long)
    while (waiting or running) and not stopped.is_set():
        parts = [decoder.step(tokens)] if running else []
        if fresh := _entering(waiting, len(running), width, decoder.refills):
            parts.append(_sound(decoder.prefill([row.request.prompt_ids for row in fresh])))
            running, waiting = running + fresh, waiting[len(fresh) :]
        logits = torch.cat(parts)
        numbers = torch.stack([row.uniforms[len(row.ids)] for row in running])
        tokens = draw(logits, rule, numbers.to(logits.device))
        stays = [_goes_on(row, token, ends) for row, token in zip(running, tokens.tolist(), strict=True)]
        if not all(stays):
            order = _order(stays)
            decoder.keep(order)
            running, tokens = [running[place] for place in order], tokens[order]


def _sound(logits: torch.Tensor) -> torch.Tensor:
    if torch.isnan(logits).any():
        raise StageError("the model answers with NaN: its weights, or sums over them, are broken", "Check the model.")
    return logits


def _entering(waiting: list[_Row], running: int, width: int, refills: bool) -> list[_Row]:
    free = width - running
    return waiting[:free] if not running or (refills and free >= width * REFILL) else []


def _goes_on(row: _Row, token: int, ends: frozenset[int]) -> bool:
    row.ids.append(token)
    return token not in ends and len(row.ids) < row.request.max_new_tokens


def _order(stays: Sequence[bool]) -> list[int]:
    """The rows to keep, packed to the front of the batch: kept rows beyond the new length fill the freed places."""
    count = sum(stays)
    spare = [place for place in range(count, len(stays)) if stays[place]]
    return [place if stays[place] else spare.pop() for place in range(count)]
