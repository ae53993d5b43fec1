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
from selfimprove.commands.compare import compare_app
from selfimprove.commands.doctor import doctors
from selfimprove.commands.runs import RunsFolder, runs
from selfimprove.commands.take import take
from selfimprove.commands.watch import watching
from selfimprove.errors import SelfImproveError, UsageError
from selfimprove.escaping import escape_text
from selfimprove.typed import chosen_recipe, read_mode, read_runtime, read_settings

if TYPE_CHECKING:
    from selfimprove.journal import Journal
    from selfimprove.recipe import Recipe
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
        int, typer.Option("--rounds", min=1, max=_MOST_ROUNDS, help="Rounds the run shall have in the end.")
    ] = 2,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="Recipe file (TOML).")] = None,
    name: Annotated[str, typer.Option("--run", help="Name of the run [default: the recipe's name].")] = "",
    model: Annotated[str, typer.Option("--model", help="Hub id, folder, .gguf file or `embedded:…`.")] = "",
    problems: Annotated[str, typer.Option("--problems", help="Hub dataset, local file or `reasoning-gym:…`.")] = "",
    settings: Annotated[list[str] | None, typer.Option("--set", help="A recipe key, as `section.key=value`.")] = None,
    engine: Annotated[str, typer.Option("--engine", help="auto, transformers or vllm.")] = "auto",
    device: Annotated[str, typer.Option("--device", help="Torch device.")] = "auto",
    threads: Annotated[int, typer.Option("--threads", help="Threads of the model; 0: all usable cores.")] = 0,
    ray: Annotated[str, typer.Option("--ray", help="Sample and train on a Ray cluster: `auto` or HOST:PORT.")] = "",
    workers: Annotated[int, typer.Option("--workers", help="Samplers on the cluster; 0: one per GPU or node.")] = 0,
    checker_workers: Annotated[int, typer.Option("--checker-workers", help="0: one per usable core.")] = 0,
    train_processes: Annotated[int, typer.Option("--train-processes", help="Processes that train together.")] = 1,
    sharding: Annotated[str, typer.Option("--sharding", help="none, or fsdp: frozen weights cut over them.")] = "none",
    tensor_parallel: Annotated[int, typer.Option("--tensor-parallel", help="GPUs per copy of the model (vllm).")] = 1,
    data_parallel: Annotated[int, typer.Option("--data-parallel", help="Copies of the model (vllm).")] = 1,
    trust_remote_code: Annotated[bool, typer.Option("--trust-remote-code", help="Run the model's code.")] = False,
    keep_models: Annotated[bool, typer.Option("--keep-models", help="Keep every round's merged model.")] = False,
    track: Annotated[
        list[str] | None, typer.Option("--track", help="tensorboard, wandb, trackio or mlflow; may be repeated.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one event a line, as JSON.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Plain lines also on a terminal.")] = False,
    rounds_dir: RunsFolder = Path("rounds"),
) -> None:
    """Run rounds until there are ROUNDS of them; the same command goes on after an interruption.

    Examples:

        selfimprove run --recipe recipes/demo.toml --rounds 2

        selfimprove run --rounds 3 --model Qwen/Qwen2.5-Math-1.5B-Instruct --problems openai/gsm8k

        selfimprove run --problems mine.jsonl --set training.learning_rate=1e-4 --run mine

        selfimprove run --rounds 3 --ray auto --workers 8

        selfimprove run --recipe recipes/demo.toml --track tensorboard --track wandb
    """
    from selfimprove.journal import journal_named
    from selfimprove.stopping import EXIT_CODE, heard
    from selfimprove.tracking import read_trackers, tracked
    from selfimprove.view import open_view
    from selfimprove.wiring import run_recipe

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
        with heard(), open_view(mode, sys.stdout) as view, tracked(trackers, journal, chosen, view) as emit:
            run_recipe(chosen, runtime, journal, rounds, emit)
    except KeyboardInterrupt:
        again = f"selfimprove run --run {shlex.quote(name)} --rounds {rounds}"
        again += f" --rounds-dir {shlex.quote(str(rounds_dir))}" if rounds_dir != Path("rounds") else ""
        sys.stderr.write(f"selfimprove: interrupted; what is done is kept. Go on with: {again}\n")
        raise typer.Exit(EXIT_CODE) from None


