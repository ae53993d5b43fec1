"""What several commands do alike: write a file that an option names, end on Ctrl-C, show reading, say how to resume."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import typer

from selfimprove.errors import UsageError

if TYPE_CHECKING:
    from selfimprove.events import Emit, Event
    from selfimprove.store.journal import Journal
    from selfimprove.view import View


PIPE_WIDTH = 120
"""Columns of a table that goes to a file or a pipe."""


def table_width() -> int | None:
    """The columns that a table may take; None leaves it to the terminal."""
    return None if sys.stdout.isatty() else PIPE_WIDTH


def write_text(path: Path, text: str, option: str) -> None:
    """Write the file that an option names; `UsageError` names both if it can't be written."""
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        hint = "Name a file in an existing, writable folder."
        raise UsageError(f"{option} {path}: can't be written: {error.strerror}", hint) from None


def resume_command(name: str, rounds_dir: Path, rounds: int | None = None) -> str:
    """What to type to go on with a run."""
    words = ["selfimprove", "run", "--run", name]
    words += ["--rounds", str(rounds)] if rounds else []
    words += ["--rounds-dir", str(rounds_dir)] if rounds_dir != Path("rounds") else []
    return shlex.join(words)


def next_steps(journal: Journal, rounds_dir: Path) -> list[str]:
    """After a finished run: what to change if its last round was rejected, then what to type, one line each.

    What a command does is told where the terminal is wide enough.
    """
    from selfimprove.report.advice import advice
    from selfimprove.store.round_folder import lacks_weights

    name, folder = journal.name, ["--rounds-dir", str(rounds_dir)] if rounds_dir != Path("rounds") else []
    columns = shutil.get_terminal_size().columns
    told = "".join(advice(record) for record in journal.rounds()[-1:])
    tips = wrap(told, columns, initial_indent="  ", subsequent_indent="  ")
    words = [
        (["report", name, "--html", f"{name}.html"], "every flip, costs"),
        (["ask", name, "your question"], "base and champion"),
        (["export", name, "--to", f"{name}-model"], "export the model"),
    ]
    steps = [(shlex.join(["selfimprove", *typed, *folder]), told) for typed, told in words]
    champion = journal.champion()
    if not champion.number or any(lacks_weights(journal.round(number).adapter) for number in champion.chain):
        steps = steps[:1]  # nothing was accepted, or its weights were left out: there is no champion to take away
    room = max(len(command) for command, _ in steps)
    lines = [f"  {command:<{room}}   {told}" for command, told in steps]
    is_wide = max(map(len, lines)) <= columns
    commands = lines if is_wide else [f"  {command}" for command, _ in steps]
    return [*tips, *commands]


def screen(stack: ExitStack) -> Emit:
    """A listener that opens a view on standard error at the first event, where that is a terminal."""
    from selfimprove.events import silence
    from selfimprove.view import can_move, open_view

    if not can_move(sys.stderr, os.environ):
        return silence
    views: list[View] = []

    def heard(event: Event) -> None:
        if not views:
            views.append(stack.enter_context(open_view("live", sys.stderr)))
        views[0](event)

    return heard


@contextmanager
def stoppable(resume: str = "") -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM end the command with exit code 130 and no traceback.

    `resume` is the command that goes on, where what was done so far is kept.
    """
    from selfimprove.host.stopping import EXIT_CODE, heard
    from selfimprove.store.durable import interrupt

    try:
        with heard(interrupt):
            yield
    except KeyboardInterrupt:
        kept = f"; finished work is kept. Resume with: {resume}" if resume else ""
        sys.stderr.write(f"selfimprove: interrupted{kept}\n")
        raise typer.Exit(EXIT_CODE) from None
