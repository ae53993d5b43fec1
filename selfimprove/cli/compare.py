"""`selfimprove compare`: several recipes on the same problems, as a table, JSON and a picture."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.completion import keys
from selfimprove.cli.completion import recipes as known_recipes
from selfimprove.cli.output import stoppable, table_width, write_text
from selfimprove.cli.parsing import MAX_ROUNDS, read_runtime, typed_settings, view_mode
from selfimprove.errors import UsageError
from selfimprove.escaping import folder_name

if TYPE_CHECKING:
    from selfimprove.compare.folder import Folder, Plan
    from selfimprove.compare.running import Comparing
    from selfimprove.recipe import Runtime
    from selfimprove.view import Mode

Vary = Annotated[
    list[str] | None,
    typer.Option(
        "--vary",
        metavar="KEY=VALUES",
        help="A recipe key and its values, as `section.key=V1,V2,…`.",
        rich_help_panel=opt.RECIPE,
        autocompletion=keys,
    ),
]
Recipes = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RECIPE…",
        help="Recipes to compare; without any, the command shows the results of --name so far.",
        autocompletion=known_recipes,
    ),
]
Budget = Annotated[
    str,
    typer.Option(
        "--budget",
        metavar="BUDGET",
        help="Budget per round: `rows=N` (sampled solutions), or `tokens=N` (sampled plus trained).",
    ),
]
Markdown = Annotated[
    Path | None,
    typer.Option("--markdown", metavar="FILE", help="Also write the tables to this file.", rich_help_panel=opt.OUTPUT),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print one event per line, then the results, as JSON.", rich_help_panel=opt.OUTPUT),
]


@opt.takes_execution()
def compare(
    *,
    recipes: Recipes = None,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=1, max=1000, help="Seeds per arm, numbered from 0.")
    ] = 1,
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", min=1, max=MAX_ROUNDS, help="Rounds of each run.")
    ] = 2,
    vary: Vary = None,
    budget: Budget = "",
    margin: Annotated[
        bool,
        typer.Option(
            "--margin",
            help="Also score the base's own answers to the held-out problems under each champion, without sampling.",
        ),
    ] = False,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Name of the comparison [default: from the recipes].")
    ] = "",
    model: opt.Model = "",
    problems: opt.Problems = "",
    settings: opt.Settings = None,
    markdown: Markdown = None,
    execution: opt.Execution,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the tables.", rich_help_panel=opt.OUTPUT)] = False,
    as_json: AsJson = False,
    plain: opt.Plain = False,
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Run recipes, or variants of one, on the same problems, each with one or more seeds, and compare them in tables.

    An arm is one recipe with one combination of the varied values. Each arm has one run per seed in `rounds/NAME/`,
    next to `results.json` and `compare.svg`; `report`, `status` and `verify` find these runs with
    `--rounds-dir rounds/NAME`. The same command resumes interrupted runs; with more seeds or arms, it extends the
    comparison. Without a recipe, `--name NAME` shows the results so far.

    With `--margin`, the command also compares how likely each champion finds the base model's own answers to the
    held-out problems. Good arms raise the likelihood of right answers more than that of wrong ones. Computing these
    likelihoods takes one forward pass per answer and model, so --margin is a quick way to choose learning rates. The
    option affects no decision.

    Writes rounds/NAME/ and the --markdown FILE.

    Exit codes: 0 all runs are done; 1 a run failed (the others continued); 2 invalid usage or input; 130 interrupted.

    Examples:

        selfimprove compare demo --vary prefixes.length=4,8,16,full --seeds 3
        selfimprove compare upft rft --seeds 5 --budget tokens=200000 --name upft-or-rft
        selfimprove compare rft --vary training.learning_rate=1e-5,1e-4,4e-4 --rounds 1 --margin
        selfimprove compare --name upft-or-rft --markdown table.md
        selfimprove compare upft-verified rft --model ./my-model --problems mine.jsonl --name mine
    """
    from selfimprove.compare.arms import read_arms
    from selfimprove.compare.budget import read_budget
    from selfimprove.compare.folder import Folder

    mode = view_mode(as_json=as_json, plain=plain, quiet=quiet)
    files = recipes or []
    common = typed_settings(model, problems, settings or [])
    if not files:
        if vary or common or budget or margin or not name:
            raise UsageError("no recipes given", "Name recipe files; --name NAME alone shows the results so far.")
        _show(_existing(rounds_dir, name), markdown, as_json)
        return
    arms, spend = read_arms(files, vary or [], common), read_budget(budget)
    name = name or f"compare-{'-'.join(dict.fromkeys(path.stem for path in files))}"[:100]
    folder = Folder(rounds_dir / folder_name(name, "--name"))
    runtime = read_runtime(execution)
    done = _run(folder, partial(folder.agreed, arms, seeds, rounds, spend), runtime, mode, margin=margin)
    _show(folder, markdown, as_json)
    raise typer.Exit(1 if done.failed else 0)


