"""`selfimprove status`: the state of each run, one line per run."""

from __future__ import annotations

from pathlib import Path

import typer

from selfimprove.cli import options as opt


def status(name: opt.RunOrAll = "", rounds_dir: opt.RunsFolder = Path("rounds")) -> None:
    """Show the state of each run, one line per run: rounds, champion, last decision, sealed result.

    Writes nothing, and is safe to use while a run is in progress.

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
