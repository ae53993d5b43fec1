"""What was typed, read into questions: arguments, or lines of the standard input where an argument is `-`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from selfimprove.ask import Question
from selfimprove.errors import UsageError


def read_questions(typed: Sequence[str], golds: Sequence[str], lines: Iterable[str]) -> list[Question]:
    """The questions in order, each with its reference if there are any; `-` is replaced by the non-empty `lines`.

    Raises `UsageError` if there is no question, or if there are references, but not one for each question.
    """
    given = list(lines) if "-" in typed else []
    texts = [text.strip() for word in typed for text in (given if word == "-" else [word]) if text.strip()]
    if not texts:
        raise UsageError("no question given", 'Run: selfimprove ask RUN "question"')
    if golds and len(golds) != len(texts):
        raise UsageError(f"{len(golds)} of --gold for {len(texts)} questions", "Give one --gold for each question.")
    references: Sequence[str | None] = golds or [None] * len(texts)
    return [Question(text, gold) for text, gold in zip(texts, references, strict=True)]
