"""`selfimprove status`: the state of each run, one line per run."""

from __future__ import annotations

from pathlib import Path

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.output import resume_command


def status(name: opt.RunOrAll = "", rounds_dir: opt.RunsFolder = Path("rounds")) -> None:
    """Show the state of each run, one line per run: rounds, champion, last decision, sealed result, how to resume.

    Writes nothing, and is safe to use while a run is in progress.

    Exit codes: 0 shown; 2 there is no such run.

    Examples:

        selfimprove status
        selfimprove status example
        selfimprove status --rounds-dir rounds/length
    """
    from selfimprove.report import status_lines
    from selfimprove.report.records import read_run, read_runs

    runs = [read_run(rounds_dir, name)] if name else read_runs(rounds_dir)
    for run, line in zip(runs, status_lines(runs), strict=True):
        resume = resume_command(run.name, rounds_dir, run.journal.rounds_wanted()) if run.unfinished else ""
        typer.echo(f"{line}, not finished; resume with: {resume}" if resume else line)
