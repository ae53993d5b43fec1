"""Model folders on the nodes of a cluster: used where they stand, or fetched once from the driver's machine.

A run's models are named by their folders on the machine of the driver (the process that runs the rounds). A worker

1. on the driver's node uses the folder as it is;
2. on another node uses the folder of that path if its files have the names, sizes and times (in nanoseconds) that the
   driver's have: they are the same files, on a shared file system, and nothing is read to find that out;
3. else compares the folder of that path, if there is one (the same model resolved there), with the driver's by the
   SHA-256 of every file, and uses it if they are equal. The driver's node hashes its files once, and so does each other
   node, whose workers take turns under a lock and leave a note of what was found;
4. else fetches it in pieces of `PIECE` bytes, `IN_FLIGHT` of them under way at a time, from an actor on the driver's
   node, into `<cache>/fetched/<hash>`, hashed as they arrive, under the same lock: the workers of one node fetch it
   once. The newest `KEPT` fetched models stay (base, champion and challenger), and the newest adapter that samples
   are drawn with between two steps of a round.

A merged model is shipped, not rebuilt from base and adapters: rebuilding reads as many bytes as shipping moves, from a
base that may have to be float32 and so twice as large, and then sums every weight on a processor.

The actor reads any file that the driver may read, for whoever is in the cluster: a Ray cluster is one trust domain,
whose members can run code on each other anyway.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

import ray
from filelock import FileLock
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from selfimprove.errors import StageError
from selfimprove.store.durable import content_hash

PIECE = 8 << 20
IN_FLIGHT = 8
KEPT = 3

Stamp = tuple[str, int, int]
"""A file's name, size in bytes, and time of its last change in nanoseconds."""


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
        self._hashing = Lock()

    def stamps(self, folder: Path) -> list[Stamp]:
        """The folder's files as `stamps` gives them."""
        return stamps(folder)

    def manifest(self, folder: Path) -> list[FileEntry]:
        """The folder's files in order of their names; hashed again only if one was touched."""
        with self._hashing:  # several workers ask at the same time
            found = stamps(folder)
            known = (folder, *found)
            if known not in self._known:
                self._known[known] = [FileEntry(name, size, content_hash(folder / name)) for name, size, _ in found]
            return self._known[known]

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
    return Source(ray.get_runtime_context().get_node_id(), beside_driver(FileServer, threads=IN_FLIGHT))


def beside_driver(kind: type, *arguments: Any, threads: int = 1) -> Any:  # noqa: ANN401 - an actor's handle
    """An actor of that class on the driver's node, which answers so many calls at a time; it reserves no CPU."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"num_cpus": 0, "scheduling_strategy": here, "max_concurrency": threads}
    return ray.remote(kind).options(**options).remote(*arguments)


def place_model(model: Path, source: Source, cache: Path) -> Path:
    """The folder on this node that holds the driver's `model`; called in a worker."""
    if ray.get_runtime_context().get_node_id() == source.node:
        return model
    if stamps(model) == ray.get(source.server.stamps.remote(model)):
        return model
    manifest: list[FileEntry] = ray.get(source.server.manifest.remote(model))
    return find_or_fetch(model, source, manifest, cache / "fetched")


def stamps(folder: Path) -> list[Stamp]:
    """The folder's files in order of their names; none if there is no such folder."""
    paths = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


def holds(folder: Path, manifest: Sequence[FileEntry]) -> bool:
    """Whether the folder has these files, by size and SHA-256."""
    files = [(folder / entry.name, entry) for entry in manifest]
    sizes_equal = all(path.is_file() and path.stat().st_size == entry.size for path, entry in files)
    return sizes_equal and all(content_hash(path) == entry.sha256 for path, entry in files)


def find_or_fetch(model: Path, source: Source, manifest: Sequence[FileEntry], store: Path) -> Path:
    """This node's own folder `model` if it holds these files, else a folder of `store` that is named by their hashes.

    Hashed or fetched by the first worker of a node that asks; the others find what it found.
    """
    name = hashlib.sha256("".join(f"{e.name}\0{e.sha256}\n" for e in manifest).encode()).hexdigest()[:24]
    store.mkdir(parents=True, exist_ok=True)
    note, seen = store / f".{name}.equal", json.dumps([str(model), stamps(model)])
    with FileLock(store / f".{name}.lock"):
        if not (store / name).exists():
            if note.exists() and note.read_text(encoding="utf-8") == seen:
                return model
            if holds(model, manifest):
                note.write_text(seen, encoding="utf-8")
                return model
            fetch(model, source, manifest, store / name)
        os.utime(store / name)
    _drop_old(store)
    return store / name


def fetch(model: Path, source: Source, manifest: Sequence[FileEntry], out: Path) -> None:
    """Make the folder `out` of the driver's files; there is none if one of them is not what the manifest says."""
    temporary = out.with_name(f".{os.getpid()}-{secrets.token_hex(4)}")
    temporary.mkdir()
    try:
        pieces = _pieces(model, source, manifest)
        for entry in manifest:
            digest = hashlib.sha256()
            with (temporary / entry.name).open("wb") as file:
                for _ in range(0, entry.size, PIECE):
                    piece = next(pieces)
                    file.write(piece)
                    digest.update(piece)
            if digest.hexdigest() != entry.sha256:
                raise StageError(f"{model / entry.name}: changed while it was fetched")
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _pieces(model: Path, source: Source, manifest: Sequence[FileEntry]) -> Iterator[bytes]:
    """The files' pieces one after the other; the next ones are under way meanwhile."""
    wanted = ((model / entry.name, offset) for entry in manifest for offset in range(0, entry.size, PIECE))
    under_way = deque(source.server.read.remote(*piece) for piece in islice(wanted, IN_FLIGHT))
    while under_way:
        yield ray.get(under_way.popleft())
        under_way.extend(source.server.read.remote(*piece) for piece in islice(wanted, 1))


def _drop_old(store: Path) -> None:
    # A model that a worker has open stays readable to it after its files are gone.
    fetched = [path for path in store.iterdir() if path.is_dir() and not path.name.startswith(".")]
    newest = sorted(fetched, key=lambda path: path.stat().st_mtime)
    adapters = [path for path in newest if (path / "adapter_config.json").exists()]
    models = [path for path in newest if path not in adapters]
    for path in (*models[:-KEPT], *adapters[:-1]):
        shutil.rmtree(path, ignore_errors=True)
