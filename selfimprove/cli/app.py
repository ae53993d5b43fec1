"""The command line: reads what was typed, chooses the parts, hands over. No logic lives here.

Nothing heavy is imported until a command needs it, so `selfimprove --help` answers at once. A `SelfImproveError` is
printed without a traceback, as one line and its hint, and gives the exit code (2: what was asked for can't be done as
asked); what typer refuses is printed alike. Ctrl-C and SIGTERM give 130 and the command that goes on.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfimprove import __version__
from selfimprove.cli import options as opt
from selfimprove.cli.compare import compare_app
from selfimprove.cli.completion import runs as known_runs
from selfimprove.cli.doctor import doctors
from selfimprove.cli.parsing import chosen_recipe, read_mode, read_runtime
from selfimprove.cli.runs import runs
from selfimprove.cli.take import take
from selfimprove.cli.watch import watching
from selfimprove.errors import SelfImproveError, UsageError
from selfimprove.text.escaping import escape_text

if TYPE_CHECKING:
    from selfimprove.recipe import Recipe
    from selfimprove.store.journal import Journal
    from selfimprove.view import Mode as ViewMode

app = typer.Typer(
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Make a language model better at reasoning with its own samples, in rounds accepted or rejected by evidence.",
)

_MOST_ROUNDS = 9999
"""A round's folder is named by four digits."""
_MESSAGE = 1000
"""Characters of an error and of its hint."""
_ALL_PROBLEMS = {"train_size": 0, "heldout_size": 1, "sealed_size": 1}
app.add_typer(runs)
app.add_typer(compare_app)
app.add_typer(doctors)
app.add_typer(watching)
app.add_typer(take)


def main() -> None:
    """Run the command line; leaves the process with the command's exit code."""
    # OpenMP threads that spin while they wait cost a factor of ten as soon as anything else wants a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = app(prog_name="selfimprove", standalone_mode=False)
    except SelfImproveError as error:
        _tell(error.message, error.hint)
        code = error.exit_code
    except typer.TyperException as error:
        path = getattr(getattr(error, "ctx", None), "command_path", "selfimprove")
        _tell(error.format_message(), f"Correct it; {path} --help lists what can be typed.")
        code = error.exit_code
    raise SystemExit(code or 0)


def _tell(message: str, hint: str) -> None:
    """The error on one line, and its hint on another; both may quote a file, so they are escaped."""
    if message:  # typer's own help, asked for by typing nothing, has been printed and leaves none
        lines = [f"selfimprove: {escape_text(message, _MESSAGE)}", escape_text(hint, _MESSAGE)]
        sys.stderr.write("".join(f"{line}\n" for line in lines if line))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"selfimprove {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


