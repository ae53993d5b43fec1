"""`python -m benchmarks.gpu_check`: the check's command line."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.gpu_check.running import bench_on, check
from selfimprove.cli.app import main

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False, rich_markup_mode="markdown")


@app.command()
def gpu_check(
    model: Annotated[
        Path | None, typer.Option("--model", metavar="FOLDER", help="A real model in place of the random one.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", metavar="NAME", help="vllm or transformers; by itself as `run` chooses.")
    ] = None,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="When to end, wherever it is.")] = 20.0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the rows to this file, as JSON.")
    ] = None,
) -> None:
    """Try on this machine's GPU everything that a run asks of one, and measure it; docs/gpu.md explains the rows.

    Exit codes: 0 every row passed; 1 one failed, and the check ended there; 2 invalid usage or input.
    """
    with tempfile.TemporaryDirectory() as folder:
        passed = check(bench_on(Path(folder), model, engine), 60 * minutes, out, typer.echo)
    raise typer.Exit(0 if passed else 1)


if __name__ == "__main__":
    main(app, "python -m benchmarks.gpu_check")
