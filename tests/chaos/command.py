"""What `make chaos` does: it makes a working folder, runs the test, prints the report and removes the folder."""

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
from tests.chaos.harness import ChaosReport, run_chaos
from tests.chaos.table import json_of, lines_of, rich_table, sentences

REMOVAL_SECONDS = 5.0
"""Seconds that deleting the folder may take."""


def chaos_command(kills: int, seed: int, model: str, rounds_dir: Path, keep: Path | None, as_json: bool) -> bool:
    """Run the chaos test under `rounds_dir` (or in `keep`, which stays) and print its report; whether it passed.

    The temporary folder is removed, also after Ctrl-C, unless the test failed: then it is named.
    """
    with _working_folder(rounds_dir, keep) as work:
        report = run_chaos(kills, seed, work.folder, model, silence if as_json else _print_note)
        work.keep = work.keep or not report.passed
    _print(report, as_json)
    if work.keep:
        sys.stderr.write(f"selfimprove: runs, traces and records are kept in {work.folder}\n")
    return report.passed


class _WorkingFolder:
    """A folder to work in, and whether it stays."""

    def __init__(self, folder: Path, keep: bool) -> None:
        self.folder = folder
        self.keep = keep


@contextmanager
def _working_folder(rounds_dir: Path, keep: Path | None) -> Iterator[_WorkingFolder]:
    folder = keep or rounds_dir
    if keep and keep.exists() and any(keep.iterdir()):
        raise UsageError(f"--keep {keep}: not empty", "Name a folder that is empty or not there yet.")
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    folder = keep or Path(tempfile.mkdtemp(prefix=".selftest-", dir=rounds_dir))
    work = _WorkingFolder(folder.absolute(), bool(keep))
    try:
        yield work
    finally:
        if not work.keep:
            _remove(work.folder)
            if made:
                with suppress(OSError):  # a run may have begun beside it
                    rounds_dir.rmdir()


def _remove(folder: Path) -> None:
    """Delete the folder; a process started just before an interrupt may still write into it for a moment."""
    deadline = time.monotonic() + REMOVAL_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)


def _print_note(event: Event) -> None:
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
