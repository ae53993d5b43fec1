"""`python -m benchmarks`: the bench's command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.bench.command import bench as measure
from benchmarks.bench.suite import Scale
from benchmarks.bench.work import Work
from selfimprove.cli import options as opt
from selfimprove.cli.app import main
from selfimprove.cli.parsing import read_runtime
from selfimprove.recipe import EMBEDDED

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False, rich_markup_mode="markdown")


@app.command()
def bench(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PART", help="tokens, trainer, engines, overhead or ray; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the figures to this file, as JSON.")
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", metavar="N", min=1, help="Repeats of each row.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="Little work: shows that it runs, not how fast.")] = False,
    model: Annotated[
        str,
        typer.Option("--model", metavar="MODEL", help="Model for engines, trainer and overhead."),
    ] = EMBEDDED,
    problems: Annotated[
        str, typer.Option("--problems", metavar="SOURCE", help="Problems for engines, trainer and overhead.")
    ] = "",
    prompt: Annotated[
        str, typer.Option("--prompt", metavar="TEXT", help="User turn of these problems, with {question}.")
    ] = "{question}",
    device: opt.Device = "cpu",
    threads: opt.Threads = 0,
) -> None:
    """Measure this program on this machine, beside others and beside what the machine can do.

    A row whose package is missing says which, and has no figure. docs/performance.md explains the rows.

    Writes FILE of --out, after each part.

    Exit codes: 0 measured; 2 invalid usage or input.

    Examples:

        python -m benchmarks --only tokens --repeats 1 --out tokens.json
        python -m benchmarks --quick --repeats 1
        python -m benchmarks --only engines --model ./my-model --problems mine.jsonl
    """
    runtime = read_runtime(opt.Execution(device=device, threads=threads))
    work = Work(model=model, problems=problems, prompt=prompt)
    measure(only or [], out, Scale(repeats, quick, runtime, None if work == Work() else work), typer.echo)


if __name__ == "__main__":
    main(app, "python -m benchmarks")
