"""`selfimprove plan`: what a run would cost, and the smallest gain its gate can detect."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.output import screen
from selfimprove.cli.parsing import MAX_ROUNDS, read_runtime, typed_settings
from selfimprove.escaping import escape_text

_LINE = 400


@opt.takes_execution("engine", "device", "threads")
def plan(
    *,
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", min=1, max=MAX_ROUNDS, help="Rounds to plan for.")
    ] = 2,
    recipe: opt.Recipe = None,
    model: opt.Model = "",
    problems: opt.Problems = "",
    settings: opt.Settings = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Measure rates on this machine first, in less than two minutes.",
            rich_help_panel=opt.MACHINE,
        ),
    ] = False,
    execution: opt.Execution,
) -> None:
    """Before a run, show its maximum cost, and the smallest gain that its test (the gate) can detect.

    Reads problem files as a run does, and refuses the same ones. Doesn't read datasets on the hub and, without
    --calibrate, loads no model. With --calibrate, the real engine and trainer run a short trial, and the cost is given
    as tokens, time, memory and disk space.

    Writes nothing but the cache in $SELFIMPROVE_CACHE: the parsed rows of a large file, and with --calibrate the model.

    Exit codes: 0 shown; 1 the trial failed; 2 invalid usage or input.

    Examples:

        selfimprove plan --recipe demo
        selfimprove plan --recipe demo --rounds 10 --set problems.heldout_size=1000
        selfimprove plan --recipe demo --calibrate
        selfimprove plan --model ./my-model --problems mine.jsonl --calibrate
    """
    from selfimprove.plan.lines import plan_lines, problem_lines
    from selfimprove.plan.unnamed import recipe_for
    from selfimprove.runs.reading import told_reading

    typed = typed_settings(model, problems, settings or [])
    with ExitStack() as stack:
        reading = stack.enter_context(told_reading(screen(stack)))
        chosen, why = recipe_for(recipe, typed, reading, unread="hub")
        found, told = problem_lines(chosen, reading)
    for line in filter(None, [why, *told]):
        typer.echo(escape_text(line, _LINE))
    for line in plan_lines(chosen, rounds, found):
        typer.echo(line)
    if calibrate:
        from selfimprove.runs.assemble import measured_plan

        typer.echo("")
        for line in measured_plan(chosen, read_runtime(execution), rounds):
            typer.echo(line)
