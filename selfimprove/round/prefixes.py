"""From completions to training examples: Unsupervised Prefix Fine-Tuning, and SFT and RFT on the same path.

UPFT (arXiv 2503.02875, section 3) maximises, over self-generated solutions r of questions x,

    (1 − p) · E[log P(r_<t | x)]  +  p · E[log P(r | x)] :

a share 1 − p of the rows trains the first t tokens only (*prefix* rows, under the task template that asks for the first
step), a share p trains the whole solution (*full* rows, under the plain question) so that the model keeps the shape of
an answer, called structure tuning. This module is pure: it decides which row is which before anything is sampled
(`assign_kinds`), so that a prefix row need not be sampled beyond t, and cuts targets out of the sampled ids afterwards
(`harvest`), of the rows that the recipe's selection chose (`round/selection.py`). It never sees text.

| recipe | select | length | structure_ratio |
| --- | --- | --- | --- |
| UPFT | all | t | p |
| SFT on own samples | all | full | – |
| RFT (rejection sampling) | verified | full | – |
| prefix self-consistency | modal | t | p |
| agreeing, verified or tried prefixes | consistent, verified, rollout | t | p |

Where a selection chooses among the prefixes of a problem (`modal`, `rollout`), a share p of the problems gives full
rows, so that the share holds for what is trained: under `modal` such a problem is sampled once, whole; under `rollout`
its best prefix is trained with one of the continuations that ended well.

Invariants, held by property tests: target ids are a prefix of the sampled ids (plus one end-of-sequence id after a
prefix, if the recipe asks for it); an end is trained only if it was sampled or asked for; which row is full depends
on the set of rows and the seed, not on their order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from selfimprove.recipe import Prefixes
from selfimprove.sampling import Completion, Row, StopReason, derive_seed
from selfimprove.store.records import PrefixStatistics
from selfimprove.store.rows import Kind


@dataclass(frozen=True)
class Example:
    """One training row: the loss is the mean over `target_ids`, times `weight`, given `prompt_ids`.

    Of a wrong row it is the mean probability of the targets, of every other their negative log-likelihood.
    """

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
class Choice:
    """What a selection made of a round's rows: the weights of those it keeps, and why it left out each of the others.

    `solutions` holds the whole solution of a kept row where it isn't what was sampled for that row; `wrong` are the
    rows left out that are known to end in a wrong answer.
    """

    weights: Mapping[Row, float]
    reasons: Mapping[Row, str]
    solutions: Mapping[Row, tuple[int, ...]] = field(default_factory=dict)
    wrong: frozenset[Row] = frozenset()


@dataclass(frozen=True)
class Harvest:
    """Examples of a round and what was left out, by reason."""

    examples: tuple[Example, ...]
    dropped: dict[str, int]


def assign_kinds(rows: Iterable[Row], settings: Prefixes, seed: int) -> dict[Row, Kind]:
    """The rows to sample with their kinds, chosen by seed and row: exactly round(p · n) of n are `full`.

    All are if `length` is `full`. Where the selection chooses among a problem's prefixes, n counts problems, and of
    those that give a full row `modal` samples the first row alone.
    """
    listed = sorted(rows)
    if settings.selection.chooses_prefixes:
        return _kinds_of_problems(listed, settings, seed)
    full = listed if settings.whole else _chosen(listed, settings.structure_ratio, seed)
    return {row: Kind.FULL if row in full else Kind.PREFIX for row in listed}


def _kinds_of_problems(rows: Sequence[Row], settings: Prefixes, seed: int) -> dict[Row, Kind]:
    first = {key: (key, sample) for key, sample in reversed(rows)}
    full = {key for key, _ in _chosen(list(first.values()), settings.structure_ratio, seed)}
    kinds = {row: Kind.FULL if row[0] in full else Kind.PREFIX for row in rows}
    if settings.selection.continues:
        return kinds
    return {row: kind for row, kind in kinds.items() if kind is Kind.PREFIX or row == first[row[0]]}


def _chosen(rows: Sequence[Row], share: float, seed: int) -> frozenset[Row]:
    ranked = sorted(rows, key=lambda row: (derive_seed(seed, "structure", row[0], row[1]), row))
    return frozenset(ranked[: round(share * len(ranked))])


def token_limit(kind: Kind, settings: Prefixes, longest: int) -> int:
    """Tokens to sample for a row: `length` where only the prefix is looked at, `longest` for every other."""
    full_row = kind is Kind.FULL and not settings.selection.continues
    if full_row or settings.selection.samples_whole or settings.length == "full":
        return longest
    return min(settings.length, longest)


def harvest(
    completions: Iterable[Completion],
    kinds: Mapping[Row, Kind],
    prompts: Mapping[str, Prompts],
    settings: Prefixes,
    eos_id: int,
    choice: Choice | None = None,
    negatives: float = 0.0,
) -> Harvest:
    """The round's examples, sorted by row, of the rows in `choice` if the recipe makes one; their mean weight is 1.

    With `negatives` the completions that are known to be wrong become examples of that weight. Left out and counted:
    completions without a token before the end (`empty`), those that the selection left out, by its reasons, full rows
    that the token limit cut (`cut`), those of a prefix whose continuations all failed (`no_solution`), and what is
    above `per_problem` (`per_problem`), of which right and wrong rows are counted apart.
    """
    examples: list[Example] = []
    dropped: Counter[str] = Counter()
    taken: Counter[tuple[str, bool]] = Counter()
    for completion in sorted(completions, key=lambda c: c.row):
        made = _made(completion, kinds[completion.row], prompts[completion.key], settings, eos_id, choice)
        if isinstance(made, str) and negatives and choice and completion.row in choice.wrong:
            made = _wrong(completion, prompts[completion.key], negatives)
        if isinstance(made, Example):
            side = made.key, made.kind is Kind.WRONG
            if settings.per_problem and taken[side] == settings.per_problem:
                made = "per_problem"
            else:
                taken[side] += 1
        if isinstance(made, str):
            dropped[made] += 1
        else:
            examples.append(made)
    return Harvest(tuple(_at_mean_one(examples)), dict(dropped))


def _at_mean_one(examples: Sequence[Example]) -> list[Example]:
    """The examples with weights whose mean over those that aren't wrong is 1."""
    weights = [example.weight for example in examples if example.kind is not Kind.WRONG]
    mean = sum(weights) / len(weights) if weights else 1.0
    return [
        e if e.kind is Kind.WRONG or abs(mean - 1) < 1e-12 else replace(e, weight=e.weight / mean) for e in examples
    ]


