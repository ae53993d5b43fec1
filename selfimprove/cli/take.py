"""The commands that take a run's model in hand: export it, ask it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.parsing import read_runtime
from selfimprove.errors import UsageError
from selfimprove.text.escaping import escape_text

if TYPE_CHECKING:
    from selfimprove.export import Form
    from selfimprove.store.journal import Journal

take = typer.Typer()
_NOTE = 1000


@take.command()
def export(
    name: opt.Run,
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="New folder for the model.")],
    adapter: Annotated[bool, typer.Option("--adapter", help="One LoRA equal to the accepted chain.")] = False,
    gguf: Annotated[bool, typer.Option("--gguf", help="One GGUF file, by llama.cpp's converter.")] = False,
    converter: Annotated[
        Path | None, typer.Option("--converter", metavar="FILE", help="convert_hf_to_gguf.py of a copy of llama.cpp.")
    ] = None,
    hub: Annotated[
        str, typer.Option("--hub", metavar="REPO", help="Upload to this repository too; a new one is private.")
    ] = "",
    public: Annotated[bool, typer.Option("--public", help="Make a new repository of --hub public.")] = False,
    trust_remote_code: opt.TrustRemoteCode = False,
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Write a run's champion to a folder, with a model card and the base's licence; the run is left as it is.

    Nothing is sent anywhere without --hub.

    Writes FOLDER, which may be there only if it is empty, whole or not at all.

    Exit codes: 0 done; 1 the upload failed, the folder is whole; 2 it can't be done as asked; 130 interrupted.

    Examples:

        selfimprove export demo --to champion
        selfimprove export demo --to my-adapter --adapter
        selfimprove export demo --to my-gguf --gguf --hub me/my-gguf
    """
    if adapter and gguf:
        raise UsageError("--adapter and --gguf are two forms", "Export twice, each to a folder of its own.")
    if converter and not gguf:
        raise UsageError("--converter is for --gguf", "Add --gguf, or leave --converter out.")
    if public and not hub:
        raise UsageError("--public is for --hub", "Add --hub REPO, or leave --public out.")
    form: Form = "adapter" if adapter else "gguf" if gguf else "merged"
    journal, runtime = _journal(rounds_dir, name), read_runtime(trust_remote_code=trust_remote_code, device="cpu")
    from selfimprove.export import export as export_run
    from selfimprove.plan.disk import told

    with _stoppable():
        made = export_run(journal, to, form, runtime, converter)
        for warning in made.warnings:
            sys.stderr.write(f"selfimprove: warning: {escape_text(warning, _NOTE)}\n")
        typer.echo(f"exported run {journal.name}, the model of round {made.champion}, to {to} ({told(made.size)})")
        if hub:
            from selfimprove.export.hub import upload

            typer.echo(f"uploaded to {escape_text(upload(to, hub, public=public), _NOTE)}")


@take.command()
def ask(
    name: opt.Run,
    questions: Annotated[list[str], typer.Argument(metavar="QUESTION…", help="Questions; `-` reads them from stdin.")],
    gold: Annotated[
        list[str] | None, typer.Option("--gold", metavar="ANSWER", help="Reference answer, one per question.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", metavar="T", min=0, help="0 is greedy [as judged].")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, help="Seed of the draws [the run's].")
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option("--max-new-tokens", metavar="N", min=1, help="Longest [the run's].")
    ] = None,
    engine: opt.Engine = "auto",
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    trust_remote_code: opt.TrustRemoteCode = False,
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Ask a run's base model and its champion the same questions, side by side, as the run asks and judges.

    With --gold each answer is judged. Equal seeds give equal answers on the same machine.

    Writes nothing; a champion's model that was pruned is built again in rounds/RUN/.

    Exit codes: 0 answered; 1 the engine failed; 2 it can't be done as asked; 130 interrupted.

    Examples:

        selfimprove ask demo "What is 3 + 4 * 5?" --gold 23
        selfimprove ask demo "What is 7 * 8?" --temperature 0.7 --seed 3
        selfimprove ask demo - < questions.txt
    """
    journal = _journal(rounds_dir, name)
    runtime = read_runtime(engine=engine, device=device, threads=threads, trust_remote_code=trust_remote_code)
    from rich.console import Console

    from selfimprove.ask import Manner
    from selfimprove.ask import ask as ask_run
    from selfimprove.ask.questions import read_questions
    from selfimprove.ask.shown import show

    asked = read_questions(questions, gold or [], sys.stdin)
    with _stoppable():
        show(ask_run(journal, asked, Manner(temperature, seed, max_new_tokens), runtime), Console())


def _journal(rounds_dir: Path, name: str) -> Journal:
    """The journal of a run that is there; `UsageError` lists those there are."""
    from selfimprove.report.records import read_run
    from selfimprove.store.journal import Journal

    return Journal(read_run(rounds_dir, name).folder)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM leave with 130 and no traceback."""
    from selfimprove.host.stopping import EXIT_CODE, heard
    from selfimprove.store.durable import interrupt

    try:
        with heard(interrupt):
            yield
    except KeyboardInterrupt:
        sys.stderr.write("selfimprove: interrupted\n")
        raise typer.Exit(EXIT_CODE) from None
