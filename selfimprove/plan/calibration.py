"""A run's rates on this machine, measured in a minute or two before it starts, for `selfimprove plan --calibrate`.

The real engine samples one chunk of at most `CHUNK` training problems up to the length of a prefix, and then to the end
of the answers: the chunk again if `SAMPLE_SECONDS` take it half-way to the recipe's limit, else `FEW` of its problems,
which get much further in that time (`_to_the_end`). That gives two rates of a chunk and the lengths of completions. The
mean length is a range: a completion that was cut counts at its own length at the low end and at the recipe's limit at
the high end, and each end is widened by two standard errors of the mean. Where the recipe keeps verified completions
alone, the checker judges those that went on, and the share kept is a 95% interval; other selections compare several
completions of a problem, which isn't tried, so the share kept is between 0 and 1.

The real trainer then takes a few small steps on rows made of these completions, and if there is time left its adapter
is merged. Training is cut short after the first step that ends past `DEADLINE`. Small steps use a GPU badly, so the
measured time of a row is rather too high. Judging's greedy answers are assumed to be as long as the sampled ones.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from selfimprove.answer import Outcome
from selfimprove.gate.decision import interval_of_rate
from selfimprove.host.metering import metered
from selfimprove.problem import Problem, ProblemSets
from selfimprove.recipe import Recipe
from selfimprove.round.job import prompt_of
from selfimprove.round.machinery import Machinery, MergeCheck, TrainJob
from selfimprove.round.prefixes import Example, Prompts, assign_kinds, harvest
from selfimprove.round.sample import training_decoding
from selfimprove.round.verdicts import check_completions, checked_texts
from selfimprove.sampling import (
    Completion,
    Request,
    Sampler,
    StopReason,
    derive_seed,
)

CHUNK = 64
"""Most problems in the chunk. One of 256 is up to half as fast again on a processor, so times are told rather too long;
with 1.5 billion parameters, its prompts alone would take minutes."""
SAMPLE_SECONDS = 15.0
FEW = 8
"""Problems whose answers are sampled to their end where a whole chunk's would take too long."""
STEPS_TIMED = 8
"""Tokens that tell how far these get."""
DEADLINE = 45.0
"""Seconds from the start after which no training step is begun."""
MERGE_UNTIL = 30.0
"""Seconds from the start after which no merge is begun, since it takes a few times as long as loading the model."""
STEP_ROWS, STEPS = 8, 3
STEP_TOKENS = 1024
"""About as many tokens are trained in a step where there is no GPU, which takes a second or a few."""

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was measured; None where time ran out.

    Rates are tokens per second over a whole chunk of `rows`, tokens are means per completion: `short` of completions
    that stop at the prefix's length, `long` of those that go on, of which `long_rows` were sampled up to `limit`
    tokens. `kept` is the share of completions that become training rows.
    """

    seconds: float
    rows: int
    long_rows: int
    load_seconds: float
    short_tokens: float
    short_rate: float
    long_tokens: Range
    long_rate: float
    limit: int
    kept: Range
    train_load_seconds: float | None
    row_seconds: float | None
    merge_seconds: float | None
    peak_rss_mb: int | None
    peak_gpu_mb: int | None


class _OutOfTimeError(Exception):
    """Raised in the trainer's callback past `DEADLINE`, to end the training."""


def calibrate(recipe: Recipe, problems: ProblemSets, machinery: Machinery, folder: Path) -> Calibration:
    """Measure on the base model, with `folder` for scratch files; no run's folder is touched."""
    began = time.perf_counter()
    with metered(folder / "cost", machinery.gpus) as meter:
        chosen = sorted(problems.train, key=lambda problem: problem.key)[: min(CHUNK, recipe.sampling.chunk_rows)]
        with machinery.open_sampler(machinery.base) as sampler:
            _sample(sampler, _requests(recipe, machinery, chosen[:2], 2))
            load = time.perf_counter() - began
            prefix = 8 if recipe.prefixes.length == "full" else recipe.prefixes.length
            prefix = min(prefix, recipe.sampling.max_new_tokens)
            short, short_seconds = _sample(sampler, _requests(recipe, machinery, chosen, prefix))
            asked = partial(_requests, recipe, machinery)
            long = _to_the_end(sampler, asked, chosen, prefix, short_seconds, recipe.sampling.max_new_tokens)
        starts, row_seconds = _train(recipe, machinery, chosen, long.completions, folder, began)
        merge_seconds = _merge(recipe, machinery, problems, folder, began)
    return Calibration(
        seconds=time.perf_counter() - began,
        rows=len(chosen),
        long_rows=len(long.completions),
        load_seconds=load,
        short_tokens=statistics.mean(len(c.token_ids) for c in short),
        short_rate=sum(len(c.token_ids) for c in short) / short_seconds,
        long_tokens=mean_length(long.completions, recipe.sampling.max_new_tokens),
        long_rate=long.rate,
        limit=long.limit,
        kept=_kept(recipe, machinery, chosen, long.completions),
        train_load_seconds=starts,
        row_seconds=row_seconds,
        merge_seconds=merge_seconds,
        peak_rss_mb=meter.cost.peak_rss_mb,
        peak_gpu_mb=meter.cost.peak_gpu_mb,
    )


