"""`selfimprove watch RUN`: the live view of a run that another process works on."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.output import next_steps, resume_command
from selfimprove.cli.parsing import view_mode


def watch(
    name: opt.Run,
    as_json: opt.EventsAsJson = False,
    plain: opt.Plain = False,
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Show the live view of a run that another process is working on; Ctrl-C ends the view, not the run.

    If no process is working on the run, and the run isn't finished, the command waits until a process starts or resumes
    the run. If there is no run of that name yet, the command waits for one too, and lists the existing
    runs.

    Writes nothing.

    Exit codes: 0 the run is finished; 1 its process ended before the run was finished; 2 invalid usage or input;
    130 Ctrl-C.

    Examples:

        selfimprove watch demo
        selfimprove watch demo --json | grep round_finished
    """
    from selfimprove.host.stopping import EXIT_CODE, heard
    from selfimprove.store.durable import interrupt
    from selfimprove.store.journal import journal_named
    from selfimprove.view import open_view
    from selfimprove.view.watching import watch as follow

    journal = journal_named(rounds_dir, name, "RUN")
    mode = view_mode(as_json=as_json, plain=plain)
    try:
        with heard(interrupt), open_view(mode, sys.stdout, time.time, ends_with_reader=True) as view:
            finished = follow(journal, view)
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_CODE) from None
    except BrokenPipeError:  # the reader of our lines is gone
        raise typer.Exit(0) from None
    if not finished:
        resume = resume_command(name, rounds_dir)
        sys.stderr.write(
            f"selfimprove: the run isn't finished, and no process is working on it. Resume it with: {resume}\n"
        )
        raise typer.Exit(1)
    if mode not in ("json", "quiet"):
        typer.echo("\n".join(next_steps(journal, rounds_dir)))
