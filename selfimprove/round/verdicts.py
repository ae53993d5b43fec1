"""Verdicts of the checker on completions: read as the checker wants them, sent to the checker that judges them.

A problem's answer is judged by our checker, by the recipe's own or by the problem's generator (`problem/judging.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from selfimprove.answer import Outcome, Verdict
from selfimprove.answer.checking import Checker
from selfimprove.answer.finished import left_undone
from selfimprove.events import Emit, Note, StageProgress
from selfimprove.problem import Problem
from selfimprove.problem.judging import judges_apart, own_checker, packed
from selfimprove.recipe import Answers, Sampling
from selfimprove.round.job import Job
from selfimprove.sampling import Tokenizer, opened_by_template

MOST_TOLD = 5
"""Lines about a checker that failed, of each contest."""

Progress = Callable[[int, int], None]
Tell = Callable[[str], None]


def checked_texts(tokenizer: Tokenizer, settings: Sampling, texts: Iterable[str]) -> list[str]:
    """Completions as the checker reads them: behind the tag of a thinking block that the chat template opens."""
    opened = opened_by_template(tokenizer, settings.system, settings.prompt)
    return [f"{opened}{text}" for text in texts]


def check_completions(
    checker: Checker,
    answers: Sequence[tuple[str, Problem]],
    settings: Answers,
    progress: Progress = lambda done, total: None,
    cut: Sequence[bool] | None = None,
    tell: Tell = lambda line: None,
) -> list[Verdict]:
    """The verdicts on texts that answer these problems; with `answers.finished`, answers left undone are wrong.

    `cut` says of each text whether it was cut off at the token limit; by default none was. Where a checker of one's own
    judges, `tell` gets a line for each answer that it failed over.
    """
    apart = [judges_apart(settings, problem) for _, problem in answers]
    cuts = [False] * len(answers) if cut is None else cut
    rows = list(zip(answers, cuts, apart, strict=True))
    ours, own = [row for row in rows if not row[2]], [row for row in rows if row[2]]
    pairs = [(text, problem.answer or "") for (text, problem), _, _ in ours]
    plain = checker.check_all(
        pairs,
        settings.mode,
        lambda done, _: progress(done, len(answers)),
        [was for _, was, _ in ours],
        [problem.question for (_, problem), _, _ in ours],
    )
    if settings.finished:
        plain = [_finished(verdict, reference) for verdict, (_, reference) in zip(plain, pairs, strict=True)]
    if not own:
        return plain
    found = own_checker(checker).check_all(
        [(text, packed(problem)) for (text, problem), _, _ in own],
        settings.mode,
        lambda done, _: progress(len(ours) + done, len(answers)),
        [was for _, was, _ in own],
    )
    for verdict, ((_, problem), _, _) in zip(found, own, strict=True):
        if verdict.outcome in (Outcome.ERROR, Outcome.TIMED_OUT):
            tell(f"the checker gave no verdict on an answer to {problem.source}: {verdict.reason}")
    verdicts = {True: iter(found), False: iter(plain)}
    return [next(verdicts[which]) for which in apart]


def harvested_outcomes(job: Job, keys: Sequence[str], texts: Sequence[str], cuts: Sequence[bool]) -> list[Outcome]:
    """How the checker judges these solutions of the training problems with these keys; the harvest's progress is told.

    `texts` are as the checker reads them (`checked_texts`), `cuts` whether they were cut off at the token limit.
    """
    asked = {problem.key: problem for problem in job.problems.train}
    answers = [(text, asked[key]) for text, key in zip(texts, keys, strict=True)]

    def progress(done: int, total: int) -> None:
        job.emit(StageProgress(number=job.number, stage="harvest", done=done, total=total, tokens=0))

    tell = told_once(job.emit)
    verdicts = check_completions(job.machinery.checker, answers, job.recipe.answers, progress, cuts, tell)
    return [verdict.outcome for verdict in verdicts]


def told_once(emit: Emit) -> Tell:
    """Tells each line as a note, the first time only, and `MOST_TOLD` of them."""
    told: set[str] = set()

    def tell(line: str) -> None:
        if line not in told and len(told) < MOST_TOLD:
            told.add(line)
            emit(Note(line))

    return tell


def _finished(verdict: Verdict, reference: str) -> Verdict:
    if verdict.outcome is not Outcome.CORRECT or not left_undone(verdict.candidate or "", reference):
        return verdict
    return Verdict(Outcome.WRONG, verdict.candidate, "finished", "equal in value, but its arithmetic is left undone")
