"""What several commands do alike: write a file that an option names, and leave on Ctrl-C."""

from __future__ import annotations

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


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM leave with 130 and no traceback."""
    from selfimprove.host.stopping import EXIT_CODE, heard
    from selfimprove.store.durable import interrupt

    try:
        with heard(interrupt):
            yield
    except KeyboardInterrupt:
        sys.stderr.write("selfimprove: interrupted\n")
        raise typer.Exit(EXIT_CODE) from None
