"""What prompts share at their beginning, so that it is computed once: a system turn, examples, a whole problem.

`plan_prefill` gives passes through the model. A pass is a list of texts, each a part of one prompt, to be computed from
the keys and values of what stands before it; `others` are the prompts that begin with the same tokens and get a copy.
The first passes compute what is shared, the last one what each prompt has for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

Prompt = tuple[int, ...]

WORTH = 16
"""Tokens that several prompts must share, beyond what is computed already, to be worth a pass of their own."""


@dataclass(frozen=True)
class Text:
    """Tokens `start` to `end` of prompt number `prompt`, which the prompts `others` have as well."""

    prompt: int
    start: int
    end: int
    others: tuple[int, ...] = ()


def plan_prefill(prompts: Sequence[Prompt]) -> list[list[Text]]:
    """Passes after which every token of every prompt but its last copies is computed; the last pass ends each prompt.

    `prompts` are distinct and sorted. A text's beginning is computed, or copied, by the passes before its own.
    """
    passes: list[list[Text]] = []
    done = [0] * len(prompts)
    groups = [list(range(len(prompts)))]
    while groups:
        shared = [(group, _shared([prompts[number] for number in group])) for group in groups]
        worth = [(group, end) for group, end in shared if end - done[group[0]] >= WORTH]
        if worth:
            passes.append([Text(group[0], done[group[0]], end, tuple(group[1:])) for group, end in worth])
        for group, end in worth:
            for number in group:
                done[number] = end
        groups = [part for group, end in shared for part in _split(group, prompts, end)]
    return [*passes, [Text(number, done[number], len(prompt)) for number, prompt in enumerate(prompts)]]


def _split(group: list[int], prompts: Sequence[Prompt], end: int) -> list[list[int]]:
    """The parts of a group that go on with the same token, those of one prompt left out; none ends with that token."""
    longer = [number for number in group if len(prompts[number]) > end + 1]
    parts = [list(part) for _, part in groupby(longer, key=lambda number: prompts[number][end])]
    return [part for part in parts if len(part) > 1]


def _shared(prompts: Sequence[Prompt]) -> int:
    """How many first tokens several prompts share; at least one token of each is left over."""
    low, high = prompts[0], prompts[-1]  # sorted: what these two share, all share
    limit = min(len(prompt) for prompt in prompts) - 1
    return next((number for number in range(limit) if low[number] != high[number]), limit)
