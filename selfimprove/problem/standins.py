"""Files that stand in for a problem file: Git LFS's pointer to it, or the page that a server sent instead."""

from __future__ import annotations

from pathlib import Path

from selfimprove.errors import UsageError

_POINTER = b"version https://git-lfs.github.com/spec/"
_PAGES = (b"<!doctype html", b"<html")


def refuse_stand_in(path: Path) -> None:
    """Raise `UsageError` if the file begins as a Git LFS pointer or a web page does."""
    with path.open("rb") as file:
        start = file.read(100).lstrip().lower()
    if start.startswith(_POINTER):
        raise UsageError(
            f"{path}: a Git LFS pointer, and not the file itself", f"In its clone: git lfs pull --include {path.name}"
        )
    if start.startswith(_PAGES):
        raise UsageError(f"{path}: a web page, and not a problem file", "Download the file itself (its raw link).")
