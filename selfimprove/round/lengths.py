"""Whether every prompt fits the model's context with room for its answer, asked before the first token.

Both engines would stop at a row that doesn't fit, or cut its answer short, in the middle of a run. A prompt has at most
as many tokens as its text has bytes, so of most questions it is known without encoding them that they fit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from selfimprove.errors import UsageError
from selfimprove.formatting import plural
from selfimprove.problem import Problem
from selfimprove.recipe import Sampling
from selfimprove.sampling import Tokenizer, render_prompt

SLACK = 16
"""Tokens that a tokenizer may add to a text beyond its bytes."""
MEASURED = 1000
"""Prompts whose lengths are counted to be shown, at most."""


@dataclass(frozen=True)
class TooLong:
    """A problem whose prompt leaves no room for an answer, and the tokens of its prompt."""

    problem: Problem
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Tokens of prompts, of `counted` of the problems, and the context and answer limit that they have to fit."""

    counted: int
    middle: int
    longest: int
    limit: int
    context: int | None
    too_long: tuple[TooLong, ...]

    def told(self) -> str:
        """In a line: how long prompts are, and which don't fit."""
        fits = "a context that the model doesn't state" if self.context is None else f"a context of {self.context:,}"
        text = f"prompts: median {self.middle:,}, longest {self.longest:,}; {self.limit:,} for the answer; {fits}"
        if not self.too_long:
            return text
        named = ", ".join(f"{one.problem.source} ({one.tokens:,})" for one in self.too_long[:3])
        return f"{text}; {plural(len(self.too_long), 'problem')} don't fit: {named}"

    def plain(self) -> dict[str, object]:
        """The same as plain data."""
        return {
            "median": self.middle,
            "longest": self.longest,
            "limit": self.limit,
            "context": self.context,
            "too_long": [{"where": one.problem.source, "tokens": one.tokens} for one in self.too_long],
        }


def context_of(model: Path) -> int | None:
    """The positions that a model folder's configuration states; None if it states none."""
    try:
        config = json.loads((model / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    parts = [config, config.get("text_config")] if isinstance(config, dict) else []
    found = [
        part["max_position_embeddings"]
        for part in parts
        if isinstance(part, dict) and "max_position_embeddings" in part
    ]
    return found[0] if found and isinstance(found[0], int) else None


def too_long(
    tokenizer: Tokenizer, settings: Sampling, problems: Iterable[Problem], context: int | None
) -> list[TooLong]:
    """The problems whose prompt and answer limit together are above the context."""
    if context is None:
        return []
    room = context - settings.max_new_tokens
    frame: dict[str, int] = {}
    found = []
    for problem in problems:
        if problem.system not in frame:
            frame[problem.system] = len(_prompt(tokenizer, settings, problem.system, "?")) + SLACK
        if frame[problem.system] + len(problem.question.encode()) <= room:
            continue
        tokens = len(_prompt(tokenizer, settings, problem.system, problem.question))
        if tokens > room:
            found.append(TooLong(problem, tokens))
    return found


def refuse_too_long(tokenizer: Tokenizer, settings: Sampling, problems: Iterable[Problem], context: int | None) -> None:
    """`UsageError` that names the first problem that is too long, and how many there are."""
    found = too_long(tokenizer, settings, problems, context)
    if found:
        worst = max(found, key=lambda one: one.tokens)
        others = f" ({plural(len(found), 'problem')} don't fit)" if len(found) > 1 else ""
        raise UsageError(
            f"{worst.problem.source}: its prompt of {worst.tokens:,} tokens and {settings.max_new_tokens:,} for the "
            f"answer are more than the model's context of {context:,}{others}",
            f"Remove the row, or set sampling.max_new_tokens to at most {max(0, (context or 0) - worst.tokens):,}.",
        )


def measured(tokenizer: Tokenizer, settings: Sampling, problems: Sequence[Problem], context: int | None) -> Lengths:
    """How long the prompts are: of all, or of every nth where there are many; too long ones of all of them."""
    some = problems[:: -(-len(problems) // MEASURED)] if len(problems) > MEASURED else problems
    counts = [len(_prompt(tokenizer, settings, one.system, one.question)) for one in some]
    beyond = too_long(tokenizer, settings, problems, context)
    return Lengths(
        counted=len(counts), middle=int(median(counts)), longest=max([*counts, *(one.tokens for one in beyond)]),
        limit=settings.max_new_tokens, context=context, too_long=tuple(beyond),
    )  # fmt: skip


def _prompt(tokenizer: Tokenizer, settings: Sampling, system: str, question: str) -> tuple[int, ...]:
    return render_prompt(tokenizer, system or settings.system, settings.prompt, question)
