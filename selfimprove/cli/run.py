"""`selfimprove run`: rounds until there are as many as asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.completion import runs as known_runs
from selfimprove.cli.output import next_steps, resume_command, stoppable
from selfimprove.cli.parsing import MAX_ROUNDS, read_runtime, typed_settings, view_mode
from selfimprove.store.names import DEFAULT


@opt.takes_execution()
def run(
    *,
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds", metavar="N", min=1, max=MAX_ROUNDS, help="Total number of rounds, including those already done."
        ),
    ] = 2,
    recipe: opt.Recipe = None,
    name: Annotated[
        str,
        typer.Option(
            "--run",
            metavar="RUN",
            help="The run's name [default: the recipe's name; without --recipe, the name “default”].",
            autocompletion=known_runs,
        ),
    ] = "",
    model: opt.Model = "",
    problems: opt.Problems = "",
    settings: opt.Settings = None,
    execution: opt.Execution,
    track: opt.Track = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.", rich_help_panel=opt.OUTPUT)] = False,
    as_json: opt.EventsAsJson = False,
    plain: opt.Plain = False,
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Run rounds until the run has --rounds of them; the same command resumes an interrupted run.

    Without --recipe, a new run trains on right solutions if its problems have answers, otherwise on the most common
    prefix of each problem, and says so before round 1. Keys set with --set keep their values.

    Saved work is never redone; a run that already has enough rounds is left as it is. To resume a run, give --run and
    --rounds; without --recipe, the run's own recipe applies. A different recipe, or a key set to another value, is
    refused, and the error names the keys that differ.

    Writes rounds/RUN/ (rounds/README.md describes the format). Adds each model and each large problem source to the
    cache in $SELFIMPROVE_CACHE once.

    Exit codes: 0 all rounds and sealed judging are done; 1 a stage ended without a usable result; 2 invalid usage or
    input; 130 interrupted.

    Examples:

        selfimprove run --recipe demo --rounds 2
        selfimprove run --rounds 3 --model Qwen/Qwen2.5-Math-1.5B-Instruct --problems openai/gsm8k
        selfimprove run --problems mine.jsonl --set training.learning_rate=2e-4 --run mine
        selfimprove run --rounds 3 --ray auto --workers 8
        selfimprove run --recipe demo --track tensorboard --track wandb
    """
    from selfimprove.recipe.reading import overridden, typed_keys
    from selfimprove.runs.assemble import run_recipe
    from selfimprove.runs.reading import told_recipe
    from selfimprove.store.journal import journal_named
    from selfimprove.tracking import read_trackers, tracked
    from selfimprove.view import open_view

    name = name or (recipe.stem if recipe else DEFAULT)
    journal = journal_named(rounds_dir, name, "--run")
    typed = typed_settings(model, problems, settings or [])
    resumes = journal.is_bound and not recipe
    runtime, trackers = read_runtime(execution), read_trackers(track or [])
    mode = view_mode(as_json=as_json, plain=plain, quiet=quiet)
    with stoppable(resume_command(name, rounds_dir, rounds)), open_view(mode, sys.stdout) as view:
        journal.refuse_held()
        chosen = overridden(journal.recipe(), typed) if resumes else told_recipe(recipe, typed, view)
        journal.examine(chosen, typed_keys(recipe, typed))
        with tracked(trackers, journal, chosen, view) as emit:
            run_recipe(chosen, runtime, journal, rounds, emit, view=view)
    if mode not in ("json", "quiet"):
        typer.echo("\n".join(next_steps(journal, rounds_dir)))
