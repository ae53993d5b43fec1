"""`selfimprove watch RUN`: the live view of a run that another process works on."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from selfimprove.cli import options as opt

if TYPE_CHECKING:
    from selfimprove.view import Mode


def watch(
    name: opt.Run,
    as_json: opt.EventsAsJson = False,
    plain: opt.Plain = False,
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Show the live view of a run that another process works on; Ctrl-C ends the watching, not the run.

    A run that has not begun is waited for.

    Writes nothing.

    Exit codes: 0 the run is finished; 1 its process is gone before that; 2 it can't be done as asked; 130 Ctrl-C.

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
    mode: Mode = "json" if as_json else "plain" if plain else "auto"
    try:
        with heard(interrupt), open_view(mode, sys.stdout, time.time, ends_with_reader=True) as view:
            finished = follow(journal, view)
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_CODE) from None
    except BrokenPipeError:  # whoever read our lines has seen enough
        raise typer.Exit(0) from None
    if not finished:
        again = f"selfimprove run --run {shlex.quote(name)}"
        again += f" --rounds-dir {shlex.quote(str(rounds_dir))}" if rounds_dir != Path("rounds") else ""
        sys.stderr.write(f"selfimprove: the run isn't finished, and nobody works on it now. Go on with: {again}\n")
        raise typer.Exit(1)
