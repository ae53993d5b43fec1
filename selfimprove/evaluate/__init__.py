"""Any benchmark, before and after: models of a run, and others, on any problems. It decides nothing.

Problems are asked and judged as in the run unless settings say otherwise. Every model answers all problems, and each
is compared with the first one on the same problems. What is asked twice is answered once (`answering`); a command that
was killed is typed again and ends with the same record. The record is `evaluate/NAME.json` in the run's folder, beside
it the same as Markdown; the name is made of the first source and a hash of all that was asked, so other questions have
other files, and the same one is written again.

Nothing here changes what the run does: no round reads an evaluation. Choosing a round by one and reporting its figure
is choosing by chance as well; the record says which problems rounds were accepted on (`problems`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from selfimprove.answer.checking import Checker
from selfimprove.errors import UsageError
from selfimprove.evaluate import harness
from selfimprove.evaluate.answering import DIGITS, MODEL, Book, recorded_answers, settings_digest
from selfimprove.evaluate.figures import figures_of
from selfimprove.evaluate.groups import Group, groups_of
from selfimprove.evaluate.problems import Asked, asked_problems
from selfimprove.evaluate.subjects import Named, Subject, named_models, subject_of
from selfimprove.events import Emit, StageStarted
from selfimprove.models import default_cache
from selfimprove.problem import Problem
from selfimprove.problem.judging import open_checker, refuse_unloadable
from selfimprove.problem.references import faulty_references
from selfimprove.recipe import Recipe, Runtime
from selfimprove.recipe.keys import dotted
from selfimprove.recipe.reading import laid_over, parse_recipe
from selfimprove.report import section_markdown
from selfimprove.report.evaluations import evaluation_sections
from selfimprove.round.admit import refuse_lost
from selfimprove.round.answers import AnswersByKey, Judge, in_chunks, judging_decoding
from selfimprove.round.lengths import context_of, refuse_too_long
from selfimprove.round.machinery import Samplers
from selfimprove.round.progress import Progress
from selfimprove.runs.reading import told_reading
from selfimprove.sampling import Sampler
from selfimprove.store.durable import write_atomically, write_json
from selfimprove.store.evaluations import FOLDER, FORMAT, EvaluatedModel, EvaluatedSource, Evaluation
from selfimprove.store.journal import Journal

READ = ("sampling", "answers", "problems", "seed", "gate.samples", "gate.temperature")
"""Sections and keys of a recipe that an evaluation reads."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked: models by name, sources of problems (none: the run's own), settings laid over the run's recipe.

    `settings` are tables of a recipe. `limit` problems of each source are taken (0: all). `by` names fields of the
    problems. `tasks` are those of lm-evaluation-harness, with task files of one's own in `tasks_from`.
    """

    models: tuple[str, ...] = ("base", "champion")
    sources: tuple[str, ...] = ()
    settings: Mapping[str, object]
    limit: int = 0
    by: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    tasks_from: Path | None = None


def evaluate(journal: Journal, wanted: Wanted, runtime: Runtime, emit: Emit, cache: Path | None = None) -> Evaluation:
    """What was asked, answered and written into the run's folder; `cache` as in `run_recipe`.

    Raises `UsageError` for a model, source, field or setting that can't be used.
    """
    run_recipe = journal.recipe()
    recipe = asked_recipe(run_recipe, wanted.settings)
    named = named_models(wanted.models, journal)
    tasks = harness.known_tasks(wanted.tasks, wanted.tasks_from, wanted.limit)
    with told_reading(emit) as reading:
        asked = asked_problems(journal, wanted.sources, recipe, wanted.limit, reading)
    refuse_unloadable(recipe.answers)
    cache = cache or default_cache()
    with ExitStack() as stack:
        stack.enter_context(_alone(journal))
        checker = stack.enter_context(open_checker(recipe.answers, runtime.checker_workers or runtime.usable_threads()))
        asked, faulty = _without_faulty(asked, checker, recipe)
        groups = _groups(asked, wanted.by)
        subjects = [subject_of(one, journal, recipe, runtime, checker, cache, emit) for one in named]
        _refuse_unfit(subjects, asked.problems(), recipe)
        lends = settings_digest(recipe, "") == settings_digest(run_recipe, "")
        answers = {one.name: _answers(journal, one, asked.problems(), recipe, emit, lends=lends) for one in subjects}
        told_by_harness = harness.figures(_folder(journal), subjects, tasks, emit)
    keys = [problem.key for problem in asked.problems() if problem.key not in asked.training]
    record = Evaluation(
        format=FORMAT,
        name=_name(asked, subjects, recipe, wanted),
        models=tuple(EvaluatedModel(name=one.name, round=one.round, sha256=one.sha256) for one in subjects),
        sources=_sources(asked, faulty),
        settings=_settings(recipe, wanted.limit),
        n=len(keys),
        training=len(asked.training),
        heldout=len(asked.heldout & set(keys)),
        sealed=asked.sealed,
        **figures_of(keys, groups, answers),
        notes=(*asked.notes, *_notes(named, journal)),
        tasks=told_by_harness,
        versions=subjects[0].machinery.versions,
    )
    _write(journal, record)
    return record


def asked_recipe(recipe: Recipe, settings: Mapping[str, object]) -> Recipe:
    """The run's recipe with these settings; `UsageError` for a key that an evaluation doesn't read.

    Several answers are drawn: a temperature of 0 that the run has for one answer gives way.
    """
    for key in dotted(dict(settings)):
        if key not in READ and key.partition(".")[0] not in READ:
            raise UsageError(f"--set {key}: evaluations don't read it", f"They read {', '.join(READ)}.")
    found = parse_recipe(laid_over(recipe.model_dump(), settings, "--set"), "--set")
    told = "gate.temperature" in dotted(dict(settings))
    if found.gate.samples > 1 and found.gate.temperature == 0 and not told:
        return found.model_copy(update={"gate": found.gate.model_copy(update={"temperature": None})})
    return found


def markdown(record: Evaluation) -> str:
    """The record as Markdown."""
    parts = [part for section in evaluation_sections(record) for part in section_markdown(section)]
    return "\n\n".join(parts) + "\n"


def paths(journal: Journal, record: Evaluation) -> tuple[Path, Path]:
    """Where the record stands, as JSON and as Markdown."""
    return _folder(journal) / f"{record.name}.json", _folder(journal) / f"{record.name}.md"


def _answers(
    journal: Journal, subject: Subject, problems: Sequence[Problem], recipe: Recipe, emit: Emit, *, lends: bool
) -> AnswersByKey:
    """The model's answers to all the problems, which are sampled if they aren't on record; `lends`: by the run too."""
    parts = subject.machinery
    name = f"{subject.sha256[:DIGITS]}-{settings_digest(recipe, parts.setup)}.jsonl"
    batches_of = partial(in_chunks, recipe, parts.tokenizer)
    book = Book(_folder(journal) / "answers" / name, recipe.gate.samples, batches_of)
    if lends and subject.round is not None:
        book.lend(recorded_answers(journal, subject.round, parts.setup), problems)
    batches = book.owed(problems)
    judge = Judge(recipe, parts.tokenizer, parts.checker, book.path, emit, setup=parts.setup)
    total, done = len(problems), len(problems) - sum(map(len, batches))
    kept = done + sum(judge.kept(MODEL, batch) for batch in batches)
    emit(StageStarted(number=0, stage=subject.name, total=total, kept=kept, unit="problems"))
    samplers = Samplers(parts.open_sampler)
    progress = Progress(emit, samplers, number=0, stage=subject.name, total=total, done=done)
    with ExitStack() as stack, closing(samplers):

        def sampler() -> Sampler:
            return progress.sampler(stack.enter_context(subject.opened()))

        for fresh in judge.answers(sampler, MODEL, batches):
            progress.add(len(fresh), judge.fresh_tokens())
    book.finish()
    held = book.held()
    return {problem.key: held[problem.key] for problem in problems}


def _without_faulty(asked: Asked, checker: Checker, recipe: Recipe) -> tuple[Asked, dict[str, int]]:
    """The problems without those whose reference can't be judged against, and how many of each benchmark are gone."""
    faulty = {one.problem.key for one in faulty_references(asked.problems(), checker, recipe.answers)}
    counts = {one.name: sum(problem.key in faulty for problem in one.problems) for one in asked.benchmarks}
    kept = tuple(
        replace(one, problems=tuple(problem for problem in one.problems if problem.key not in faulty))
        for one in asked.benchmarks
    )
    if not any(one.problems for one in kept):
        raise UsageError("no reference can be judged against", "Look at them: selfimprove check --references SOURCE")
    return replace(asked, benchmarks=kept, training=asked.training - faulty, heldout=asked.heldout - faulty), counts