def _wrong(completion: Completion, prompts: Prompts, weight: float) -> Example | str:
    """The example of a wrong completion, or why it has none: where it was cut is no answer of its own."""
    if completion.stop == StopReason.LENGTH:
        return "cut"
    return Example(*completion.row, Kind.WRONG, prompts.plain, completion.token_ids, weight)


def _made(
    completion: Completion, kind: Kind, prompts: Prompts, settings: Prefixes, eos_id: int, choice: Choice | None
) -> Example | str:
    """The completion's example, or the reason why it has none."""
    row = completion.row
    if len(completion.token_ids) <= (completion.stop == StopReason.EOS):
        return "empty"
    if choice and row not in choice.weights:
        return choice.reasons[row]
    weight = choice.weights[row] if choice else 1.0
    if kind is Kind.PREFIX and settings.length != "full":
        target = _prefix(completion, settings.length, eos_id if settings.train_eos else None)
        return Example(*row, Kind.PREFIX, prompts.task, target, weight)
    solution = completion.token_ids
    if choice and settings.selection.continues:
        solution = choice.solutions.get(row, ())
    elif completion.stop == StopReason.LENGTH:
        return "cut"
    return Example(*row, Kind.FULL, prompts.plain, solution, weight) if solution else "no_solution"


def _prefix(completion: Completion, length: int, eos_id: int | None) -> tuple[int, ...]:
    target = completion.token_ids[:length]
    ended = target == completion.token_ids and completion.stop == StopReason.EOS
    return target if ended or eos_id is None else (*target, eos_id)


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


def prefix_statistics(completions: Iterable[Sampled], length: int) -> PrefixStatistics:
    """Diversity of the first `length` ids: distinct share, entropy in nats, mean length, truncation.

    Sharpening that has eaten the diversity shows here before it shows in accuracy. `truncated` is the share of
    completions that ended by their token limit.
    """
    listed = list(completions)
    if not listed:
        return PrefixStatistics(distinct_prefixes=0.0, prefix_entropy=0.0, mean_tokens=0.0, truncated=0.0)
    counts = Counter(c.token_ids[:length] for c in listed)
    n = len(listed)
    return PrefixStatistics(
        distinct_prefixes=len(counts) / n,
        prefix_entropy=sum(k / n * math.log(n / k) for k in counts.values()),
        mean_tokens=sum(len(c.token_ids) for c in listed) / n,
        truncated=sum(c.stop is StopReason.LENGTH for c in listed) / n,
    )