def _requests(recipe: Recipe, machinery: Machinery, problems: Sequence[Problem], limit: int) -> list[Request]:
    decoding = training_decoding(recipe)
    return [
        Request(
            key=problem.key,
            sample=0,
            prompt_ids=prompt_of(machinery.tokenizer, recipe.sampling, problem),
            max_new_tokens=limit,
            seed=derive_seed(recipe.seed, "calibration", problem.key),
            decoding=decoding,
        )
        for problem in problems
    ]


def _sample(sampler: Sampler, requests: Sequence[Request]) -> tuple[list[Completion], float]:
    began = time.perf_counter()
    return list(sampler.sample(requests)), time.perf_counter() - began


@dataclass(frozen=True, kw_only=True)
class _Long:
    """Completions that went on past the prefix, up to `limit` tokens; `rate` is that of a whole chunk of them."""

    completions: Sequence[Completion]
    limit: int
    rate: float


def _to_the_end(
    sampler: Sampler,
    requests: Callable[[Sequence[Problem], int], list[Request]],
    chunk: Sequence[Problem],
    prefix: int,
    seconds: float,
    longest: int,
) -> _Long:
    """Completions as long as `SAMPLE_SECONDS` allow, at most `longest`; the chunk took `seconds` for its prefixes."""
    reach = min(longest, max(prefix, int(SAMPLE_SECONDS * prefix / seconds)))
    if 2 * reach >= longest or len(chunk) <= FEW:
        long, taken = _sample(sampler, requests(chunk, reach))
        return _Long(completions=long, limit=reach, rate=sum(len(c.token_ids) for c in long) / taken)
    few = chunk[:FEW]
    _, prompts = _sample(sampler, requests(few, 1))
    _, begun = _sample(sampler, requests(few, 1 + STEPS_TIMED))
    step = max(1e-6, begun - prompts) / STEPS_TIMED
    reach = min(longest, max(2 * prefix, 1 + int((SAMPLE_SECONDS - prompts) / step)))
    long, taken = _sample(sampler, requests(few, reach))
    step = max(0.0, taken - prompts) / max(len(c.token_ids) for c in long)
    pace = pace_of_chunk(Pace(prompts=prompts, step=step), len(chunk) / len(few), seconds, prefix)
    mean = statistics.mean(len(c.token_ids) for c in long)
    return _Long(completions=long, limit=reach, rate=len(chunk) / pace.token(mean))


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds that a batch takes for its prompts, and for each further token of all rows."""

    prompts: float
    step: float

    def token(self, length: float) -> float:
        """Seconds per token of each row, its prompt's share included, if rows are `length` tokens long."""
        return self.prompts / length + self.step


def pace_of_chunk(few: Pace, times: float, seconds: float, prefix: int) -> Pace:
    """The pace of a chunk that took `seconds` for `prefix` tokens a row and has `times` as many rows as `few`.

    Prompts take time by their number, and no step is quicker than one of fewer rows.
    """
    prompts = few.prompts * times
    return Pace(prompts=prompts, step=max(few.step, (seconds - prompts) / prefix))


def mean_length(completions: Sequence[Completion], longest: int) -> Range:
    """A range of the mean length in tokens: cut completions at their own length or at `longest`, two errors around."""
    low = [len(c.token_ids) for c in completions]
    high = [len(c.token_ids) if c.stop == StopReason.EOS else longest for c in completions]
    lower = statistics.mean(low) - _two_errors(low)
    return max(1.0, lower), min(float(longest), statistics.mean(high) + _two_errors(high))


