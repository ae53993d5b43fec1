"""Stage `sample`: completions of the problems of a round, or of one of its steps, chunk by chunk, into samples.jsonl.

A row that trains only a prefix stops generating at the prefix's length: that is where the method saves. A chunk is the
unit of sampling, of durability and of resume: whole chunks that are in the file are kept, everything else is sampled
again. `draw` does the same for the stage `rollout`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from selfimprove.events import Note, StageStarted
from selfimprove.recipe import Recipe
from selfimprove.round.job import Job, plain_prompt, problems_of_round, problems_of_step
from selfimprove.round.prefixes import assign_kinds, token_limit
from selfimprove.sampling import Completion, Decoding, Request, Row, StopReason, owed_chunks, plan_chunks, sample_chunks
from selfimprove.store.durable import append_rows, keep_rows, read_rows, write_atomically
from selfimprove.store.parsing import parsed_rows
from selfimprove.store.records import Counts
from selfimprove.store.rows import Kind, SampleRow

MOST_CUT = 0.5
"""Share of the whole solutions that may be cut at the token limit without a word."""


def sample(job: Job) -> Counts:
    """Sample the round's completions into samples.jsonl, chunk by chunk."""
    kinds = kinds_of_step(job)
    return draw(job, "sample", job.files.samples, _requests(job, kinds), kinds.__getitem__)


def draw(job: Job, stage: str, path: Path, requests: Sequence[Request], kind_of: Callable[[Row], Kind]) -> Counts:
    """Sample the requests into a file of completions, chunk by chunk; returns the stage's counts.

    They are sampled from the champion or, after the first step of a round, from the champion with the adapter that the
    step before trained. Whole chunks that are in the file are kept.
    """
    settings = job.recipe.sampling
    chunks = plan_chunks(requests, settings.chunk_rows, settings.chunk_tokens)
    rows = parsed_rows(path, read_rows(path), SampleRow)
    owed, kept = owed_chunks(chunks, map(_completion, rows))
    whole = {completion.row for completion in kept}
    keep_rows(path, [row.model_dump() for row in rows if (row.key, row.sample) in whole])
    job.emit(StageStarted(number=job.number, stage=stage, total=len(requests), kept=len(kept), unit="rows"))
    done, progress = list(kept), job.progress(stage, len(requests), len(kept))
    for fresh in sample_chunks(progress.sampler(job.champion_model(), job.adapter_so_far), owed) if owed else ():
        append_rows(path, [_row(kind_of(c.row), c).model_dump() for c in fresh])
        done += fresh
        progress.add(len(fresh), sum(len(c.token_ids) for c in fresh))
    if not path.exists():  # nothing was asked for: the stage's file is there, and empty
        write_atomically(path, b"")
    _tell_cut(job, [completion for completion in done if kind_of(completion.row) is Kind.FULL])
    return Counts(
        rows=len(done),
        sampled_tokens=sum(len(c.token_ids) for c in done),
        prompt_tokens=sum(len(r.prompt_ids) for chunk in chunks for r in chunk),
        truncated=sum(c.stop is StopReason.LENGTH for c in done),
        **(job.samplers.counted() if owed else {}),
    )


def _tell_cut(job: Job, solutions: Sequence[Completion]) -> None:
    """Say so where most whole solutions were cut: the commonest cause of a round without examples."""
    cut = sum(solution.stop is StopReason.LENGTH for solution in solutions)
    if cut > MOST_CUT * len(solutions):
        limit = f"sampling.max_new_tokens = {job.recipe.sampling.max_new_tokens}"
        job.emit(Note(f"{cut:,} of {len(solutions):,} whole solutions were cut at {limit} before they had an answer"))


def read_completions(path: Path) -> list[Completion]:
    """The completions of a file that `draw` made."""
    return [_completion(row) for row in parsed_rows(path, read_rows(path), SampleRow)]


def kinds_of_step(job: Job) -> dict[Row, Kind]:
    """The rows that this step samples, each with its kind; the kinds of a round's rows are assigned together."""
    samples = range(job.recipe.sampling.samples)
    rows = [(problem.key, number) for problem in problems_of_round(job) for number in samples]
    kinds = assign_kinds(rows, job.recipe.prefixes, job.seed("kinds"))
    own = {problem.key for problem in problems_of_step(job)}
    return {row: kind for row, kind in kinds.items() if row[0] in own}


def training_decoding(recipe: Recipe) -> Decoding:
    """How training samples are drawn."""
    settings = recipe.sampling
    return Decoding(settings.temperature, settings.top_p, settings.top_k)


def _requests(job: Job, kinds: dict[Row, Kind]) -> list[Request]:
    decoding, longest = training_decoding(job.recipe), job.recipe.sampling.max_new_tokens
    plain = {problem.key: plain_prompt(job, problem) for problem in problems_of_step(job)}
    limits = {kind: token_limit(kind, job.recipe.prefixes, longest) for kind in set(kinds.values())}
    return [
        Request(
            key=key,
            sample=number,
            prompt_ids=plain[key],
            max_new_tokens=limits[kind],
            seed=job.seed("sample", key, number),
            decoding=decoding,
        )
        for (key, number), kind in kinds.items()
    ]


def _row(kind: Kind, found: Completion) -> SampleRow:
    return SampleRow(
        kind=kind, key=found.key, sample=found.sample, token_ids=found.token_ids, stop=found.stop, seed=found.seed
    )


def _completion(row: SampleRow) -> Completion:
    return Completion(key=row.key, sample=row.sample, token_ids=row.token_ids, stop=row.stop, seed=row.seed)
