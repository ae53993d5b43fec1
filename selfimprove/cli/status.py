"""`selfimprove status`: the state of each run, one line per run."""

from __future__ import annotations

from pathlib import Path

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.output import resume_command
from selfimprove.errors import UsageError
from selfimprove.escaping import escape_text


def status(name: opt.RunOrAll = "", rounds_dir: opt.RunsFolder = Path("rounds")) -> None:
    """Show the state of each run, one line per run: rounds, champion, last decision, sealed result, how to resume.

    Writes nothing, and is safe to use while a run is in progress.

    A run whose records can't be read is listed with what is wrong.

    Exit codes: 0 shown; 2 there is no such run.

    Examples:

        selfimprove status
        selfimprove status example
        selfimprove status --rounds-dir rounds/length
    """
    from selfimprove.report import status_lines
    from selfimprove.report.records import read_run
    from selfimprove.store.names import run_names

    names = [name] if name else run_names(rounds_dir)
    if not names:
        typer.echo(f"There are no runs in {rounds_dir} yet.")
    runs, unreadable = [], []
    for one in names:
        try:
            runs.append(read_run(rounds_dir, one))
        except UsageError as error:
            if name:
                raise
            unreadable.append(f"{escape_text(one, 60)}: can't be read: {escape_text(error.message, 200)}")
    for run, line in zip(runs, status_lines(runs), strict=True):
        resume = resume_command(run.name, rounds_dir, run.journal.rounds_wanted()) if run.unfinished else ""
        typer.echo(f"{line}, not finished; resume with: {resume}" if resume else line)
    for line in unreadable:
        typer.echo(line)
