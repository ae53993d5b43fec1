"""Settings that must stand before torch and the hub's client are loaded, and what makes the default run quick."""

from __future__ import annotations

import gc
import os
import tempfile
from pathlib import Path

from hypothesis import settings

from tests import warm

# As the command line sets it: waiting threads that spin slow a busy machine down by a factor of ten.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# No test reaches for the network; what the hub's client can't find is refused at once.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

settings.register_profile("few", max_examples=30)
settings.load_profile(os.environ.get("SELFIMPROVE_EXAMPLES", "few"))

MEMORY = "/dev/shm"
ROOM = 8 << 30
"""Bytes that have to be free there; the default run leaves some 100 MB, the slow tests some models."""


# The processes of one `pytest` share a server of forked commands (`tests/warm.py`), which the first to need it starts.
if warm.SOCKET not in os.environ:
    os.environ[warm.SOCKET] = f"{tempfile.gettempdir()}/selfimprove-tests-{os.getpid()}.socket"
    os.environ[warm.OWNER] = str(os.getpid())


def _has_room(folder: str) -> bool:
    if not Path(folder).is_dir():
        return False
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize >= ROOM and not found.f_flag & os.ST_NOEXEC


# A run syncs all it writes, which costs milliseconds a row on disk and nothing in memory; tests make many runs.
if _has_room(MEMORY):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)


def pytest_collection_finish() -> None:
    """Leave what the imports made out of Python's search for cycles and its list of objects: half a million objects."""
    gc.collect()
    gc.freeze()
