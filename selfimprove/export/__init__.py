"""Taking a run's champion away, as a folder that needs nothing of this program.

Three forms, one a folder: the merged model (safetensors, loaded by transformers as any other), one adapter equal to the
whole chain (`merging/joint.py`, loaded by peft onto the base), or one GGUF file (`export/gguf.py`) with a Modelfile for
Ollama (`export/ollama.py`). Each has a model
card (`export/card.py`) and the licence texts of the base (`models/origin.py`).

The run's folder is read and never written: everything is built beside the target under a name that begins with a dot,
held to the champion's certificate, and renamed. A target that holds anything is refused. So an export can be made
beside a process that works on the run, and a kill leaves nothing that looks whole.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selfimprove.errors import UsageError
from selfimprove.export import card
from selfimprove.export.gguf import Kind, convert, find_converter, find_quantizer
from selfimprove.export.ollama import modelfile
from selfimprove.export.source import Source, build, source_of
from selfimprove.models.origin import Origin, origin_of
from selfimprove.models.weights import fingerprint_folder
from selfimprove.plan.disk import explained
from selfimprove.recipe import Runtime
from selfimprove.store.durable import publish, size_of
from selfimprove.store.journal import Journal

Form = Literal["merged", "adapter", "gguf"]
BY_ITSELF = Runtime(device="cpu")


@dataclass(frozen=True)
class Exported:
    """A folder that was exported: what it holds, the round its model comes from, its bytes, and what to know of it."""

    folder: Path
    form: Form
    champion: int
    size: int
    warnings: tuple[str, ...]


def export(
    journal: Journal,
    folder: Path,
    form: Form = "merged",
    runtime: Runtime = BY_ITSELF,
    converter: Path | None = None,
    cache: Path | None = None,
    kind: Kind = "f16",
) -> Exported:
    """The champion of a run in the new folder, whole on return or absent; `converter` and `kind` are for `gguf`.

    `cache` is the folder of converted models, by default the user's. Raises `UsageError` for a folder that holds
    something, a run whose champion is the base, and a missing converter; `StageError` if the records don't give the
    model that its certificate describes.
    """
    _refuse_target(journal, folder)
    script = find_converter(converter) if form == "gguf" else None
    tools = _Tools(script, find_quantizer(kind, script), kind) if script else None
    if not journal.champion().number:
        raise UsageError(
            f"run `{journal.name}`: its champion is the base model, so there is nothing to export",
            f"selfimprove report {journal.name} shows the outcome of each round.",
        )
    source = source_of(journal, runtime, cache)
    origin = origin_of(source.recipe.model, source.base)
    target = folder.absolute()
    temporary = target.with_name(f".{target.name}.partial")
    with explained(folder):
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            made = _make(source, origin, temporary, form, tools, runtime)
            if target.exists():
                target.rmdir()  # empty, as was seen; fails if something came into it meanwhile
            publish(made, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return Exported(folder, form, source.champion.number, size_of(folder), _warnings(origin))


@dataclass(frozen=True)
class _Tools:
    """llama.cpp's programs, and the type of weights that they are asked for."""

    converter: Path
    quantizer: Path | None
    kind: Kind


def _make(source: Source, origin: Origin, temporary: Path, form: Form, tools: _Tools | None, runtime: Runtime) -> Path:
    """The finished folder, below `temporary`."""
    model, made = temporary / "model" / source.journal.name, temporary / "made"  # GGUF takes the name
    fits, rank = "", 0
    if form == "adapter":
        from selfimprove.merging.joint import join

        made.mkdir()
        rank = join(source.adapters, source.exact, made, origin.hub_id, origin.revision)
        fits = fingerprint_folder(source.exact)
    else:
        build(source, model, runtime)
    text = card.card_text(card.Subject(source, origin, form, fits, rank))
    if tools:
        made.mkdir()
        file = made / f"{source.journal.name}.gguf"
        (model / card.NAME).write_text(text, encoding="utf-8")  # the converter takes licence and lineage from it
        convert(tools.converter, model, file, tools.kind, tools.quantizer)
        (made / "Modelfile").write_text(modelfile(source, file.name, runtime), encoding="utf-8")
    elif form == "merged":
        model.rename(made)
    (made / card.NAME).write_text(text, encoding="utf-8")
    for path in origin.texts:
        shutil.copyfile(path, made / path.name)
    return made


def _refuse_target(journal: Journal, folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "not empty" if folder.is_dir() else "not a folder"
        raise UsageError(f"--to {folder}: already exists and is {what}", "Name a new folder.")
    if journal.folder.resolve() in (folder.resolve(), *folder.resolve().parents):
        raise UsageError(f"--to {folder}: inside the run's own folder", "Name a folder outside the run's.")


def _warnings(origin: Origin) -> tuple[str, ...]:
    if not origin.licence:
        return (f"the base model's licence isn't known ({origin.title}), and the model card says so: look it up",)
    if not origin.texts:
        return (f"the base model's licence is {origin.licence}, but no text of it was found to include",)
    return ()