def _groups(asked: Asked, by: Sequence[str]) -> list[Group]:
    """The rows of the table by fields, the training problems apart in the last."""
    others = [
        replace(one, problems=tuple(problem for problem in one.problems if problem.key not in asked.training))
        for one in asked.benchmarks
    ]
    trained = tuple(problem.key for problem in asked.problems() if problem.key in asked.training)
    return groups_of(others, by) + ([Group("run", "training problems", trained)] if trained else [])


def _refuse_unfit(subjects: Sequence[Subject], problems: Sequence[Problem], recipe: Recipe) -> None:
    """`UsageError` if a model's tokenizer loses the questions, or its context has no room for one."""
    for machinery in {one.machinery.base: one.machinery for one in subjects}.values():
        refuse_lost(machinery.tokenizer, recipe.sampling, problems)
        refuse_too_long(machinery.tokenizer, recipe.sampling, problems, context_of(machinery.base))


def _sources(asked: Asked, faulty: Mapping[str, int]) -> tuple[EvaluatedSource, ...]:
    return tuple(
        EvaluatedSource(
            name=one.name,
            problems=len(one.problems),
            set_aside=one.set_aside,
            repeated=one.repeated,
            faulty=faulty[one.name],
        )
        for one in asked.benchmarks
    )


def _settings(recipe: Recipe, limit: int) -> dict[str, str | int | float | bool | None]:
    decoding = judging_decoding(recipe)
    return {
        "prompt": recipe.sampling.prompt,
        "system": recipe.sampling.system,
        "max_new_tokens": recipe.sampling.max_new_tokens,
        "samples": recipe.gate.samples,
        **asdict(decoding),
        "seed": recipe.seed,
        "checker": recipe.answers.checker or "built in",
        "limit": limit,
        "digest": settings_digest(recipe, ""),
    }