def _existing(rounds_dir: Path, name: str) -> Folder:
    from selfimprove.compare.folder import Folder
    from selfimprove.store.names import comparison_names

    folder = Folder(rounds_dir / folder_name(name, "--name"))
    if not folder.exists():
        names = ", ".join(comparison_names(rounds_dir)) or "none"
        raise UsageError(f"no comparison `{name}`", f"Comparisons in {rounds_dir}: {names}.")
    return folder


def _run(folder: Folder, agree: Callable[[], Plan], runtime: Runtime, mode: Mode, *, margin: bool) -> Plan:
    """Complete the runs under the comparison's lock, write its results and plot; returns the plan as it is then.

    What can be refused is refused before the folder is made.
    """
    from selfimprove.compare.outcome import read_outcome, results
    from selfimprove.compare.plot import picture
    from selfimprove.compare.running import score_runs
    from selfimprove.store.durable import write_atomically, write_json

    with stoppable(f"selfimprove {shlex.join(sys.argv[1:])}"), ExitStack() as stack:
        folder.holder().refuse_held()
        comparing = _comparing(folder, agree(), runtime, mode, stack, margin=margin)
        stack.enter_context(folder.holder().lock())
        plan = _complete(comparing, agree()) if comparing else agree()
        folder.write(plan)
        if comparing and margin:
            score_runs(comparing, plan)
        outcome = read_outcome(folder, plan)
        write_json(folder.results_path, results(outcome))
        write_atomically(folder.plot_path, picture(outcome))
        return plan


def _comparing(
    folder: Folder, plan: Plan, runtime: Runtime, mode: Mode, stack: ExitStack, *, margin: bool
) -> Comparing | None:
    """The comparison with its problems and model open until the stack ends; None, and no model, if nothing is owed."""
    from selfimprove.compare.running import Comparing, owed, refuse_hopeless, unscored
    from selfimprove.runs.assemble import opened
    from selfimprove.view import open_view

    if not owed(folder, plan) and not (margin and unscored(folder, plan)):
        return None
    comparing = Comparing(
        folder=folder,
        ground=stack.enter_context(opened(plan.arms[0].arm.recipe, runtime)),
        open_view=lambda: open_view(mode, sys.stdout),
        keep_models=runtime.keep_models,
    )
    refuse_hopeless(comparing, plan)
    return comparing


def _complete(comparing: Comparing, plan: Plan) -> Plan:
    """The plan with its runs complete."""
    from selfimprove.compare.running import fit_arms, make_runs

    plan = fit_arms(comparing, plan)
    comparing.folder.write(plan)
    return make_runs(comparing, plan)


def _show(folder: Folder, markdown_file: Path | None, as_json: bool) -> None:
    """Print the comparison's outcome, and write it as Markdown to a file if one is named."""
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
    console = Console(width=table_width())
    for section in sections(outcome):
        for part in section_tables(section):
            console.print(part)
