"""`selfimprove report`: a run's outcome as tables, Markdown or a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.completion import runs as known_runs
from selfimprove.cli.output import write_text
from selfimprove.errors import UsageError

if TYPE_CHECKING:
    from selfimprove.report import RunRecords


def report(
    name: opt.RunIfOne = "",
    markdown: Annotated[
        Path | None,
        typer.Option("--markdown", metavar="FILE", help="Write Markdown to this file.", rich_help_panel=opt.OUTPUT),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write one self-contained HTML page to this file.",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            "--compare",
            metavar="RUN",
            help="With --html: another run to show on the same page; repeatable.",
            autocompletion=known_runs,
            rich_help_panel=opt.OUTPUT,
        ),
    ] = None,
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Show a run's outcome, rounds, decisions and costs as tables; with --html also charts and the flips.

    docs/decision.md explains a report line by line.

    Writes the FILE of --markdown or --html, and nothing else.

    Exit codes: 0 shown or written; 2 there is no such run, or the file can't be written.

    Examples:

        selfimprove report example
        selfimprove report example --markdown report.md
        selfimprove report example --html report.html
    """
    from rich.console import Console

    from selfimprove.report import report_markdown, report_tables
    from selfimprove.report.records import read_run

    records = read_run(rounds_dir, name)
    if compare and not html:
        raise UsageError("--compare: only a page shows runs side by side", "Add --html FILE.")
    if html:
        _write_page(html, records, [read_run(rounds_dir, other) for other in compare or []])
        return
    if markdown:
        write_text(markdown, report_markdown(records), "--markdown")
        return
    console = Console()
    for table in report_tables(records):
        console.print(table)


def _write_page(path: Path, records: RunRecords, others: list[RunRecords]) -> None:
    """Write the page; print its size and how long it took."""
    from time import monotonic

    from selfimprove.report.page import report_html

    start = monotonic()
    page = report_html(records, others)
    write_text(path, page, "--html")
    typer.echo(f"{path}: {len(page.encode()):,} bytes, built in {monotonic() - start:.1f} s")
