"""The harvest stage: the recipe's selection made on a round's completions, and the chosen rows cut into examples.

What a selection needs to know is asked here, of the checker or of the records, and handed to the pure functions of
`round/selection.py` and `round/prefixes.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from selfimprove.answer import Outcome
from selfimprove.errors import StageError
from selfimprove.events import Note, StageStarted
from selfimprove.formatting import plural
from selfimprove.problem import Problem
from selfimprove.round.agreement import answer_classes
from selfimprove.round.job import Job, plain_prompt, problems_of_step, prompt_of
from selfimprove.round.prefixes import Choice, Prompts, harvest
from selfimprove.round.rollout import tried
from selfimprove.round.sample import kinds_of_step, read_completions
from selfimprove.round.selection import consistent, modal, rollout, verified
from selfimprove.round.verdicts import checked_texts, harvested_outcomes
from selfimprove.sampling import Completion, Row, StopReason
from selfimprove.store.durable import keep_rows
from selfimprove.store.records import Counts
from selfimprove.store.rows import Kind


def select(job: Job) -> Counts:
    """Harvest the completions into examples.jsonl, checking them first if the selection needs verdicts."""
    completions = read_completions(job.files.samples)
    job.emit(StageStarted(number=job.number, stage="harvest", total=len(completions), kept=0, unit="rows"))
    settings = job.recipe.prefixes
    prompts = {problem.key: _prompts(job, problem) for problem in problems_of_step(job)}
    choice = choose(job, completions)
    eos, negatives = job.machinery.tokenizer.eos_id, job.recipe.training.negatives
    result = harvest(completions, kinds_of_step(job), prompts, settings, eos, choice, negatives)
    kinds = Counter(example.kind for example in result.examples)
    if len(result.examples) == kinds[Kind.WRONG]:
        raise StageError(
            f"{job.place}: none of {len(completions):,} completions became an example to learn from"
            f"{_dropped(result.dropped)}",
            f"Sample more (sampling.samples), {_fewer_steps(job)}or use another selection (prefixes.select), in a new "
            "run.",
        )
    keep_rows(job.files.examples, [asdict(example) for example in result.examples])
    if len(result.examples) < job.recipe.training.batch_rows:
        job.emit(Note(_few(job, len(result.examples), len(completions), result.dropped)))
    targets = sum(len(example.target_ids) for example in result.examples)
    return Counts(
        examples=len(result.examples),
        prefix=kinds[Kind.PREFIX],
        full=kinds[Kind.FULL],
        harvested_tokens=targets,
        dropped=result.dropped,
        **({"wrong": kinds[Kind.WRONG]} if negatives else {}),
    )


def _few(job: Job, examples: int, rows: int, dropped: Mapping[str, int]) -> str:
    """That less than a batch is left to train on, why, and what helps."""
    return (
        f"warning: {job.place} trains on {plural(examples, 'example')} from {rows:,} completions, less than one "
        f"batch{_dropped(dropped)}. Sample more (sampling.samples, problems.train_size), allow "
        "longer answers (sampling.max_new_tokens), or use another selection (prefixes.select), in a new run"
    )


def _dropped(dropped: Mapping[str, int]) -> str:
    """How many completions were dropped and why, in brackets; empty if none was."""
    why = ", ".join(f"{name} {count:,}" for name, count in sorted(dropped.items()) if count)
    return f" (dropped: {why})" if why else ""


def _fewer_steps(job: Job) -> str:
    return "take fewer steps (schedule.steps), " if job.recipe.schedule.steps > 1 else ""


def choose(job: Job, completions: Sequence[Completion]) -> Choice | None:
    """What the recipe's selection makes of the completions; None where it keeps all of them."""
    settings = job.recipe.prefixes
    match settings.select:
        case "all":
            return None
        case "modal":
            return modal(completions, int(settings.length))
        case "consistent":
            answers = _answers(job, completions)
            return consistent(completions, answers, settings.least_agreement, weighted=settings.weighted)
        case "verified":
            keys = [completion.key for completion in completions]
            found = harvested_outcomes(job, keys, _texts(job, completions), _cut(completions))
            right, wrong = (
                [one.row for one, outcome in zip(completions, found, strict=True) if outcome is wanted]
                for wanted in (Outcome.CORRECT, Outcome.WRONG)
            )
            return verified(completions, right, wrong, weighted=settings.weighted)
        case "rollout":
            return rollout(completions, tried(job), settings)


def _prompts(job: Job, problem: Problem) -> Prompts:
    task = prompt_of(job.machinery.tokenizer, job.recipe.sampling, problem, job.recipe.prefixes.template)
    return Prompts(plain_prompt(job, problem), task)


def _answers(job: Job, completions: Sequence[Completion]) -> dict[Row, str | None]:
    keys, texts = [completion.key for completion in completions], _texts(job, completions)
    classes = answer_classes(job.machinery.checker, keys, texts, job.recipe.answers, _cut(completions))
    return {completion.row: name for completion, name in zip(completions, classes, strict=True)}


def _cut(completions: Sequence[Completion]) -> list[bool]:
    return [completion.stop is StopReason.LENGTH for completion in completions]


def _texts(job: Job, completions: Sequence[Completion]) -> list[str]:
    tokenizer = job.machinery.tokenizer
    return checked_texts(tokenizer, job.recipe.sampling, (tokenizer.decode(one.token_ids) for one in completions))
