"""From completions to training examples: Unsupervised Prefix Fine-Tuning, and SFT and RFT on the same path.

UPFT (arXiv 2503.02875, section 3) maximises, over self-generated solutions r of questions x,

    (1 − p) · E[log P(r_<t | x)]  +  p · E[log P(r | x)] :

a share 1 − p of the rows trains the first t tokens only (*prefix* rows, under the task template that asks for the first
step), a share p trains the whole solution (*full* rows, under the plain question) so that the model keeps the shape of
an answer, called structure tuning. This module is pure: it decides which row is which before anything is sampled
(`assign_kinds`), so that a prefix row need not be sampled beyond t, and cuts targets out of the sampled ids afterwards
(`harvest`). It never sees text.

| recipe | select | length | structure_ratio |
| --- | --- | --- | --- |
| UPFT | all | t | p |
| SFT on own samples | all | full | – |
| RFT (rejection sampling) | verified | full | – |
| verified prefixes | verified | t | p |

Invariants, held by property tests: target ids are a prefix of the sampled ids (plus one end-of-sequence id after a
prefix, if the recipe asks for it); an end is trained only if it was sampled or asked for; which row is full depends
on the set of rows and the seed, not on their order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from selfimprove.recipe import Prefixes
from selfimprove.sampling import Completion, Row, derive_seed

Kind = Literal["prefix", "full"]


@dataclass(frozen=True)
class Example:
    """One training row: the loss is the mean over `target_ids`, times `weight`, given `prompt_ids`."""

    key: str
    sample: int
    kind: Kind
    prompt_ids: tuple[int, ...]
    target_ids: tuple[int, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Prompts:
    """The two prompts of one problem: `plain` for full rows, `task` (with the template) for prefix rows."""

    plain: tuple[int, ...]
    task: tuple[int, ...]


@dataclass(frozen=True)
class Harvest:
    """Examples of a round and what was left out, by reason."""

    examples: tuple[Example, ...]
    dropped: dict[str, int]


def assign_kinds(rows: Iterable[Row], settings: Prefixes, seed: int) -> dict[Row, Kind]:
    """The kind of each row: exactly round(p · n) are `full`, chosen by seed and row; all if `length` is `full`."""
    ranked = sorted(rows, key=lambda row: (derive_seed(seed, "structure", row[0], row[1]), row))
    full = len(ranked) if settings.length == "full" else round(settings.structure_ratio * len(ranked))
    return {row: "full" if rank < full else "prefix" for rank, row in enumerate(ranked)}


def token_limit(kind: Kind, settings: Prefixes, longest: int) -> int:
    """Tokens to sample for a row: `length` for a prefix row that needs no verdict, `longest` for every other."""
    if kind == "full" or settings.select == "verified" or settings.length == "full":
        return longest
    return min(settings.length, longest)


def harvest(
    completions: Iterable[Completion],
    kinds: Mapping[Row, Kind],
    prompts: Mapping[str, Prompts],
    settings: Prefixes,
    eos_id: int,
    verified: frozenset[Row] | None = None,
) -> Harvest:
    """The round's examples, sorted by row; `verified` holds the rows the checker accepted, if the selection needs it.

    Left out and counted: completions without a token before the end (`empty`) and those not verified (`not_verified`).
    """
    examples: list[Example] = []
    dropped: Counter[str] = Counter()
    for completion in sorted(completions, key=lambda c: c.row):
        if len(completion.token_ids) <= (completion.stop == "eos"):
            dropped["empty"] += 1
        elif verified is not None and completion.row not in verified:
            dropped["not_verified"] += 1
        else:
            examples.append(_example(completion, kinds[completion.row], prompts[completion.key], settings, eos_id))
    return Harvest(tuple(examples), dict(dropped))


def _example(completion: Completion, kind: Kind, prompts: Prompts, settings: Prefixes, eos_id: int) -> Example:
    ids = completion.token_ids
    if kind == "full" or settings.length == "full":
        return Example(completion.key, completion.sample, "full", prompts.plain, ids)
    target = ids[: settings.length]
    if settings.train_eos and not (target == ids and completion.stop == "eos"):
        target = (*target, eos_id)
    return Example(completion.key, completion.sample, "prefix", prompts.task, target)


class Sampled(Protocol):
    """What statistics need of a completion."""

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The sampled ids."""
        ...

    @property
    def stop(self) -> str:
        """`eos` or `length`."""
        ...


def prefix_statistics(completions: Iterable[Sampled], length: int) -> dict[str, float]:
    """Diversity of the first `length` ids: distinct share, entropy in nats, mean length, truncation.

    Sharpening that has eaten the diversity shows here before it shows in accuracy. `truncated` is the share of
    completions that ended by their token limit.
    """
    listed = list(completions)
    if not listed:
        return {"distinct_prefixes": 0.0, "prefix_entropy": 0.0, "mean_tokens": 0.0, "truncated": 0.0}
    counts = Counter(c.token_ids[:length] for c in listed)
    n = len(listed)
    return {
        "distinct_prefixes": len(counts) / n,
        "prefix_entropy": -sum(k / n * math.log(k / n) for k in counts.values()),
        "mean_tokens": sum(len(c.token_ids) for c in listed) / n,
        "truncated": sum(c.stop == "length" for c in listed) / n,
    }
