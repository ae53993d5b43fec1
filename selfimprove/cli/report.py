"""`selfimprove report`: a run's outcome as tables, Markdown or a page."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.completion import runs as known_runs
from selfimprove.cli.output import table_width, write_text
from selfimprove.errors import UsageError

if TYPE_CHECKING:
    from selfimprove.report import RunRecords


_Html = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="Write one self-contained HTML page to this file.",
        rich_help_panel=opt.OUTPUT,
    ),
]
_Compare = Annotated[
    list[str] | None,
    typer.Option(
        "--compare",
        metavar="RUN",
        help="With --html: another run to show on the same page; repeatable.",
        autocompletion=known_runs,
        rich_help_panel=opt.OUTPUT,
    ),
]


def report(
    name: opt.RunIfOne = "",
    markdown: Annotated[
        Path | None,
        typer.Option("--markdown", metavar="FILE", help="Write Markdown to this file.", rich_help_panel=opt.OUTPUT),
    ] = None,
    html: _Html = None,
    compare: _Compare = None,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve", help="Serve live reports of all runs in --rounds-dir to browsers on this machine, until Ctrl-C."
        ),
    ] = False,
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="With --serve: the port; 0 takes a free one.")
    ] = 8321,
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Show a run's outcome, rounds, decisions and costs as tables; with --html also charts and the changed answers.

    docs/decision.md explains the decisions and the tables about them.

    Writes the FILE of --markdown or --html, and nothing else. --serve listens on 127.0.0.1 only and changes nothing.

    Exit codes: 0 shown, written or served; 2 there is no such run, or the file can't be written, or the port is taken.

    Examples:

        selfimprove report example
        selfimprove report example --markdown report.md
        selfimprove report example --html report.html
        selfimprove report --serve
    """
    from rich.console import Console

    from selfimprove.report import report_markdown, report_tables
    from selfimprove.report.records import read_run

    if serve:
        if html or markdown or compare:
            raise UsageError("--serve: writes no file", "Leave --html, --markdown and --compare out.")
        _serve(rounds_dir, name, port)
        return
    records = read_run(rounds_dir, name)
    if compare and not html:
        raise UsageError("--compare works only with --html", "Add --html FILE.")
    if html:
        _write_page(html, records, [read_run(rounds_dir, other) for other in compare or []])
        return
    if markdown:
        write_text(markdown, report_markdown(records), "--markdown")
        return
    console = Console(width=table_width())
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


def _serve(rounds_dir: Path, name: str, port: int) -> None:
    """Serve the runs of the folder until Ctrl-C; print where."""
    from urllib.parse import quote

    from selfimprove.host.stopping import heard
    from selfimprove.report.records import read_run
    from selfimprove.store.durable import interrupt
    from selfimprove.view.serving import ADDRESS, Server

    if name:
        read_run(rounds_dir, name)  # refuse a run that isn't there
    try:
        server = Server(rounds_dir, port)
    except OSError as error:
        fault = f"--port {port}: can't listen on {ADDRESS}: {error.strerror}"
        raise UsageError(fault, "Name another port, or 0 for a free one.") from None
    with server:
        page = f"run/{quote(name, safe='')}" if name else ""
        typer.echo(f"Reports of the runs in {rounds_dir}: {server.url}{page} (Ctrl-C stops the server)")
        with contextlib.suppress(KeyboardInterrupt), heard(interrupt):
            server.serve_forever()
