"""Judging: a model answers problems, the checker says which answers are right, and every verdict is durable.

A judged batch is one append to a verdicts file: the same batch is never sampled twice, whichever start of the run did
it, and a batch that a kill tore is dropped whole and made again. Batches are recorded in the order in which they are
asked for, and only those: what a sampler with workers made ahead of the look that decided leaves no trace.

Both sides answer the plain question with the same decoding and, where answers are drawn (`gate.samples` above 1), with
common seeds: seeds depend on the problem and the sample number, not on the model or the round.

A model is named by the round that made it, 0 for the base. Verdicts of a champion are looked up in the files of earlier
rounds, so a round judges its challenger alone once the champion has been seen on every held-out problem. Each row names
the setup that made it (`Machinery.setup`), and only rows of one setup are compared: a run that goes on with another
engine or checker judges its champion again, since a gain could otherwise be the engine's or the checker's.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

from selfimprove.answer import Outcome, Verdict
from selfimprove.answer.checking import Checker
from selfimprove.events import Emit, silence
from selfimprove.gate.decision import Pair, Vitals, pass_at_k
from selfimprove.problem import Problem
from selfimprove.recipe import Recipe
from selfimprove.round.job import prompt_of
from selfimprove.round.prefixes import prefix_statistics
from selfimprove.round.verdicts import check_completions, checked_texts, told_once
from selfimprove.sampling import (
    GREEDY,
    Completion,
    Decoding,
    Request,
    Sampler,
    StopReason,
    Tokenizer,
    derive_seed,
    plan_chunks,
    sample_chunks,
)
from selfimprove.store.durable import append_rows, keep_rows, read_rows
from selfimprove.store.journal import Journal
from selfimprove.store.parsing import parsed_rows
from selfimprove.store.records import Side
from selfimprove.store.round_folder import RoundFolder
from selfimprove.store.rows import Answered

T = TypeVar("T")

AnswersByKey = Mapping[str, Sequence[Answered]]
"""Answers of one model by problem key, in order of the sample number."""


class Judge:
    """Judges models on problems into one verdicts file.

    Rows of another `setup` than this are left as they are and not counted.
    """

    def __init__(
        self,
        recipe: Recipe,
        tokenizer: Tokenizer,
        checker: Checker,
        path: Path,
        emit: Emit = silence,
        *,
        setup: str,
    ) -> None:
        self._recipe = recipe
        self._tell = told_once(emit)
        self._tokenizer = tokenizer
        self._checker = checker
        self._path = path
        self._setup = setup
        self._rows = _read_answered(path)
        self._fresh = 0

    def drop_other_setups(self) -> None:
        """Remove the rows of other setups, which a start of the same stage left behind before the programs changed."""
        if others := [row for row in self._rows if row.setup != self._setup]:
            self._drop(others)

    def answers(
        self, sampler: Callable[[], Sampler], model: int, batches: Sequence[Sequence[Problem]]
    ) -> Generator[AnswersByKey, None, None]:
        """The model's answers to each batch, durable when it is yielded; `sampler` is called only to sample some.

        A sampler with workers, or one that holds several chunks, goes on with later batches meanwhile; a batch that
        isn't asked for leaves no record.
        """
        plans = self._owed(model, batches)
        with closing(self._sampled(sampler, [chunk for plan in plans for chunk in plan])) as sampled:
            for batch, plan in zip(batches, plans, strict=True):
                if plan:
                    self._record(model, batch, [c for completions in islice(sampled, len(plan)) for c in completions])
                yield by_key(self._found(model, batch))

    def chunked(self, problems: Sequence[Problem]) -> list[list[Problem]]:
        """The problems in batches whose answers are a chunk each, for a model that no look of a gate waits for."""
        return in_chunks(self._recipe, self._tokenizer, problems)

    def kept(self, model: int, batch: Sequence[Problem]) -> int:
        """How many of the batch's problems have durable answers of this model in the file."""
        keys = {row.key for row in self._found(model, batch)}
        return sum(problem.key in keys for problem in batch)

    def fresh_tokens(self) -> int:
        """Tokens sampled since this was asked last, for rates: those of answers that stood in the file don't count."""
        fresh, self._fresh = self._fresh, 0
        return fresh

    def prompt_tokens(self, problems: Sequence[Problem]) -> int:
        """Prompt tokens of judging one model on these problems."""
        prompts = [_request(self._recipe, self._tokenizer, problem, 0).prompt_ids for problem in problems]
        return sum(map(len, prompts)) * self._recipe.gate.samples

    def _owed(self, model: int, batches: Sequence[Sequence[Problem]]) -> list[tuple[tuple[Request, ...], ...]]:
        """The chunks still to be sampled, by batch; what a kill left of an unfinished batch is dropped."""
        samples = self._recipe.gate.samples
        owed = [len(self._found(model, batch)) != len(batch) * samples for batch in batches]
        if any(owed):
            torn = [batch for batch, wanted in zip(batches, owed, strict=True) if wanted]
            self._drop([row for batch in torn for row in self._found(model, batch)])
        return [self._chunks(batch) if wanted else () for batch, wanted in zip(batches, owed, strict=True)]

    def _found(self, model: int, batch: Sequence[Problem]) -> list[Answered]:
        keys = {problem.key for problem in batch}
        rows = (row for row in self._rows if row.model == model and row.setup == self._setup)
        return [row for row in rows if row.key in keys]

    def _chunks(self, batch: Sequence[Problem]) -> tuple[tuple[Request, ...], ...]:
        settings, numbers = self._recipe.sampling, range(self._recipe.gate.samples)
        requests = [_request(self._recipe, self._tokenizer, problem, number) for problem in batch for number in numbers]
        return plan_chunks(requests, settings.chunk_rows, settings.chunk_tokens)

    def _sampled(
        self, sampler: Callable[[], Sampler], chunks: Sequence[Sequence[Request]]
    ) -> Generator[list[Completion], None, None]:
        if chunks:
            yield from sample_chunks(sampler(), chunks)

    def _record(self, model: int, batch: Sequence[Problem], completions: Sequence[Completion]) -> None:
        """Check the batch's completions and make them durable in one append."""
        asked = {problem.key: problem for problem in batch}
        texts = [self._tokenizer.decode(completion.token_ids) for completion in completions]
        checked = checked_texts(self._tokenizer, self._recipe.sampling, texts)
        answers = [(text, asked[c.key]) for text, c in zip(checked, completions, strict=True)]
        cut = [completion.stop is StopReason.LENGTH for completion in completions]
        verdicts = check_completions(self._checker, answers, self._recipe.answers, cut=cut, tell=self._tell)
        found = zip(completions, texts, verdicts, strict=True)
        rows = [_answered(*row, model=model, setup=self._setup) for row in found]
        rows.sort(key=lambda row: (row.key, row.sample))
        append_rows(self._path, [row.model_dump() for row in rows])
        self._rows += rows
        self._fresh += sum(len(row.token_ids) for row in rows)

    def _drop(self, rows: Sequence[Answered]) -> None:
        """Remove these rows in memory and in the file, which loses a torn last line as well."""
        gone = set(rows)
        self._rows = [row for row in self._rows if row not in gone]
        keep_rows(self._path, [row.model_dump() for row in self._rows])