@app.command()
def run(
    rounds: Annotated[
        int,
        typer.Option("--rounds", metavar="N", min=1, max=_MOST_ROUNDS, help="Rounds the run shall have in the end."),
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

        selfimprove run --recipe recipes/demo.toml --rounds 2
        selfimprove run --rounds 3 --model Qwen/Qwen2.5-Math-1.5B-Instruct --problems openai/gsm8k
        selfimprove run --problems mine.jsonl --set training.learning_rate=1e-4 --run mine
        selfimprove run --rounds 3 --ray auto --workers 8
        selfimprove run --recipe recipes/demo.toml --track tensorboard --track wandb
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


@app.command()
def plan(
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", min=1, max=_MOST_ROUNDS, help="Rounds to plan for.")
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

        selfimprove plan --recipe recipes/demo.toml
        selfimprove plan --recipe recipes/demo.toml --rounds 10 --set problems.heldout_size=1000
        selfimprove plan --recipe recipes/demo.toml --calibrate
    """
    from selfimprove.plan.forecast import plan_lines
    from selfimprove.recipe.reading import read_recipe, read_settings

    chosen = read_recipe(recipe, read_settings(settings or []))
    for line in plan_lines(chosen, rounds):
        typer.echo(line)
    if calibrate:
        from selfimprove.cli.plan import measured_plan

        typer.echo("")
        for line in measured_plan(chosen, read_runtime(engine=engine, device=device, threads=threads), rounds):
            typer.echo(line)


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
    device: opt.Device = "cpu",
    threads: opt.Threads = 0,
) -> None:
    """Measure this program on this machine, beside others and beside what the machine can do.

    A row whose package is missing says which, and has no figure. docs/performance.md explains the rows.

    Writes FILE of --out, after each part.

    Exit codes: 0 measured; 2 it can't be done as asked.

    Examples:

        selfimprove bench --only tokens --repeats 1 --out tokens.json
        selfimprove bench --quick --repeats 1
    """
    from selfimprove.bench.suite import Scale
    from selfimprove.cli.bench import bench as measure

    measure(only or [], out, Scale(repeats, quick, read_runtime(device=device, threads=threads)), typer.echo)


@app.command()
def check(
    answer: Annotated[str | None, typer.Argument(metavar="ANSWER", help="What a model wrote.")] = None,
    gold: Annotated[str | None, typer.Argument(metavar="GOLD", help="The reference answer.")] = None,
    mode: Annotated[
        str, typer.Option("--mode", metavar="MODE", help="boxed, marked or last: where the answer is looked for.")
    ] = "last",
    explain: Annotated[bool, typer.Option("--explain", help="Show candidate, normal forms, types and stage.")] = False,
    cases: Annotated[
        Path | None, typer.Option("--cases", metavar="FILE", help="Labelled rows (JSONL) to score the checker on.")
    ] = None,
    wrong_rows: Annotated[
        Path | None, typer.Option("--wrong", metavar="FILE", help="With --cases: write the rows it got wrong here.")
    ] = None,
    references: Annotated[
        str, typer.Option("--references", metavar="SOURCE", help="Problems whose references to test.")
    ] = "",
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=0, help="Checker processes; 0: one per usable core.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge an ANSWER against a GOLD reference, as a run does; or score the checker on labelled rows or references.

    No code from an answer is run, and none can hang it.

    Writes FILE of --wrong.

    Exit codes: 0 the answer is correct, or the rows were scored; 1 it isn't; 2 it can't be done as asked.

    Examples:

        selfimprove check 'so x = \\boxed{1/2}' 0.5 --explain
        selfimprove check --cases tests/cases/answers.jsonl
        selfimprove check --references mine.jsonl
    """
    from selfimprove.cli import check as verdicts
    from selfimprove.problem import load_problems
    from selfimprove.recipe import Runtime
    from selfimprove.recipe.reading import read_recipe

    searched = read_mode(mode)
    cores = Runtime(threads=workers).usable_threads()
    if cases:
        typer.echo(verdicts.cases_text(cases, cores, searched, wrong_rows, as_json))
    elif references:
        sources = read_recipe(None, {"problems": {"train": references, **_ALL_PROBLEMS}}).problems
        typer.echo(verdicts.references_text(load_problems(sources), cores))
    elif answer is None or gold is None:
        raise UsageError("what is to be checked?", "Type: selfimprove check ANSWER GOLD, or --cases FILE.jsonl")
    else:
        correct, text = verdicts.verdict_text(answer, gold, searched, explain, as_json)
        typer.echo(text)
        raise typer.Exit(0 if correct else 1)


@app.command()
def selftest(
    chaos: Annotated[bool, typer.Option("--chaos", help="Kill small real runs and compare their records.")] = False,
    kills: Annotated[int, typer.Option("--kills", metavar="N", min=1, help="How many kills.")] = 30,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the kill plan.")] = 0,
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", help="`tiny` (made on the spot) or any other.")
    ] = "tiny",
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="FOLDER", help="Work in this folder and keep it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Test on this disk that a run can be killed at any time and ends with the records of one that was not.

    Writes a temporary folder under --rounds-dir and removes it, unless the test fails or --keep names another.

    Exit codes: 0 all records are equal; 1 they aren't; 2 it can't be done as asked; 130 interrupted.

    Examples:

        selfimprove selftest --chaos
        selfimprove selftest --chaos --kills 200 --seed 1
    """
    if not chaos:
        raise UsageError("what is to be tested?", "Type: selfimprove selftest --chaos")
    from selfimprove.host.stopping import EXIT_CODE, heard
    from selfimprove.selftest.command import chaos_command
    from selfimprove.store.durable import interrupt

    try:
        with heard(interrupt):
            passed = chaos_command(kills, seed, model, rounds_dir, keep, as_json)
    except KeyboardInterrupt:
        sys.stderr.write("selfimprove: interrupted\n")
        raise typer.Exit(EXIT_CODE) from None
    raise typer.Exit(0 if passed else 1)


def _recipe(journal: Journal, path: Path | None, model: str, problems: str, settings: list[str]) -> Recipe:
    """The recipe that was typed; a run that exists is gone on with by its own, if nothing was."""
    if path is None and not (model or problems or settings) and journal.recipe_path.exists():
        return journal.recipe()
    return chosen_recipe(path, model, problems, settings)
