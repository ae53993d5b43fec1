"""Where the tests find what they read: the repository, its cases, and the shared data that may be missing."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
CASES = ROOT / "tests" / "cases"
SHARED = Path(os.environ.get("SELFIMPROVE_SHARED") or ROOT.parent / "shared")
