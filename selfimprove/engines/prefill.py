"""The prefill of several prompts, planned so that a common prefix (a system turn, few-shot examples) is computed once.

`plan_prefill` gives forward passes. A pass is a list of spans, each a range of one prompt's tokens, computed from the
KV cache of the tokens before it; the prompts in `others` begin with the same tokens and get a copy of the span's keys
and values. The first passes compute common prefixes, the last one what each prompt has for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

Prompt = tuple[int, ...]

WORTH = 16
"""Common tokens, beyond those computed already, that are worth a pass of their own."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """Tokens `start` up to `end` of prompt number `prompt`; the prompts `others` have the same there."""

    prompt: int
    start: int
    end: int
    others: tuple[int, ...] = ()


def plan_prefill(prompts: Sequence[Prompt]) -> list[list[Span]]:
    """Passes that together compute or copy every token of every prompt; the last pass has the end of each prompt.

    `prompts` are distinct and sorted. What stands before a span is computed or copied by the passes before its own.
    """
    passes: list[list[Span]] = []
    done = [0] * len(prompts)
    groups = [list(range(len(prompts)))]
    while groups:
        shared = [(group, _common_length([prompts[number] for number in group])) for group in groups]
        worth = [(group, end) for group, end in shared if end - done[group[0]] >= WORTH]
        if worth:
            passes.append(
                [Span(prompt=group[0], start=done[group[0]], end=end, others=tuple(group[1:])) for group, end in worth]
            )
        for group, end in worth:
            for number in group:
                done[number] = end
        groups = [part for group, end in shared for part in _split(group, prompts, end)]
    return [
        *passes,
        [Span(prompt=number, start=done[number], end=len(prompt)) for number, prompt in enumerate(prompts)],
    ]


def _split(group: list[int], prompts: Sequence[Prompt], end: int) -> list[list[int]]:
    """The group's prompts by their token at `end`, where it has one for several and that token is not their last."""
    longer = [number for number in group if len(prompts[number]) > end + 1]
    parts = [list(part) for _, part in groupby(longer, key=lambda number: prompts[number][end])]
    return [part for part in parts if len(part) > 1]


def _common_length(prompts: Sequence[Prompt]) -> int:
    """Tokens of the longest common prefix of these sorted prompts that leaves each at least one token."""
    low, high = prompts[0], prompts[-1]  # what the first and the last have in common, all between them have
    limit = min(len(prompt) for prompt in prompts) - 1
    return next((number for number in range(limit) if low[number] != high[number]), limit)
