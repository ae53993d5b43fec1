"""`selfimprove export`: a run's champion as a folder for others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.output import stoppable
from selfimprove.cli.parsing import existing_run, read_runtime
from selfimprove.errors import UsageError
from selfimprove.escaping import escape_text

if TYPE_CHECKING:
    from selfimprove.export import Form

_NOTE_LIMIT = 1000
"""Characters of a warning or an address that are shown."""
Gguf = Annotated[
    str,
    typer.Option(
        "--gguf",
        metavar="TYPE",
        help="Export one GGUF file, made by llama.cpp's converter, and a Modelfile for Ollama. Types of the weights: "
        "`f32`, `bf16`, `f16`, `q8_0` or `q4_k_m`.",
    ),
]


def export(
    name: opt.Run,
    to: Annotated[
        Path,
        typer.Option("--to", metavar="FOLDER", help="New or empty folder for the export.", rich_help_panel=opt.OUTPUT),
    ],
    adapter: Annotated[
        bool, typer.Option("--adapter", help="Export one LoRA adapter equal to the sum of the accepted ones.")
    ] = False,
    gguf: Gguf = "",
    converter: Annotated[
        Path | None,
        typer.Option("--converter", metavar="FILE", help="Path to convert_hf_to_gguf.py in a copy of llama.cpp."),
    ] = None,
    hub: Annotated[
        str, typer.Option("--hub", metavar="REPO", help="Also upload to this repository; a new one is private.")
    ] = "",
    public: Annotated[bool, typer.Option("--public", help="If --hub creates a repository, make it public.")] = False,
    trust_remote_code: opt.TrustRemoteCode = False,
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Write a run's champion to a folder, with a model card and the base model's licence; the run isn't changed.

    Nothing is uploaded without --hub.

    The FOLDER of --to must be new or empty. Writes the complete export or nothing.

    Exit codes: 0 done; 1 the upload failed, but the folder is complete; 2 invalid usage or input; 130 interrupted.

    Examples:

        selfimprove export demo --to my-champion
        selfimprove export demo --to my-adapter --adapter
        selfimprove export demo --to my-gguf --gguf q8_0 --hub me/my-gguf
    """
    from selfimprove.export.gguf import KINDS

    if adapter and gguf:
        raise UsageError("--adapter and --gguf can't be combined", "Export twice, each time to its own folder.")
    if converter and not gguf:
        raise UsageError("--converter works only with --gguf", "Add --gguf, or leave --converter out.")
    if public and not hub:
        raise UsageError("--public works only with --hub", "Add --hub REPO, or leave --public out.")
    kind = next((one for one in KINDS if one == gguf), None)
    if gguf and kind is None:
        raise UsageError(f"--gguf {gguf}: not a type of weights", f"Use one of {', '.join(KINDS)}.")
    form: Form = "adapter" if adapter else "gguf" if gguf else "merged"
    journal = existing_run(rounds_dir, name)
    runtime = read_runtime(opt.Execution(device="cpu", trust_remote_code=trust_remote_code))
    from selfimprove.export import export as export_run
    from selfimprove.formatting import byte_count

    with stoppable():
        made = export_run(journal, to, form, runtime, converter, kind=kind or "f16")
        for warning in made.warnings:
            sys.stderr.write(f"selfimprove: warning: {escape_text(warning, _NOTE_LIMIT)}\n")
        size = byte_count(made.size)
        typer.echo(f"exported run {journal.name}, the model of round {made.champion}, to {to} ({size})")
        if hub:
            from selfimprove.export.hub import upload

            typer.echo(f"uploaded to {escape_text(upload(to, hub, public=public), _NOTE_LIMIT)}")
