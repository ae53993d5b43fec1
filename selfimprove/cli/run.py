"""`selfimprove run`: rounds until there are as many as asked for."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.completion import runs as known_runs
from selfimprove.cli.parsing import MOST_ROUNDS, chosen_recipe, read_runtime

if TYPE_CHECKING:
    from selfimprove.recipe import Recipe
    from selfimprove.store.journal import Journal
    from selfimprove.view import Mode as ViewMode


def run(
    rounds: Annotated[
        int,
        typer.Option("--rounds", metavar="N", min=1, max=MOST_ROUNDS, help="Rounds the run shall have in the end."),
    ] = 2,
    recipe: opt.Recipe = None,
    name: Annotated[
        str,
        typer.Option("--run", metavar="RUN", help="The run's name [default: the recipe's].", autocompletion=known_runs),
    ] = "",
    model: opt.Model = "",
    problems: opt.Problems = "",
    settings: opt.Settings = None,
    engine: opt.Engine = "auto",
    device: opt.Device = "auto",
    threads: opt.Threads = 0,
    ray: opt.Ray = "",
    workers: opt.Workers = 0,
    checker_workers: opt.CheckerWorkers = 0,
    train_processes: opt.TrainProcesses = 1,
    sharding: opt.Sharding = "none",
    tensor_parallel: opt.TensorParallel = 1,
    data_parallel: opt.DataParallel = 1,
    trust_remote_code: opt.TrustRemoteCode = False,
    keep_models: opt.KeepModels = False,
    track: opt.Track = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print nothing but errors.", rich_help_panel=opt.OUTPUT)
    ] = False,
    as_json: opt.EventsAsJson = False,
    plain: opt.Plain = False,
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Run rounds until there are N of them; the same command goes on after an interruption.

    What is durable is never made again, and a run that has all its rounds says that nothing is owed. A run that exists
    goes on by its name alone; another recipe is refused by the keys that differ.

    Writes rounds/RUN/ (rounds/README.md is its format) and, once per model, the cache in $SELFIMPROVE_CACHE.

    Exit codes: 0 the rounds and the sealed finish are done; 1 a stage ended without a usable result; 2 it can't be done
    as asked; 130 interrupted.

    Examples:

        selfimprove run --recipe demo --rounds 2
        selfimprove run --rounds 3 --model Qwen/Qwen2.5-Math-1.5B-Instruct --problems openai/gsm8k
        selfimprove run --problems mine.jsonl --set training.learning_rate=1e-4 --run mine
        selfimprove run --rounds 3 --ray auto --workers 8
        selfimprove run --recipe demo --track tensorboard --track wandb
    """
    from selfimprove.host.stopping import EXIT_CODE, heard
    from selfimprove.runs.assemble import run_recipe
    from selfimprove.store.durable import interrupt
    from selfimprove.store.journal import journal_named
    from selfimprove.tracking import read_trackers, tracked
    from selfimprove.view import open_view

    name = name or (recipe.stem if recipe else "default")
    journal = journal_named(rounds_dir, name, "--run")
    chosen = _recipe(journal, recipe, model, problems, settings or [])
    journal.examine(chosen)
    runtime = read_runtime(
        engine=engine,
        device=device,
        threads=threads,
        checker_workers=checker_workers,
        keep_models=keep_models,
        ray=ray,
        workers=workers,
        train_processes=train_processes,
        sharding=sharding,
        tensor_parallel=tensor_parallel,
        data_parallel=data_parallel,
        trust_remote_code=trust_remote_code,
    )
    trackers = read_trackers(track or [])
    mode: ViewMode = "json" if as_json else "quiet" if quiet else "plain" if plain else "auto"
    try:
        with heard(interrupt), open_view(mode, sys.stdout) as view, tracked(trackers, journal, chosen, view) as emit:
            run_recipe(chosen, runtime, journal, rounds, emit)
    except KeyboardInterrupt:
        again = f"selfimprove run --run {shlex.quote(name)} --rounds {rounds}"
        again += f" --rounds-dir {shlex.quote(str(rounds_dir))}" if rounds_dir != Path("rounds") else ""
        sys.stderr.write(f"selfimprove: interrupted; what is done is kept. Go on with: {again}\n")
        raise typer.Exit(EXIT_CODE) from None


def _recipe(journal: Journal, path: Path | None, model: str, problems: str, settings: list[str]) -> Recipe:
    """The recipe that was typed; a run that exists is gone on with by its own, if nothing was."""
    if path is None and not (model or problems or settings) and journal.is_bound:
        return journal.recipe()
    return chosen_recipe(path, model, problems, settings)
