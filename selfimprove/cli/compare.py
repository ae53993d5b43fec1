"""`selfimprove compare`: several recipes on the same problems, as a table, JSON and a picture."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.completion import keys
from selfimprove.cli.completion import recipes as known_recipes
from selfimprove.cli.output import write_text
from selfimprove.cli.parsing import read_runtime
from selfimprove.errors import UsageError
from selfimprove.text.escaping import folder_name

if TYPE_CHECKING:
    from selfimprove.compare.folder import Folder, Plan
    from selfimprove.recipe import Runtime
    from selfimprove.view import Mode

WIDTH = 120
"""Columns of a table that no terminal shows."""
Vary = Annotated[
    list[str] | None,
    typer.Option(
        "--vary",
        metavar="KEY=VALUES",
        help="A recipe key and its values, as `section.key=V1,V2,…`.",
        autocompletion=keys,
    ),
]


def compare(
    recipes: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RECIPE…", help="Recipes; none: show what is there.", autocompletion=known_recipes),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=1, max=1000, help="Seeds of each arm: 0, 1, ….")
    ] = 1,
    rounds: Annotated[int, typer.Option("--rounds", metavar="N", min=1, max=9999, help="Rounds of each run.")] = 2,
    vary: Vary = None,
    budget: Annotated[
        str,
        typer.Option(
            "--budget", metavar="BUDGET", help="What a round may spend: `rows=N`, or `tokens=N` sampled and trained."
        ),
    ] = "",
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Name of the comparison [default: from the recipes].")
    ] = "",
    settings: opt.Settings = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write the table to this file too.")
    ] = None,
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
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the table alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line, then the figures, as JSON.")] = False,
    plain: opt.Plain = False,
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Run several recipes on the same problems, each with K seeds, and tell them apart in one table.

    Each recipe with each combination of the varied values is an arm. Every arm and seed is a run in
    `rounds/NAME/`, where `report`, `status` and `verify` find it with `--rounds-dir rounds/NAME`; `results.json` and
    `compare.svg` stand beside them. The same command goes on after an interruption; more seeds and arms can be asked
    for. Without a recipe, `--name NAME` shows what is there.

    Writes rounds/NAME/ and FILE of --markdown.

    Exit codes: 0 all runs are made; 1 one failed, and the others went on; 2 it can't be done as asked; 130 interrupted.

    Examples:

        selfimprove compare demo --vary prefixes.length=4,8,16,full --seeds 3
        selfimprove compare upft rft --seeds 5 --budget tokens=200000 --name upft-or-rft
        selfimprove compare --name upft-or-rft --markdown table.md
    """
    from selfimprove.compare.arms import read_arms
    from selfimprove.compare.budget import read_budget
    from selfimprove.compare.folder import Folder

    mode: Mode = "json" if as_json else "quiet" if quiet else "plain" if plain else "auto"
    files = recipes or []
    if not files:
        if vary or settings or budget or not name:
            raise UsageError("which recipes?", "Name recipe files; --name NAME alone shows what is there.")
        _tell(_there(rounds_dir, name), markdown, as_json)
        return
    arms, spend = read_arms(files, vary or [], settings or []), read_budget(budget)
    folder = Folder(rounds_dir / folder_name(name or _name_for(files), "--name"))
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
    made = _make(folder, partial(folder.agreed, arms, seeds, rounds, spend), runtime, mode)
    _tell(folder, markdown, as_json)
    raise typer.Exit(1 if made.failed else 0)


def _name_for(files: Sequence[Path]) -> str:
    """A name that the same recipe files give again."""
    return f"compare-{'-'.join(dict.fromkeys(path.stem for path in files))}"[:100]


def _there(rounds_dir: Path, name: str) -> Folder:
    from selfimprove.compare.folder import Folder, comparisons_in

    folder = Folder(rounds_dir / folder_name(name, "--name"))
    if not folder.exists():
        there = ", ".join(comparisons_in(rounds_dir)) or "none"
        raise UsageError(f"no comparison `{name}`", f"Comparisons in {rounds_dir}: {there}.")
    return folder


def _make(folder: Folder, agree: Callable[[], Plan], runtime: Runtime, mode: Mode) -> Plan:
    """Make what is owed and the files that tell it; leaves with 130 if it is interrupted."""
    from selfimprove.compare.outcome import read_outcome, results
    from selfimprove.compare.plot import picture
    from selfimprove.host.stopping import EXIT_CODE, heard
    from selfimprove.store.durable import interrupt, write_atomically, write_json

    try:
        with heard(interrupt), folder.holder().lock():
            plan = _made(folder, agree(), runtime, mode)
            outcome = read_outcome(folder, plan)
            write_json(folder.results_path, results(outcome))
            write_atomically(folder.plot_path, picture(outcome))
            return plan
    except KeyboardInterrupt:
        again = f"selfimprove {shlex.join(sys.argv[1:])}"
        sys.stderr.write(f"selfimprove: interrupted; what is done is kept. Go on with: {again}\n")
        raise typer.Exit(EXIT_CODE) from None


def _made(folder: Folder, plan: Plan, runtime: Runtime, mode: Mode) -> Plan:
    """The plan with its runs made; nothing is loaded where nothing is owed."""
    from selfimprove.compare.running import Comparing, fit_arms, make_runs, owed
    from selfimprove.runs.assemble import opened
    from selfimprove.view import open_view

    if not owed(folder, plan):
        folder.write(plan)
        return plan
    with opened(plan.arms[0].arm.recipe, runtime) as shared:
        comparing = Comparing(
            folder=folder,
            ground=shared,
            open_view=lambda: open_view(mode, sys.stdout),
            keep_models=runtime.keep_models,
        )
        plan = fit_arms(comparing, plan)
        folder.write(plan)
        return make_runs(comparing, plan)


def _tell(folder: Folder, markdown_file: Path | None, as_json: bool) -> None:
    """The outcome of what is there, on the terminal, and as Markdown in a file if one is named."""
    from rich.console import Console

    from selfimprove.compare.outcome import read_outcome, results
    from selfimprove.compare.tables import markdown, sections
    from selfimprove.report import section_tables

    outcome = read_outcome(folder, folder.plan())
    if markdown_file:
        write_text(markdown_file, markdown(outcome), "--markdown")
    if as_json:
        typer.echo(json.dumps({"event": "compared", **results(outcome)}))
        return
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    for section in sections(outcome):
        for part in section_tables(section):
            console.print(part)
