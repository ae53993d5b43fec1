"""The folder in which everything that can be made again is kept."""

from __future__ import annotations

import os
from pathlib import Path


def default_cache() -> Path:
    """`$SELFIMPROVE_CACHE`, or `~/.cache/selfimprove`."""
    return Path(os.environ.get("SELFIMPROVE_CACHE") or "~/.cache/selfimprove").expanduser().absolute()
