"""Model folders on the nodes of a cluster: used where they stand, or fetched once from the driver's machine.

A run's models are named by their folders on the machine of the driver (the process that runs the rounds). A worker

1. on the driver's node uses the folder as it is;
2. on another node compares the folder of that path, if there is one (a shared file system, or the same model resolved
   there), with the driver's by the SHA-256 of every file, and uses it if they are equal;
3. else fetches it, file by file in pieces of `PIECE` bytes, from an actor on the driver's node, into
   `<cache>/fetched/<hash>`, held to the same hashes, under a lock: the workers of one node fetch it once. The newest
   `KEPT` fetched models stay: base, champion and challenger.

A merged model is shipped, not rebuilt from base and adapters: rebuilding reads as many bytes as shipping moves, from a
base that may have to be float32 and so twice as large, and then sums every weight on a processor.

The actor reads any file that the driver may read, for whoever is in the cluster: a Ray cluster is one trust domain,
whose members can run code on each other anyway.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from filelock import FileLock
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from selfimprove.errors import StageError
from selfimprove.store.durable import content_hash

PIECE = 32 << 20
KEPT = 3


@dataclass(frozen=True)
class FileEntry:
    """A file of a model folder: name, bytes, SHA-256."""

    name: str
    size: int
    sha256: str


class FileServer:
    """Reads the driver's model folders for workers on other nodes; an actor on the driver's node."""

    def __init__(self) -> None:
        self._known: dict[Any, list[FileEntry]] = {}

    def manifest(self, folder: Path) -> list[FileEntry]:
        """The folder's files in order of their names; hashed again only if one was touched."""
        paths = sorted(path for path in folder.iterdir() if path.is_file())
        stamp = (folder, *((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths))
        if stamp not in self._known:
            self._known[stamp] = [FileEntry(path.name, path.stat().st_size, content_hash(path)) for path in paths]
        return self._known[stamp]

    def read(self, path: Path, offset: int) -> bytes:
        """At most `PIECE` bytes of the file from `offset`."""
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(PIECE)


@dataclass(frozen=True)
class Source:
    """The driver's node, and the `FileServer` there."""

    node: str
    server: Any


def serve_files() -> Source:
    """Start a `FileServer` on this driver's node."""
    return Source(ray.get_runtime_context().get_node_id(), beside_driver(FileServer))


def beside_driver(kind: type, *arguments: Any) -> Any:  # noqa: ANN401 - an actor's handle
    """An actor of that class on the driver's node; it reserves no CPU."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(kind).options(num_cpus=0, scheduling_strategy=here).remote(*arguments)


def place_model(model: Path, source: Source, cache: Path) -> Path:
    """The folder on this node that holds the driver's `model`; called in a worker."""
    if ray.get_runtime_context().get_node_id() == source.node:
        return model
    manifest: list[FileEntry] = ray.get(source.server.manifest.remote(model))
    return model if holds(model, manifest) else fetch(model, source, manifest, cache / "fetched")


def holds(folder: Path, manifest: Sequence[FileEntry]) -> bool:
    """Whether the folder has these files, by size and SHA-256."""
    files = [(folder / entry.name, entry) for entry in manifest]
    sizes_equal = all(path.is_file() and path.stat().st_size == entry.size for path, entry in files)
    return sizes_equal and all(content_hash(path) == entry.sha256 for path, entry in files)


def fetch(model: Path, source: Source, manifest: Sequence[FileEntry], store: Path) -> Path:
    """The model in a folder of `store` that is named by its contents; fetched if it isn't there yet."""
    name = hashlib.sha256("".join(f"{e.name}\0{e.sha256}\n" for e in manifest).encode()).hexdigest()[:24]
    store.mkdir(parents=True, exist_ok=True)
    with FileLock(store / f".{name}.lock"):
        if not (store / name).exists():
            temporary = store / f".{os.getpid()}-{secrets.token_hex(4)}"
            temporary.mkdir()
            try:
                for entry in manifest:
                    _fetch_file(model, source, entry, temporary)
                temporary.rename(store / name)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        os.utime(store / name)
    _drop_old(store)
    return store / name


def _fetch_file(model: Path, source: Source, entry: FileEntry, folder: Path) -> None:
    with (folder / entry.name).open("wb") as file:
        for offset in range(0, entry.size, PIECE):
            file.write(ray.get(source.server.read.remote(model / entry.name, offset)))
    if content_hash(folder / entry.name) != entry.sha256:
        raise StageError(f"{model / entry.name}: changed while it was fetched")


def _drop_old(store: Path) -> None:
    # A model that a worker has open stays readable to it after its files are gone.
    models = [path for path in store.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for path in sorted(models, key=lambda path: path.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(path, ignore_errors=True)
