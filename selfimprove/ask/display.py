"""Replies of base and champion, printed: side by side on a wide terminal, below each other on a narrow one.

A pipe or a file gets plain lines, each with its label, so that `grep champion` finds what the champion said. What
models wrote is escaped line by line; a reply keeps its line breaks, up to a limit of lines and of characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from selfimprove import formatting
from selfimprove.answer import Outcome
from selfimprove.ask import Answered, Asked, Reply
from selfimprove.escaping import ELLIPSIS, escape_text
from selfimprove.export.card import decoding_told
from selfimprove.sampling import StopReason

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

SIDE_BY_SIDE = 100
"""Columns from which on replies are printed side by side."""
MAX_LINES = 400
"""Lines of a reply, at most."""
LINE_LIMIT = 4000
"""Characters of a line of a reply, at most."""
SHORT_LIMIT = 400
"""Characters of a question, a final answer or a verdict's reason, at most."""
STYLES = {
    Outcome.CORRECT: "green",
    Outcome.WRONG: "red",
    Outcome.UNPARSED: "yellow",
    Outcome.TIMED_OUT: "yellow",
    Outcome.ERROR: "yellow",
}


def show(asked: Asked, console: Console) -> None:
    """Print the replies: panels on a terminal, plain lines anywhere else."""
    if not console.is_terminal:
        for line in plain_lines(asked):
            console.file.write(f"{line}\n")
        return
    from rich.text import Text

    console.print(Text(_heading(asked), style="dim"))
    for answered in asked.answers:
        console.print(Text(f"\n{_short(answered.question.text)}", style="bold"))
        console.print(_panels(asked, answered, console.width))


def plain_lines(asked: Asked) -> Iterator[str]:
    """Labelled lines: each question, each model's text, its final answer and the verdict on it."""
    yield f"asked: {_heading(asked)}"
    for answered in asked.answers:
        yield f"question: {_short(answered.question.text)}"
        for label, reply in _labelled(asked, answered):
            for line in lines_of(reply.text):
                yield f"{label}: {line}".rstrip()
            yield f"{label}, final answer: {final_answer(reply)}"


def lines_of(text: str) -> list[str]:
    """A reply's lines, each escaped; an ellipsis where a limit cut it."""
    lines = text.strip().split("\n", MAX_LINES)
    shown = [escape_text(line, LINE_LIMIT) for line in lines[:MAX_LINES]]
    return shown + [ELLIPSIS] * (len(lines) > MAX_LINES)


def final_answer(reply: Reply) -> str:
    """The final answer that the checker extracted, the verdict on it if there is one, and whether the reply was cut."""
    answer, verdict = "none" if reply.candidate is None else _short(reply.candidate), reply.verdict
    if verdict:
        answer += f" ({verdict.outcome.replace('_', ' ')}: {_short(verdict.reason)})"
    return (
        f"{answer}; cut after {formatting.plural(reply.tokens, 'token')}" if reply.stop is StopReason.LENGTH else answer
    )


def _heading(asked: Asked) -> str:
    decoding = decoding_told(asked.decoding, asked.recipe)
    if not asked.champion.number:
        return f"the base model is the champion, so only one model answers; {decoding}"
    return f"the base model and {formatting.model_named(asked.champion.number)}; {decoding}"


def _labelled(asked: Asked, answered: Answered) -> list[tuple[str, Reply]]:
    labels = ["base", f"champion (round {asked.champion.number})"] if asked.champion.number else ["base and champion"]
    return list(zip(labels, answered.replies, strict=True))


def _panels(asked: Asked, answered: Answered, width: int) -> RenderableType:
    """A panel for each reply, side by side or, on a narrow terminal, below each other."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    panels = []
    for label, reply in _labelled(asked, answered):
        style = STYLES[reply.verdict.outcome] if reply.verdict else "cyan"
        answer = Text(f"\nfinal answer: {final_answer(reply)}", style=style)
        panels.append(Panel(Group(Text("\n".join(lines_of(reply.text))), answer), title=Text(label)))
    if width < SIDE_BY_SIDE or len(panels) == 1:
        return Group(*panels)
    grid = Table.grid(expand=True)
    for _ in panels:
        grid.add_column(ratio=1)
    grid.add_row(*panels)
    return grid


def _short(text: str) -> str:
    return escape_text(text, SHORT_LIMIT)
