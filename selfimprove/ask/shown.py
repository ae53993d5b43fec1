"""Replies of base and champion in the terminal: beside each other where there is room, else below each other.

Into a pipe or a file go plain lines, each with its label, so that `grep champion` finds what the champion said. What
models wrote is escaped line by line; a reply keeps its line breaks, up to a limit of lines and of characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from selfimprove.answer import Verdict
from selfimprove.ask import Answered, Asked, Reply
from selfimprove.export.card import decoding_told
from selfimprove.sampling import StopReason
from selfimprove.text import formatting
from selfimprove.text.escaping import ELLIPSIS, escape_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

BESIDE = 100
"""Columns of a terminal that replies stand beside each other in."""
MOST_LINES = 400
LINE = 4000
SHORT = 400
"""Characters of a question, a final answer and a verdict's reason."""
STYLES = {"correct": "green", "wrong": "red", "unparsed": "yellow", "timed_out": "yellow"}


def show(asked: Asked, console: Console) -> None:
    """Print the replies, as the console is a terminal or not."""
    if not console.is_terminal:
        for line in plain_lines(asked):
            console.file.write(f"{line}\n")
        return
    from rich.text import Text

    console.print(Text(_heading(asked), style="dim"))
    for answered in asked.answers:
        console.print(Text(f"\n{_shown(answered.question.text)}", style="bold"))
        console.print(_panels(asked, answered, console.width))


def plain_lines(asked: Asked) -> Iterator[str]:
    """Lines with a label each: the question, each model's text, its final answer and the verdict on it."""
    yield f"asked: {_heading(asked)}"
    for answered in asked.answers:
        yield f"question: {_shown(answered.question.text)}"
        for label, reply in _labelled(asked, answered):
            for line in lines_of(reply.text):
                yield f"{label}: {line}".rstrip()
            yield f"{label}, final answer: {final_answer(reply)}"


def lines_of(text: str) -> list[str]:
    """A reply's lines, each harmless on a terminal; an ellipsis stands where the limit cut."""
    lines = text.strip().split("\n", MOST_LINES)
    shown = [escape_text(line, LINE) for line in lines[:MOST_LINES]]
    return shown + [ELLIPSIS] * (len(lines) > MOST_LINES)


def final_answer(reply: Reply) -> str:
    """What the checker reads as the final answer, the verdict on it if there is one, and whether the reply was cut."""
    read = "none" if reply.candidate is None else _shown(reply.candidate)
    told = f"{read} ({_verdict(reply.verdict)})" if reply.verdict else read
    return f"{told}; cut after {formatting.plural(reply.tokens, 'token')}" if reply.stop == StopReason.LENGTH else told


def _verdict(verdict: Verdict) -> str:
    return f"{verdict.outcome.replace('_', ' ')}: {_shown(verdict.reason)}"


def _heading(asked: Asked) -> str:
    decoding = decoding_told(asked.decoding, asked.recipe)
    if not asked.champion.number:
        return f"no round is accepted, the base model is the champion: it answers alone; {decoding}"
    return f"the base model and {formatting.model_named(asked.champion.number)}; {decoding}"


def _labelled(asked: Asked, answered: Answered) -> list[tuple[str, Reply]]:
    labels = ["base", f"champion (round {asked.champion.number})"] if asked.champion.number else ["base and champion"]
    return list(zip(labels, answered.replies, strict=True))


def _panels(asked: Asked, answered: Answered, width: int) -> RenderableType:
    """A panel for each reply, beside each other or, on a narrow terminal, below each other."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    panels = []
    for label, reply in _labelled(asked, answered):
        style = STYLES[reply.verdict.outcome] if reply.verdict else "cyan"
        told = Text(f"\nfinal answer: {final_answer(reply)}", style=style)
        panels.append(Panel(Group(Text("\n".join(lines_of(reply.text))), told), title=Text(label)))
    if width < BESIDE or len(panels) == 1:
        return Group(*panels)
    grid = Table.grid(expand=True)
    for _ in panels:
        grid.add_column(ratio=1)
    grid.add_row(*panels)
    return grid


def _shown(text: str) -> str:
    return escape_text(text, SHORT)
