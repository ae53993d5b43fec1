"""Room on the disk: what a run needs at most, told before it starts, and what a disk says no with, explained.

The need is an upper bound: rows are counted at their longest, weights by the shapes of the model. At any time a run
holds at most two merged models, the champion's and the challenger's (`round/model_cache.py`), and while it trains the
LoRA, its optimizer state and one older copy of both. Adapters and rows of all rounds stay.

A disk can still fill up, vanish or turn read-only in the middle. `explained` turns what it raises, in Python or in the
library that writes weights, into one error: the stage ends, what is durable stays, and the same command goes on.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from selfimprove.errors import StageError, UsageError
from selfimprove.recipe import Recipe
from selfimprove.round.machinery import Footprint
from selfimprove.round.prefixes import token_limit
from selfimprove.store.durable import size_of
from selfimprove.store.journal import Journal

TOKEN_BYTES = 8
"""Of a token id in JSON: up to six digits, comma and space."""
TEXT_BYTES = 6
"""Of a token's text in JSON; ASCII mostly, escapes now and then."""
ROW_BYTES = 400
"""Of a row's other fields."""
PROMPT_TOKENS = 300
"""Allowed for a prompt in an example, whose length is known only once it is rendered."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BARRED = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENAMETOOLONG}
_BROKEN = {errno.EIO, errno.ESTALE, errno.ENODEV}


@dataclass(frozen=True)
class Need:
    """Bytes that a run may still write, at most, by what they are for."""

    models: int
    adapters: int
    training: int
    rows: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.models + self.adapters + self.training + self.rows


def need_of(recipe: Recipe, footprint: Footprint, train: int, rounds: int, *, keep_models: bool) -> Need:
    """What `rounds` more rounds on `train` problems need, and the sealed finish."""
    models = rounds + 1 if keep_models else 2
    return Need(
        models=(models + recipe.gate.placebo) * footprint.model if rounds else 0,
        adapters=(1 + recipe.gate.placebo) * rounds * footprint.adapter,
        training=7 * footprint.adapter if rounds else 0,  # two checkpoints of weights and two moments, one adapter
        rows=rounds * _round_rows(recipe, train) + _sealed_bytes(recipe),
    )


def _round_rows(recipe: Recipe, train: int) -> int:
    settings = recipe.sampling
    rows = min(settings.problems_per_round or train, train) * settings.samples
    share = recipe.prefixes.structure_ratio
    longest = settings.max_new_tokens
    short = token_limit("prefix", recipe.prefixes, longest)
    tokens = rows * (share * longest + (1 - share) * short)
    drawn = rows
    if recipe.prefixes.selection.continues:
        drawn += rows * recipe.prefixes.rollouts
        tokens += rows * recipe.prefixes.rollouts * (longest - short)
    sampled = tokens * TOKEN_BYTES + drawn * ROW_BYTES
    examples = tokens * TOKEN_BYTES + rows * (PROMPT_TOKENS * TOKEN_BYTES + ROW_BYTES)
    return int(sampled + examples) + _verdict_bytes(recipe, 2 * recipe.problems.heldout_size)


def _sealed_bytes(recipe: Recipe) -> int:
    second = recipe.beside()
    return sum(_verdict_bytes(one, 2 * recipe.problems.sealed_size) for one in (recipe, second) if one)


def _verdict_bytes(recipe: Recipe, problems: int) -> int:
    answer = recipe.sampling.max_new_tokens * (TOKEN_BYTES + TEXT_BYTES) + ROW_BYTES
    return problems * recipe.gate.samples * answer


def refuse_if_short(folder: Path, need: Need) -> None:
    """Raise `UsageError` with both numbers if the disk of `folder` has less free than the run may need."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    has = sum(size_of(model) for model in Journal(folder).model_folders())
    wanted = max(0, need.total - has)
    if wanted > free:
        raise UsageError(
            f"{folder}: the run may need {told(wanted)} on this disk (models {told(need.models)}, adapters "
            f"{told(need.adapters + need.training)}, rows {told(need.rows)}); {told(free)} are free",
            "Free some (selfimprove prune RUN deletes what can be rebuilt), or type --rounds-dir on a larger disk.",
        )


def told(size: int) -> str:
    """A number of bytes in words, such as `1.4 GB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


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
            f"{where}: the disk is full ({cause}); what was durable is kept",
            "Free some room (selfimprove prune RUN deletes models that can be rebuilt), then type the same command.",
        )
    if number in _BROKEN:
        return StageError(f"{where}: the disk fails ({cause})", "Look at the disk, then type the same command.")
    return UsageError(f"{where}: can't be written ({cause})", "Make it writable, or type --rounds-dir FOLDER.")