@app.command()
def plan(
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=_MOST_ROUNDS, help="Rounds to plan for.")] = 2,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="Recipe file (TOML).")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="A recipe key, as `section.key=value`.")] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure rates here first, in under a minute.")
    ] = False,
    engine: Annotated[str, typer.Option("--engine", help="auto, transformers or vllm.")] = "auto",
    device: Annotated[str, typer.Option("--device", help="Torch device.")] = "auto",
    threads: Annotated[int, typer.Option("--threads", help="Threads of the model; 0: all usable cores.")] = 0,
) -> None:
    """Show what a run would cost at most, and the smallest gain its gate can see, before anything is spent.

    With --calibrate the real engine and trainer are tried, and the cost is told as tokens, time, memory and disk.

    Example:

        selfimprove plan --recipe recipes/demo.toml --set problems.heldout_size=1000
    """
    from selfimprove.plan import plan_lines
    from selfimprove.recipe import read_recipe

    chosen = read_recipe(recipe, read_settings(settings or []))
    for line in plan_lines(chosen, rounds):
        typer.echo(line)
    if calibrate:
        from selfimprove.commands.plan import measured_plan

        typer.echo("")
        for line in measured_plan(chosen, read_runtime(engine=engine, device=device, threads=threads), rounds):
            typer.echo(line)


@app.command()
def bench(
    only: Annotated[list[str] | None, typer.Option("--only", help="tokens, trainer, engines, overhead, ray.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the figures to this file, as JSON.")] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Repeats of each row.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="Little work: shows that it runs, not how fast.")] = False,
    device: Annotated[str, typer.Option("--device", help="Torch device.")] = "cpu",
    threads: Annotated[int, typer.Option("--threads", help="Threads of the model; 0: all usable cores.")] = 0,
) -> None:
    """Measure this program on this machine, beside others and beside what the machine can do.

    Example:

        selfimprove bench --only tokens --repeats 1 --out tokens.json
    """
    from selfimprove.bench.suite import Scale
    from selfimprove.commands.bench import bench as measure

    measure(only or [], out, Scale(repeats, quick, read_runtime(device=device, threads=threads)), typer.echo)


@app.command()
def check(
    answer: Annotated[str | None, typer.Argument(help="What a model wrote.")] = None,
    gold: Annotated[str | None, typer.Argument(help="The reference answer.")] = None,
    mode: Annotated[
        str, typer.Option("--mode", help="boxed, marked or last: where the answer is looked for.")
    ] = "last",
    explain: Annotated[bool, typer.Option("--explain", help="Show candidate, normal forms, types and stage.")] = False,
    cases: Annotated[
        Path | None, typer.Option("--cases", help="Labelled rows (JSONL) to score the checker on.")
    ] = None,
    wrong_rows: Annotated[Path | None, typer.Option("--wrong", help="Write the rows it got wrong here.")] = None,
    references: Annotated[str, typer.Option("--references", help="Problems whose references to test.")] = "",
    workers: Annotated[int, typer.Option("--workers", min=0, help="Checker processes; 0: one per core.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check an ANSWER against a GOLD reference; or score the checker on labelled rows.

    Leaves with 0 if the answer is correct, with 1 if it isn't.

    Examples:

        selfimprove check 'so x = \\boxed{1/2}' 0.5 --explain

        selfimprove check --cases cases.jsonl --json
    """
    from selfimprove import verdicts
    from selfimprove.problem import load_problems
    from selfimprove.recipe import Runtime, read_recipe

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
    kills: Annotated[int, typer.Option("--kills", min=1, help="How many kills.")] = 30,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the kill plan.")] = 0,
    model: Annotated[str, typer.Option("--model", help="`tiny` (made on the spot) or any other.")] = "tiny",
    keep: Annotated[Path | None, typer.Option("--keep", help="Work in this folder and keep it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    rounds_dir: RunsFolder = Path("rounds"),
) -> None:
    """Test on this disk that a run can be killed at any time: leaves with 0 if all records are equal, else with 1.

    Example:

        selfimprove selftest --chaos --kills 200
    """
    if not chaos:
        raise UsageError("what is to be tested?", "Type: selfimprove selftest --chaos")
    from selfimprove.selftest.command import chaos_command
    from selfimprove.stopping import EXIT_CODE, heard

    try:
        with heard():
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
