"""A run's records written for people: tables in the terminal, Markdown, one status line.

`report/sections.py` says what there is to tell, as sections of plain strings; this module writes each section in two
ways, so that the terminal and the Markdown can't disagree. It is the one place where the strings of a report are
escaped, for a terminal or for Markdown and HTML, so a cell can hold anything that a file holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from selfimprove import formatting
from selfimprove.escaping import escape_markdown, escape_text
from selfimprove.report.records import RunRecords, decision_of
from selfimprove.report.section import Section
from selfimprove.report.sections import sections
from selfimprove.store.looks import SealedLook

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

__all__ = ["RunRecords", "report_markdown", "report_tables", "section_markdown", "section_tables", "status_lines"]

CELL_LIMIT = 200
"""Characters of a table's cell, before Markdown's own escapes."""
SENTENCE_LIMIT = 1000
"""Characters of a sentence."""
NAME_LIMIT = 40
"""Characters of a run's name in a status line."""


def report_tables(run: RunRecords) -> list[RenderableType]:
    """The report for a terminal, as rich renderables in reading order."""
    from rich.text import Text

    parts: list[RenderableType] = [Text(f"Run {escape_text(run.name, CELL_LIMIT)}", style="bold")]
    if run.running:
        parts.append(Text(f"Running: {escape_text(run.running, CELL_LIMIT)}", style="cyan"))
    return [*parts, *(part for section in sections(run) for part in section_tables(section))]


def section_tables(section: Section) -> list[RenderableType]:
    """One section for a terminal: its title, its sentences, its table."""
    from rich.text import Text

    parts: list[RenderableType] = [Text(f"\n{escape_text(section.title, CELL_LIMIT)}", style="bold")]
    parts += [Text(escape_text(sentence, SENTENCE_LIMIT)) for sentence in section.sentences]
    return [*parts, _rich_table(section)] if section.rows else parts


def report_markdown(run: RunRecords) -> str:
    """The report as Markdown; no text from a file means anything to Markdown or HTML."""
    parts = [f"# Run {escape_markdown(run.name, CELL_LIMIT)}"]
    parts += [part for section in sections(run) for part in section_markdown(section)]
    return "\n\n".join(parts) + "\n"


def section_markdown(section: Section) -> list[str]:
    """One section as paragraphs of Markdown, its table the last of them."""
    parts = [f"## {escape_markdown(section.title, CELL_LIMIT)}"]
    parts += [escape_markdown(sentence, SENTENCE_LIMIT) for sentence in section.sentences]
    return [*parts, _markdown_table(section)] if section.rows else parts


def status_lines(runs: Sequence[RunRecords]) -> list[str]:
    """One line per run: rounds done, champion, last decision, sealed outcome, who runs it; safe for a terminal."""
    names = [escape_text(run.name, NAME_LIMIT) for run in runs]
    room = max(map(len, names), default=0)
    return [f"{name:<{room}}  {_status(run)}" for name, run in zip(names, runs, strict=True)]


def _rich_table(section: Section) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place, title in enumerate(section.header):
        words = place == 0 or title in section.words
        table.add_column(Text(title), justify="left" if words else "right", overflow="fold")
    for row in section.rows:
        table.add_row(*(_coloured(escape_text(cell, CELL_LIMIT)) for cell in row))
    return table


def _coloured(cell: str) -> Text:
    """A cell, coloured if its word is good or bad news."""
    from rich.text import Text

    styles = {"accepted": "bold green", "passed": "green", "rejected": "red", "failed": "red"}
    return Text(cell, style=styles.get(cell, ""))


def _markdown_table(section: Section) -> str:
    rules = ["---" if place == 0 or title in section.words else "---:" for place, title in enumerate(section.header)]
    rows = [[escape_markdown(cell, CELL_LIMIT) for cell in row] for row in (section.header, *section.rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (rows[0], rules, *rows[1:]))


def _status(run: RunRecords) -> str:
    champion = run.champion.number
    told = [formatting.plural(len(run.rounds), "round"), f"champion: {formatting.model_named(champion)}"]
    told += [f"last: {decision_of(last)} ({formatting.points(last.gain)} points)" for last in run.rounds[-1:]]
    if any(rollback.after == len(run.rounds) for rollback in run.rollbacks):
        told.append(f"rolled back to {formatting.model_named(champion)}")
    told.append(_sealed_status(run.last_look, champion))
    if run.running:
        told.append(f"running: {escape_text(run.running, CELL_LIMIT)}")
    return ", ".join(told)


def _sealed_status(look: SealedLook | None, champion: int) -> str:
    if look is None:
        return "sealed: not judged"
    if look.champion != champion:
        return "sealed: this champion is not judged yet"
    base, best = formatting.percent(look.base_accuracy), formatting.percent(look.champion_accuracy)
    if champion == 0:
        return f"sealed: {base} (base and champion are the same model)"
    change = f"{formatting.points(look.gain)} points, 95% {formatting.points_range(look.gain_interval)}"
    return f"sealed: {base} → {best} ({change})"