def in_chunks(recipe: Recipe, tokenizer: Tokenizer, problems: Sequence[Problem]) -> list[list[Problem]]:
    """The problems in batches, all answers to each of which are sampled as one chunk; those of similar length meet.

    A problem whose answers alone are more than a chunk may have is a batch of its own.
    """
    settings, samples = recipe.sampling, recipe.gate.samples
    asked = {problem.key: problem for problem in problems}
    first = [_request(recipe, tokenizer, problem, 0) for problem in problems]
    chunks = plan_chunks(first, max(1, settings.chunk_rows // samples), settings.chunk_tokens // samples)
    return [[asked[request.key] for request in chunk] for chunk in chunks]


def _request(recipe: Recipe, tokenizer: Tokenizer, problem: Problem, number: int) -> Request:
    """The request for the problem's answer of this number."""
    return Request(
        key=problem.key,
        sample=number,
        prompt_ids=prompt_of(tokenizer, recipe.sampling, problem),
        max_new_tokens=recipe.sampling.max_new_tokens,
        seed=derive_seed(recipe.seed, "judge", problem.key, number),
        decoding=judging_decoding(recipe),
    )


def judging_decoding(recipe: Recipe) -> Decoding:
    """Judging's decoding: `gate.temperature`; by default greedy for one answer, the training samples' for several."""
    settings, temperature = recipe.sampling, recipe.gate.temperature
    if temperature == 0 or (temperature is None and recipe.gate.samples == 1):
        return GREEDY
    return Decoding(settings.temperature if temperature is None else temperature, settings.top_p, settings.top_k)


def read_answers(path: Path, model: int, setup: str | None = None) -> dict[str, list[Answered]]:
    """The model's answers in a verdicts file, by problem key; those of one setup if it is given."""
    return by_key(row for row in _read_answered(path) if row.model == model and setup in (None, row.setup))


class RunAnswers:
    """The answers of a run's rounds as the rounds counted them; each file of verdicts is read once.

    `verdicts` says which file of a round's folder: by default that of the held-out problems.
    """

    def __init__(self, journal: Journal, verdicts: Callable[[RoundFolder], Path] = attrgetter("verdicts")) -> None:
        self.journal = journal
        self._verdicts = verdicts
        self._models: dict[int, dict[int, dict[str, list[Answered]]]] = {}

    def rows(self, number: int) -> list[Answered]:
        """The rows of the round's verdicts."""
        return _read_answered(self._verdicts(self.journal.round(number)))

    def of(self, number: int, model: int) -> AnswersByKey:
        """The model's answers in the verdicts of round `number`."""
        if number not in self._models:
            models: dict[int, list[Answered]] = {}
            for row in self.rows(number):
                models.setdefault(row.model, []).append(row)
            self._models[number] = {name: by_key(rows) for name, rows in models.items()}
        return self._models[number].get(model, {})

    def earlier(self, number: int, champion: int, setup: str) -> AnswersByKey:
        """The champion's answers under this setup from rounds before `number`; those that timed out are tried again."""
        found: dict[str, Sequence[Answered]] = {}
        for earlier in range(1, number):
            found |= settled(self.of(earlier, champion), setup)
        return found

    def other_setup(self, number: int, champion: int, setup: str) -> bool:
        """Whether rounds before `number` have answers of the champion under another setup."""
        rounds = (self.of(earlier, champion) for earlier in range(1, number))
        return any(row.setup != setup for answers in rounds for found in answers.values() for row in found)

    def champion(self, number: int, champion: int) -> AnswersByKey:
        """The champion's answers as round `number` counted them: those of earlier rounds, and what it judged itself."""
        own = self.of(number, champion)
        rows = (row for answers in (self.of(number, number), own) for found in answers.values() for row in found)
        setup = next((row.setup for row in rows), "")
        return {**self.earlier(number, champion, setup), **own}


def settled(answers: AnswersByKey, setup: str) -> AnswersByKey:
    """The answers under this setup, without those where the checker timed out, which are judged again."""

    def stands(row: Answered) -> bool:
        return row.setup == setup and row.outcome is not Outcome.TIMED_OUT

    return {key: found for key, found in answers.items() if all(map(stands, found))}


def by_key(rows: Iterable[Answered]) -> dict[str, list[Answered]]:
    """Answers grouped by problem, in order of the sample number."""
    grouped: dict[str, list[Answered]] = {}
    for row in sorted(rows, key=lambda row: row.sample):
        grouped.setdefault(row.key, []).append(row)
    return grouped


def judging_order(problems: Sequence[Problem], seed: int) -> list[Problem]:
    """The problems in the order in which they are judged: a seeded shuffle, the same in whatever order they come."""
    named = {problem.key: problem for problem in problems}
    return [named[key] for key in order_keys(named, seed)]


def order_keys(keys: Iterable[str], seed: int) -> list[str]:
    """The keys in the order in which their problems are judged."""
    ordered = sorted(keys)
    random.Random(seed).shuffle(ordered)
    return ordered


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Consecutive batches of `size` items, the last one shorter."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def pairs_of(keys: Iterable[str], champion: AnswersByKey, challenger: AnswersByKey) -> list[Pair]:
    """Paired outcomes in the order of the problems' keys; those not answered by both sides are left out."""
    return [
        Pair(
            share(champion[key]),
            share(challenger[key]),
            champion_unclear=_unclear(champion[key]),
            challenger_unclear=_unclear(challenger[key]),
            champion_unreadable=_unreadable(champion[key]),
            challenger_unreadable=_unreadable(challenger[key]),
        )
        for key in keys
        if key in champion and key in challenger
    ]


def scorecard(answers: AnswersByKey) -> Side:
    """Counts of verdicts over the answers, with accuracy, truncation rate and mean length."""
    rows = [row for found in answers.values() for row in found]
    counts = Counter(row.outcome for row in rows)
    n = max(1, len(rows))
    return Side(
        n=len(answers),
        answers=len(rows),
        correct=counts[Outcome.CORRECT],
        **({"error": counts[Outcome.ERROR]} if counts[Outcome.ERROR] else {}),
        wrong=counts[Outcome.WRONG],
        unparsed=counts[Outcome.UNPARSED],
        timed_out=counts[Outcome.TIMED_OUT],
        truncated=sum(row.stop is StopReason.LENGTH for row in rows),
        mean_tokens=round(sum(len(row.token_ids) for row in rows) / n, 3),
        accuracy=sum(row.value for row in rows) / n,
    )


def vitals(answers: AnswersByKey, prefix_length: int) -> Vitals:
    """What the gate's guards look at: pass@k over all answers of a problem, truncation, entropy of the prefixes."""
    statistics = prefix_statistics((row for found in answers.values() for row in found), prefix_length)
    passed = [pass_at_k(len(found), sum(row.correct for row in found), len(found)) for found in answers.values()]
    return Vitals(sum(passed) / max(1, len(passed)), statistics.truncated or 0.0, statistics.prefix_entropy or 0.0)


def _answered(completion: Completion, text: str, verdict: Verdict, *, model: int, setup: str) -> Answered:
    return Answered(
        model=model,
        key=completion.key,
        sample=completion.sample,
        outcome=verdict.outcome,
        candidate=verdict.candidate,
        stage=verdict.stage,
        reason=verdict.reason,
        score=verdict.score,
        stop=completion.stop,
        token_ids=completion.token_ids,
        text=text,
        setup=setup,
    )


def _read_answered(path: Path) -> list[Answered]:
    return parsed_rows(path, read_rows(path), Answered)


def share(answers: Sequence[Answered]) -> float:
    """The share of right answers; one with a score counts as that much of an answer."""
    return sum(answer.value for answer in answers) / len(answers)


def _unclear(answers: Sequence[Answered]) -> bool:
    return any(answer.unclear for answer in answers)


def _unreadable(answers: Sequence[Answered]) -> float:
    return sum(answer.unreadable for answer in answers) / len(answers)
