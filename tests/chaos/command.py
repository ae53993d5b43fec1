"""`make chaos`: where it works, what it prints, what it leaves behind (nothing, if all is well)."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from selfimprove.errors import UsageError
from selfimprove.events import Event, Note, silence
from tests.chaos.chaos import ChaosReport, run_chaos
from tests.chaos.table import json_of, lines_of, rich_table, sentences

REMOVING = 5.0
"""Seconds that deleting the folder may take."""


def chaos_command(kills: int, seed: int, model: str, rounds_dir: Path, keep: Path | None, as_json: bool) -> bool:
    """Run the chaos test under `rounds_dir` (or in `keep`, which stays) and print its report; whether it passed.

    The temporary folder is removed, also after Ctrl-C, unless the test failed: then it is named.
    """
    with _workplace(rounds_dir, keep) as place:
        report = run_chaos(kills, seed, place.folder, model, silence if as_json else _tell)
        place.keep = place.keep or not report.passed
    _print(report, as_json)
    if place.keep:
        sys.stderr.write(f"selfimprove: runs, traces and records are kept in {place.folder}\n")
    return report.passed


class _Place:
    """A folder to work in, and whether it stays."""

    def __init__(self, folder: Path, keep: bool) -> None:
        self.folder = folder
        self.keep = keep


@contextmanager
def _workplace(rounds_dir: Path, keep: Path | None) -> Iterator[_Place]:
    folder = keep or rounds_dir
    if keep and keep.exists() and any(keep.iterdir()):
        raise UsageError(f"--keep {keep}: not empty", "Name a folder that is empty or not there yet.")
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    place = _Place((keep or Path(tempfile.mkdtemp(prefix=".selftest-", dir=rounds_dir))).absolute(), bool(keep))
    try:
        yield place
    finally:
        if not place.keep:
            _remove(place.folder)
            if made:
                with suppress(OSError):  # a run may have begun beside it
                    rounds_dir.rmdir()


def _remove(folder: Path) -> None:
    """Delete the folder; a process that was begun just before an interrupt may still write into it for a moment."""
    deadline = time.monotonic() + REMOVING
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)


def _tell(event: Event) -> None:
    if isinstance(event, Note):
        sys.stderr.write(f"{event.text}\n")


def _print(report: ChaosReport, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json_of(report) + "\n")
    elif sys.stdout.isatty():
        from rich.console import Console

        Console().print(rich_table(report))
        sys.stdout.write("\n".join(sentences(report)) + "\n")
    else:
        sys.stdout.write("\n".join([*lines_of(report), ""]))