def _two_errors(values: Sequence[int]) -> float:
    return 2 * statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0


def _kept(
    recipe: Recipe, machinery: Machinery, problems: Sequence[Problem], completions: Sequence[Completion]
) -> Range:
    """The share of completions that become rows: measured if they are verified, 0 to 1 if they are compared."""
    selection = recipe.prefixes.selection
    if not (selection.needs_answers or selection.compares):
        return 1.0, 1.0
    if not selection.needs_answers:
        return 0.0, 1.0
    asked = {problem.key: problem for problem in problems}
    decoded = (machinery.tokenizer.decode(completion.token_ids) for completion in completions)
    texts = checked_texts(machinery.tokenizer, recipe.sampling, decoded)
    answers = [(text, asked[c.key]) for text, c in zip(texts, completions, strict=True)]
    were_cut = [c.stop is StopReason.LENGTH for c in completions]
    verdicts = check_completions(machinery.checker, answers, recipe.answers, cut=were_cut)
    low, high = interval_of_rate(sum(v.outcome is Outcome.CORRECT for v in verdicts), len(verdicts))
    limit = recipe.sampling.max_new_tokens
    cut_early = sum(c.stop is StopReason.LENGTH and len(c.token_ids) < limit for c in completions)
    return low, min(1.0, high + cut_early / len(completions))


def _train(
    recipe: Recipe,
    machinery: Machinery,
    problems: Sequence[Problem],
    sampled: Sequence[Completion],
    folder: Path,
    began: float,
) -> tuple[float | None, float | None]:
    """Seconds until the first step begins, and per row after that; None if fewer than two steps fitted."""
    ends: list[float] = []

    def on_step(step: int, steps: int, loss: float, learning_rate: float) -> None:
        ends.append(time.perf_counter())
        if ends[-1] - began > DEADLINE:
            raise _OutOfTimeError

    made = _examples(recipe, machinery, problems, sampled)
    rows = min(STEP_ROWS, recipe.training.batch_rows)
    if made and (machinery.runtime.device == "cpu" or not machinery.gpus.usable()):
        longest = max(len(example.prompt_ids) + len(example.target_ids) for example in made)
        rows = min(rows, max(1, STEP_TOKENS // longest))
    examples = [made[number % len(made)] for number in range(STEPS * rows)] if made else []
    settings = recipe.training.model_copy(update={"batch_rows": rows, "epochs": 1})
    job = TrainJob(
        examples=examples,
        model=machinery.base,
        work=folder / "work",
        out=folder / "adapter",
        settings=settings,
        seed=0,
        runtime=machinery.runtime,
    )
    started = time.perf_counter()
    if not examples or started - began > DEADLINE:
        return None, None
    with suppress(_OutOfTimeError):
        machinery.train(job, on_step)
    if len(ends) < 2:
        return None, None
    step = (ends[-1] - ends[0]) / (len(ends) - 1)
    return max(0.0, ends[0] - started - step), step / rows


def _examples(
    recipe: Recipe, machinery: Machinery, problems: Sequence[Problem], sampled: Sequence[Completion]
) -> Sequence[Example]:
    """Examples as the recipe would harvest them if its selection kept all of these completions."""
    prompts = {
        problem.key: Prompts(
            prompt_of(machinery.tokenizer, recipe.sampling, problem),
            prompt_of(machinery.tokenizer, recipe.sampling, problem, recipe.prefixes.template),
        )
        for problem in problems
    }
    kinds = assign_kinds([completion.row for completion in sampled], recipe.prefixes, recipe.seed)
    return harvest(sampled, kinds, prompts, recipe.prefixes, machinery.tokenizer.eos_id).examples


def _merge(recipe: Recipe, machinery: Machinery, problems: ProblemSets, folder: Path, began: float) -> float | None:
    started = time.perf_counter()
    if not (folder / "adapter").exists() or started - began > MERGE_UNTIL:
        return None
    canaries = [request.prompt_ids for request in _requests(recipe, machinery, problems.heldout, 1)]
    check = MergeCheck(machinery.base, canaries[: recipe.merging.canaries], recipe.merging)
    machinery.merge(machinery.merge_job([folder / "adapter"], folder / "model", recipe.rounding()), check)
    return time.perf_counter() - started
