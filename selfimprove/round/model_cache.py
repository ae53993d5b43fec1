"""The merged models of a run on disk: caches that are never believed unseen.

`NNNN/model/` can always be made again from the base and the adapters of the chain, and the certificate of the round
holds the hash it must have. So a model folder is used only after this process has made it, or has hashed it once; one
that is missing is built again, one that differs is built again and said so, and one that can't be built to its hash
stops the run. That makes the folders safe to delete at any time (`selfimprove prune`), and the run deletes them itself:
after each round only the champion's model stays, unless the runtime keeps them all.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from selfimprove.errors import StageError
from selfimprove.events import Emit, Note
from selfimprove.recipe import Recipe
from selfimprove.round.machinery import Machinery
from selfimprove.store.champion import Champion
from selfimprove.store.durable import publish, remove
from selfimprove.store.journal import Journal


class ModelCache:
    """The model folders of one run, as seen by one process."""

    def __init__(self, journal: Journal, machinery: Machinery, recipe: Recipe, emit: Emit) -> None:
        self._journal = journal
        self._machinery = machinery
        self._recipe = recipe
        self._emit = emit
        self._seen: set[Path] = set()

    def folder(self, model: Champion) -> Path:
        """The folder of a merged model, held to the hash in its certificate; rebuilt if it is missing or differs.

        Raises `StageError` if base and adapters no longer give the model that the certificate describes.
        """
        if model.number == 0:
            return self._machinery.base
        files = self._journal.round(model.number)
        if files.model not in self._seen:
            expected = files.certified().sha256
            if not self._is_whole(files.model, expected):
                self._rebuild(model, expected)
            self._seen.add(files.model)
        return files.model

    def made(self, folder: Path) -> None:
        """Trust a folder that this process has just made and hashed."""
        self._seen.add(folder)

    def keep_only(self, champion: Champion, rounds: int) -> None:
        """Delete the models of all other rounds up to `rounds`, unless the runtime keeps them."""
        if self._machinery.runtime.keep_models:
            return
        for number in range(1, rounds + 1):
            if number != champion.number:
                self.drop(self._journal.round(number).model)

    def drop(self, folder: Path) -> int:
        """Delete a model folder, if it is there; returns the bytes it took."""
        self._seen.discard(folder)
        return remove(folder)

    def _is_whole(self, folder: Path, expected: str) -> bool:
        if not folder.exists():
            return False
        if self._machinery.fingerprint(folder) == expected:
            return True
        self._emit(Note(f"{folder}: changed since it was made; it is rebuilt from base and adapters."))
        return False

    def _rebuild(self, model: Champion, expected: str) -> None:
        files = self._journal.round(model.number)
        temporary = files.scratch("model")
        made = self._build(model.chain, temporary)
        if made != expected:
            raise StageError(
                f"{files.model}: rebuilt with hash {made[:12]}…, its certificate says {expected[:12]}…",
                "The base or an adapter of its chain changed: selfimprove verify names it.",
            )
        publish(temporary, files.model)

    def _build(self, chain: Sequence[int], out: Path) -> str:
        shutil.rmtree(out, ignore_errors=True)
        adapters = [self._journal.round(number).adapter for number in chain]
        return self._machinery.rebuild(self._machinery.merge_job(adapters, out, self._recipe.rounding()))
