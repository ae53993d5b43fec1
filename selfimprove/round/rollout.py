"""The rollout stage: every distinct prefix of a round continued m times, to see what it is worth.

A continuation is a request like any other, its prompt the plain question followed by the prefix's own ids, so it is
planned in chunks, durable and resumable as samples are (`rollouts.jsonl`), and its tokens stand in the stage's counts.
A prefix that ended by itself within t tokens is a whole solution: it is judged as it is, and none is sampled.

`tried` puts prefixes and continuations together and says how each ended: right by the checker, or with the
problem's majority answer where there are no labels (`prefixes.value`). Continuations vote as often as their prefix was
drawn, so the majority is that of the model and not of its distinct openings.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfimprove.answer import Outcome
from selfimprove.recipe import Recipe
from selfimprove.round.agreement import answer_classes, majority
from selfimprove.round.job import Job, plain_prompt, problems_of_step
from selfimprove.round.sample import draw, kinds_of_step, read_completions, training_decoding
from selfimprove.round.selection import Tried, pattern_of
from selfimprove.round.verdicts import checked_texts, harvested_outcomes
from selfimprove.sampling import Completion, Request, Row, StopReason
from selfimprove.store.records import Counts


@dataclass(frozen=True)
class Prefix:
    """A distinct prefix of a problem, and the rows that drew it."""

    key: str
    ids: tuple[int, ...]
    rows: tuple[Row, ...]
    ended: bool

    def solutions(self, continuations: Mapping[Row, Completion], each: int) -> list[tuple[int, ...]]:
        """Whole solutions that begin with it: one if it ended by itself, else one for each of its continuations."""
        if self.ended:
            return [self.ids]
        return [(*self.ids, *found.token_ids) for found in self._continued(continuations, each)]

    def cuts(self, continuations: Mapping[Row, Completion], each: int) -> list[bool]:
        """Of each of these solutions whether it was cut off at the token limit."""
        if self.ended:
            return [False]
        return [found.stop is StopReason.LENGTH for found in self._continued(continuations, each)]

    def _continued(self, continuations: Mapping[Row, Completion], each: int) -> list[Completion]:
        return [continuations[self.key, self.rows[0][1] * each + number] for number in range(each)]


def wanted(recipe: Recipe) -> bool:
    """Whether the recipe's selection continues prefixes."""
    return recipe.prefixes.selection.continues


def rollout(job: Job) -> Counts:
    """Continue the round's distinct prefixes into rollouts.jsonl, chunk by chunk."""
    requests = _requests(job, distinct_prefixes(read_completions(job.files.samples)))
    kinds = kinds_of_step(job)
    each = job.recipe.prefixes.rollouts
    return draw(job, "rollout", job.files.rollouts, requests, lambda row: kinds[row[0], row[1] // each])


def distinct_prefixes(completions: Sequence[Completion]) -> list[Prefix]:
    """The distinct id sequences of each problem with the rows that drew them, in order of their first rows."""
    rows: dict[tuple[str, tuple[int, ...]], list[Row]] = {}
    stops: dict[tuple[str, tuple[int, ...]], StopReason] = {}
    for completion in sorted(completions, key=lambda completion: completion.row):
        rows.setdefault((completion.key, completion.token_ids), []).append(completion.row)
        stops[completion.key, completion.token_ids] = completion.stop
    return [Prefix(key, ids, tuple(found), stops[key, ids] == StopReason.EOS) for (key, ids), found in rows.items()]


def tried(job: Job) -> list[Tried]:
    """The round's distinct prefixes with the outcomes of their continuations, by labels or by agreement."""
    prefixes = distinct_prefixes(read_completions(job.files.samples))
    continuations = {found.row: found for found in read_completions(job.files.rollouts)}
    solutions = [prefix.solutions(continuations, job.recipe.prefixes.rollouts) for prefix in prefixes]
    decode, sampling = job.machinery.tokenizer.decode, job.recipe.sampling
    texts = [checked_texts(job.machinery.tokenizer, sampling, map(decode, found)) for found in solutions]
    cuts = [cut for prefix in prefixes for cut in prefix.cuts(continuations, job.recipe.prefixes.rollouts)]
    ended = (_by_labels if by_labels(job) else _by_agreement)(job, prefixes, texts, cuts)
    questions = {problem.key: problem.question for problem in problems_of_step(job)}
    cut = {ids for ids, short in zip(itertools.chain.from_iterable(solutions), cuts, strict=True) if short}
    return [
        Tried(
            prefix.key,
            prefix.rows,
            tuple(outcomes),
            _pattern(job, prefix, questions[prefix.key]),
            next((ids for ids, well in zip(found, outcomes, strict=True) if well and ids not in cut), ()),
        )
        for prefix, found, outcomes in zip(prefixes, solutions, ended, strict=True)
    ]


def by_labels(job: Job) -> bool:
    """Whether continuations are judged by the problems' answers, and not by agreement."""
    value, train = job.recipe.prefixes.value, job.problems.train
    judged = bool(job.recipe.answers.checker) or all(problem.answer is not None for problem in train)
    return value == "labels" or (value == "auto" and judged)


def _requests(job: Job, prefixes: Sequence[Prefix]) -> list[Request]:
    each, longest = job.recipe.prefixes.rollouts, job.recipe.sampling.max_new_tokens
    plain = {problem.key: plain_prompt(job, problem) for problem in problems_of_step(job)}
    decoding = training_decoding(job.recipe)
    return [
        Request(
            key=prefix.key,
            sample=(number := prefix.rows[0][1] * each + place),
            prompt_ids=(*plain[prefix.key], *prefix.ids),
            max_new_tokens=max(1, longest - len(prefix.ids)),
            seed=job.seed("rollout", prefix.key, number),
            decoding=decoding,
        )
        for prefix in prefixes
        if not prefix.ended
        for place in range(each)
    ]


def _by_labels(
    job: Job, prefixes: Sequence[Prefix], texts: Sequence[Sequence[str]], cuts: Sequence[bool]
) -> list[list[bool]]:
    keys = [prefix.key for prefix, found in zip(prefixes, texts, strict=True) for _ in found]
    outcomes = iter(harvested_outcomes(job, keys, list(itertools.chain.from_iterable(texts)), cuts))
    return [[next(outcomes) is Outcome.CORRECT for _ in found] for found in texts]


def _by_agreement(
    job: Job, prefixes: Sequence[Prefix], texts: Sequence[Sequence[str]], cuts: Sequence[bool]
) -> list[list[bool]]:
    keys = [prefix.key for prefix, found in zip(prefixes, texts, strict=True) for _ in found]
    flat = [text for found in texts for text in found]
    named = iter(answer_classes(job.machinery.checker, keys, flat, job.recipe.answers, cuts))
    classes = [[next(named) for _ in found] for found in texts]
    votes: dict[str, list[tuple[str | None, int]]] = {}
    for prefix, found in zip(prefixes, classes, strict=True):
        votes.setdefault(prefix.key, []).extend((name, len(prefix.rows)) for name in found)
    winners = {key: majority(cast) for key, cast in votes.items()}
    return [
        [name is not None and name == winners[prefix.key] for name in found]
        for prefix, found in zip(prefixes, classes, strict=True)
    ]


def _pattern(job: Job, prefix: Prefix, question: str) -> str:
    if not job.recipe.prefixes.pooled:
        return ""
    return pattern_of(job.machinery.tokenizer.decode(prefix.ids), question)