def _notes(named: Sequence[Named], journal: Journal) -> Iterator[str]:
    number = journal.champion().number
    if number == 0 and len(named) == 1 and named[0].name == "base":
        yield "The base model is the champion, so only one model was evaluated."


def _name(asked: Asked, subjects: Sequence[Subject], recipe: Recipe, wanted: Wanted) -> str:
    """The record's name: the first source in short, and a hash of what was asked of which models."""
    told = {
        "models": [[one.name, one.sha256] for one in subjects],
        "sources": [[one.name, sorted(problem.key for problem in one.problems)] for one in asked.benchmarks],
        "settings": settings_digest(recipe, subjects[0].machinery.setup),
        "by": wanted.by,
        "tasks": wanted.tasks,
    }
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:8]
    stem = re.sub(r"[^\w-]+", "-", Path(asked.benchmarks[0].name).stem, flags=re.ASCII).strip("-")[:40]
    return f"{stem or 'problems'}-{digest}"


def _write(journal: Journal, record: Evaluation) -> None:
    as_json, as_markdown = paths(journal, record)
    write_atomically(as_markdown, markdown(record).encode())
    write_json(as_json, record.plain())


def _folder(journal: Journal) -> Path:
    return journal.folder / FOLDER


@contextmanager
def _alone(journal: Journal) -> Iterator[None]:
    """Inside, no other process evaluates this run; `UsageError` if one does, or nothing can be written there."""
    folder = _folder(journal)
    try:
        folder.mkdir(exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(f"another process is evaluating run `{journal.name}`", "Wait for it, or stop it.") from None
    except OSError as error:
        hint = "Copy the run to a writable folder."
        raise UsageError(f"{folder}: can't be written to: {error.strerror}", hint) from None
    try:
        yield
    finally:
        lock.release()
