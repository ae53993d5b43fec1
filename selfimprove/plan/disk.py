"""Room on the disk: a run that may not fit is refused before it starts, and errors of the disk say what to do.

What a run needs at most is forecast (`plan/forecast.py`). A disk can still fill up, vanish or turn read-only in the
middle: `explained` turns what it raises, in Python or in the library that writes weights, into one error: the stage
ends, what is durable stays, and the same command goes on.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from selfimprove.errors import StageError, UsageError
from selfimprove.formatting import byte_count
from selfimprove.plan.forecast import DiskNeed
from selfimprove.store.durable import size_of
from selfimprove.store.journal import Journal

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BARRED = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENAMETOOLONG}
_BROKEN = {errno.EIO, errno.ESTALE, errno.ENODEV}


def refuse_if_short(folder: Path, need: DiskNeed) -> None:
    """Raise `UsageError` with both numbers if the disk of `folder` has less free than the run may need."""
    free = shutil.disk_usage(existing_part(folder)).free
    has = sum(size_of(model) for model in Journal(folder).model_folders())
    wanted = max(0, need.total - has)
    if wanted > free:
        raise UsageError(
            f"{folder}: the run may need {byte_count(wanted)} on this disk (models {byte_count(need.models)}, adapters "
            f"{byte_count(need.adapters + need.training)}, rows {byte_count(need.rows)}); {byte_count(free)} are free",
            "Free space (selfimprove prune RUN deletes what can be rebuilt), or name a --rounds-dir with more space.",
        )


def existing_part(folder: Path) -> Path:
    """The folder itself, or the nearest above it that exists: what tells of the disk that it will be made on."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Inside, an error of the disk becomes one that says what to do: `StageError` if it is full, else `UsageError`."""
    try:
        yield
    except SafetensorError as error:
        found = re.search(r"os error (\d+)", str(error))
        if not found:
            raise
        raise _explained(int(found[1]), folder, str(error)) from error
    except OSError as error:
        if error.errno not in _FULL | _BARRED | _BROKEN:
            raise
        where = Path(error.filename) if isinstance(error.filename, str) else folder
        raise _explained(error.errno, where, error.strerror or "") from error


def _explained(number: int, where: Path, cause: str) -> Exception:
    if number in _FULL:
        return StageError(
            f"{where}: the disk is full ({cause}); saved work is kept",
            "Free some space (selfimprove prune RUN deletes models that can be rebuilt), then run the same command.",
        )
    if number in _BROKEN:
        return StageError(f"{where}: the disk fails ({cause})", "Check the disk, then run the same command.")
    return UsageError(f"{where}: can't be written ({cause})", "Make it writable, or use --rounds-dir FOLDER.")
