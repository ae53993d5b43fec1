"""What several commands do alike: write a file that an option names, end on Ctrl-C, say how to resume."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from selfimprove.errors import UsageError


def write_text(path: Path, text: str, option: str) -> None:
    """Write the file that an option names; `UsageError` names both if it can't be written."""
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        hint = "Name a file in a folder that is there and can be written to."
        raise UsageError(f"{option} {path}: can't be written: {error.strerror}", hint) from None


def resume_command(name: str, rounds_dir: Path, rounds: int | None = None) -> str:
    """What to type to go on with a run."""
    words = ["selfimprove", "run", "--run", name]
    words += ["--rounds", str(rounds)] if rounds else []
    words += ["--rounds-dir", str(rounds_dir)] if rounds_dir != Path("rounds") else []
    return shlex.join(words)


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
        kept = f"; what is done is kept. Go on with: {resume}" if resume else ""
        sys.stderr.write(f"selfimprove: interrupted{kept}\n")
        raise typer.Exit(EXIT_CODE) from None
