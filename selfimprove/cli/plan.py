"""`selfimprove plan`: what a run would take, and what its gate can see, before anything is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.parsing import MOST_ROUNDS, read_runtime

if TYPE_CHECKING:
    pass


def plan(
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", min=1, max=MOST_ROUNDS, help="Rounds to plan for.")
    ] = 2,
    recipe: opt.Recipe = None,
    settings: opt.Settings = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure rates here first, in under a minute.")
    ] = False,
    engine: opt.Engine = "auto",
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
) -> None:
    """Show what a run would cost at most, and the smallest gain its gate can see, before anything is spent.

    Follows from the recipe alone; no problem is read and no model loaded. With --calibrate the real engine and trainer
    are tried, and the cost is told as tokens, time, memory and disk.

    Writes nothing; --calibrate fills the cache in $SELFIMPROVE_CACHE.

    Exit codes: 0 told; 1 the trial failed; 2 it can't be done as asked.

    Examples:

        selfimprove plan --recipe demo
        selfimprove plan --recipe demo --rounds 10 --set problems.heldout_size=1000
        selfimprove plan --recipe demo --calibrate
    """
    from selfimprove.plan.lines import plan_lines
    from selfimprove.recipe.reading import read_recipe, read_settings

    chosen = read_recipe(recipe, read_settings(settings or []))
    for line in plan_lines(chosen, rounds):
        typer.echo(line)
    if calibrate:
        from selfimprove.runs.assemble import measured_plan

        typer.echo("")
        for line in measured_plan(chosen, read_runtime(engine=engine, device=device, threads=threads), rounds):
            typer.echo(line)
