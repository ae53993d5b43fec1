"""The commands on runs that are there: where they stand, what came of them, whether they hold, what can go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.completion import runs as known_runs
from selfimprove.errors import UsageError

if TYPE_CHECKING:
    from selfimprove.report import RunRecords
    from selfimprove.store.journal import Journal

runs = typer.Typer()


@runs.command()
def status(
    name: opt.RunOrAll = "",
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Show where each run stands, one line a run: rounds, champion, last decision, sealed result.

    Writes nothing, and may be typed while a run is at work.

    Exit codes: 0 shown; 2 there is no such run.

    Examples:

        selfimprove status
        selfimprove status example
        selfimprove status --rounds-dir rounds/length
    """
    from selfimprove.report import status_lines
    from selfimprove.report.records import read_run, read_runs

    for line in status_lines([read_run(rounds_dir, name)] if name else read_runs(rounds_dir)):
        typer.echo(line)


@runs.command()
def report(
    name: opt.RunIfOne = "",
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write Markdown to this file.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one self-contained page to this file.")
    ] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            "--compare", metavar="RUN", help="With --html: a run beside it; repeatable.", autocompletion=known_runs
        ),
    ] = None,
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Show a run's outcome, rounds, decisions and costs as tables; with --html also charts and the flips.

    docs/decision.md reads one line by line.

    Writes FILE of --markdown or --html, and nothing else.

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


@runs.command()
def prune(name: opt.Run, rounds_dir: opt.RunsFolder = Path("rounds")) -> None:
    """Delete a run's merged models and scratch: what can be rebuilt from base and adapters, and is when it is needed.

    Writes nothing; deletes below rounds/RUN/ alone, and no record.

    Exit codes: 0 done, also where nothing was left to delete; 2 there is no such run, or a process works on it.

    Examples:

        selfimprove prune demo
    """
    from selfimprove.plan.disk import told
    from selfimprove.runs.prune import prune as prune_run

    pruned = prune_run(_existing(rounds_dir, name))
    for gone in pruned:
        typer.echo(f"deleted {gone.path} ({told(gone.size)})")
    typer.echo(f"{sum(gone.size for gone in pruned):,} bytes freed")


@runs.command()
def rollback(
    name: opt.Run,
    to: Annotated[int, typer.Option("--to", metavar="ROUND", min=0, help="An accepted round; 0 is the base model.")],
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Make an earlier accepted round the champion again; appends a record and deletes nothing.

    The next round of the run begins from it.

    Writes a line of rounds/RUN/rollbacks.jsonl.

    Exit codes: 0 done; 2 there is no such run, or that round was never accepted.

    Examples:

        selfimprove rollback demo --to 1
        selfimprove rollback demo --to 0
    """
    journal = _existing(rounds_dir, name)
    with journal.lock():
        champion = journal.roll_back(to)
    typer.echo(f"The champion of run {name} is {f'round {champion.number}' if champion.number else 'the base model'}.")


@runs.command()
def verify(
    name: opt.Run,
    rounds_dir: opt.RunsFolder = Path("rounds"),
    as_json: Annotated[bool, typer.Option("--json", help="Print every check as JSON.")] = False,
) -> None:
    """Check every hash and fingerprint of a run, and redo its decisions and figures from the verdicts alone.

    Needs neither models nor problems, so anyone can redo it who has the folder. Files that were left out of it are
    named as missing, and the rest is still checked.

    Writes nothing.

    Exit codes: 0 all checks hold; 1 one doesn't; 2 there is no such run.

    Examples:

        selfimprove verify demo
        selfimprove verify demo --json
    """
    from dataclasses import asdict

    from selfimprove.runs.assemble import fingerprint
    from selfimprove.runs.verify import faults_in
    from selfimprove.runs.verify import verify as verify_run

    findings = verify_run(_existing(rounds_dir, name), fingerprint)
    faults = faults_in(findings)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in faults:
            typer.echo(f"{finding.where}: {finding.what}: {finding.fault}")
        typer.echo(f"{len(findings)} checks, {len(faults)} at fault")
    raise typer.Exit(1 if faults else 0)


def _write_page(path: Path, records: RunRecords, others: list[RunRecords]) -> None:
    """Write the page and say its size and how long it took."""
    from time import monotonic

    from selfimprove.report.page import report_html

    start = monotonic()
    page = report_html(records, others)
    write_text(path, page, "--html")
    typer.echo(f"{path}: {len(page.encode()):,} bytes, built in {monotonic() - start:.1f} s")


def _existing(rounds_dir: Path, name: str) -> Journal:
    """The journal of a run that is there; `UsageError` lists those there are."""
    from selfimprove.report.records import read_run
    from selfimprove.store.journal import Journal

    return Journal(read_run(rounds_dir, name).folder)


def write_text(path: Path, text: str, option: str) -> None:
    """Write the file that an option names; `UsageError` names both if it can't be written."""
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        hint = "Name a file in a folder that is there and can be written to."
        raise UsageError(f"{option} {path}: can't be written: {error.strerror}", hint) from None
