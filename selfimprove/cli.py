"""The command line: reads what was typed, chooses the parts, hands over. No logic lives here.

Nothing heavy is imported until a command needs it, so `selfimprove --help` answers at once. A `SelfImproveError` is
printed without a traceback and gives the exit code (2: what was asked for can't be done as asked); Ctrl-C and SIGTERM
give 130 and the command that goes on.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selfimprove import __version__
from selfimprove.errors import SelfImproveError, UsageError

if TYPE_CHECKING:
    from selfimprove.answer import Mode
    from selfimprove.journal import Journal
    from selfimprove.recipe import Recipe, Runtime
    from selfimprove.view import Mode as ViewMode

app = typer.Typer(
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Make a language model better at reasoning with its own samples, in rounds accepted or rejected by evidence.",
)

_ALL_PROBLEMS = {"train_size": 0, "heldout_size": 1, "sealed_size": 1}
RunsFolder = Annotated[Path, typer.Option("--rounds-dir", help="Folder that holds the runs.")]


def main() -> None:
    """Run the command line; leaves the process with the command's exit code."""
    # OpenMP threads that spin while they wait cost a factor of ten as soon as anything else wants a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except SelfImproveError as error:
        sys.stderr.write(f"selfimprove: {error}\n")
        raise SystemExit(error.exit_code) from None


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
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds the run shall have in the end.")] = 2,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="Recipe file (TOML).")] = None,
    name: Annotated[str, typer.Option("--run", help="Name of the run [default: the recipe's name].")] = "",
    model: Annotated[str, typer.Option("--model", help="Hub id, folder, .gguf file or `embedded:…`.")] = "",
    problems: Annotated[str, typer.Option("--problems", help="Hub dataset, local file or `reasoning-gym:…`.")] = "",
    settings: Annotated[list[str] | None, typer.Option("--set", help="A recipe key, as `section.key=value`.")] = None,
    engine: Annotated[str, typer.Option("--engine", help="auto, transformers or vllm.")] = "auto",
    device: Annotated[str, typer.Option("--device", help="Torch device.")] = "auto",
    threads: Annotated[int, typer.Option("--threads", help="Threads of the model; 0: all usable cores.")] = 0,
    checker_workers: Annotated[int, typer.Option("--checker-workers", help="0: one per usable core.")] = 0,
    trust_remote_code: Annotated[bool, typer.Option("--trust-remote-code", help="Run the model's code.")] = False,
    keep_models: Annotated[bool, typer.Option("--keep-models", help="Keep every round's merged model.")] = False,
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
    """
    from selfimprove.stopping import EXIT_CODE, heard
    from selfimprove.view import open_view

    name = name or (recipe.stem if recipe else "default")
    journal = _journal(rounds_dir, name)
    chosen = _recipe(journal, recipe, model, problems, settings or [])
    runtime = _runtime(
        engine=engine,
        device=device,
        threads=threads,
        checker_workers=checker_workers,
        trust_remote_code=trust_remote_code,
        keep_models=keep_models,
    )
    mode: ViewMode = "json" if as_json else "quiet" if quiet else "plain" if plain else "auto"
    try:
        with heard(), open_view(mode, sys.stdout) as view:
            _run(chosen, runtime, journal, rounds, view)
    except KeyboardInterrupt:
        again = f"selfimprove run --run {shlex.quote(name)} --rounds {rounds}"
        again += f" --rounds-dir {shlex.quote(str(rounds_dir))}" if rounds_dir != Path("rounds") else ""
        sys.stderr.write(f"selfimprove: interrupted; what is done is kept. Go on with: {again}\n")
        raise typer.Exit(EXIT_CODE) from None


@app.command()
def plan(
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds to plan for.")] = 2,
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

    chosen = read_recipe(recipe, _overrides(settings or []))
    for line in plan_lines(chosen, rounds):
        typer.echo(line)
    if calibrate:
        from selfimprove.commands.plan import measured_plan

        typer.echo("")
        for line in measured_plan(chosen, _runtime(engine=engine, device=device, threads=threads), rounds):
            typer.echo(line)


@app.command()
def status(
    name: Annotated[str, typer.Argument(metavar="[RUN]", help="One run; all of them if left out.")] = "",
    rounds_dir: RunsFolder = Path("rounds"),
) -> None:
    """Show where each run stands, one line a run."""
    from selfimprove.report import status_lines
    from selfimprove.report.records import read_run, read_runs

    for line in status_lines([read_run(rounds_dir, name)] if name else read_runs(rounds_dir)):
        typer.echo(line)


@app.command()
def report(
    name: Annotated[str, typer.Argument(metavar="[RUN]", help="The run; may be left out if there is one.")] = "",
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write Markdown to this file.")] = None,
    rounds_dir: RunsFolder = Path("rounds"),
) -> None:
    """Show a run's outcome, rounds, decisions and costs as tables."""
    from rich.console import Console

    from selfimprove.report import report_markdown, report_tables
    from selfimprove.report.records import read_run

    records = read_run(rounds_dir, name)
    if markdown:
        markdown.write_text(report_markdown(records), encoding="utf-8")
        return
    console = Console()
    for table in report_tables(records):
        console.print(table)


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

    measure(only or [], out, Scale(repeats, quick, _runtime(device=device, threads=threads)), typer.echo)


@app.command()
def prune(
    name: Annotated[str, typer.Argument(metavar="RUN", help="The run.")], rounds_dir: RunsFolder = Path("rounds")
) -> None:
    """Delete a run's merged models and scratch: what can be rebuilt from base and adapters, and is when it is needed.

    Example:

        selfimprove prune demo
    """
    from selfimprove.pruning import prune as prune_run
    from selfimprove.space import told

    pruned = prune_run(_existing(rounds_dir, name))
    for gone in pruned:
        typer.echo(f"deleted {gone.path} ({told(gone.size)})")
    typer.echo(f"{sum(gone.size for gone in pruned):,} bytes freed")


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(metavar="RUN", help="The run.")],
    to: Annotated[int, typer.Option("--to", min=0, help="An accepted round; 0 is the base model.")],
    rounds_dir: RunsFolder = Path("rounds"),
) -> None:
    """Make an earlier accepted round the champion again; appends a record and deletes nothing.

    Example:

        selfimprove rollback demo --to 1
    """
    journal = _existing(rounds_dir, name)
    with journal.lock():
        champion = journal.roll_back(to)
    typer.echo(f"The champion of run {name} is {f'round {champion.number}' if champion.number else 'the base model'}.")


@app.command()
def verify(
    name: Annotated[str, typer.Argument(metavar="RUN", help="The run.")],
    rounds_dir: RunsFolder = Path("rounds"),
    as_json: Annotated[bool, typer.Option("--json", help="Print every check as JSON.")] = False,
) -> None:
    """Check every hash and fingerprint of a run, and redo its decisions and figures from the verdicts alone.

    Leaves with 0 if all hold, with 1 if one doesn't. Needs neither models nor problems.

    Example:

        selfimprove verify example
    """
    from dataclasses import asdict

    from selfimprove.verifying import faults_in
    from selfimprove.verifying import verify as verify_run

    findings = verify_run(_existing(rounds_dir, name), _fingerprint)
    faults = faults_in(findings)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in faults:
            typer.echo(f"{finding.where}: {finding.what}: {finding.fault}")
        typer.echo(f"{len(findings)} checks, {len(faults)} at fault")
    raise typer.Exit(1 if faults else 0)


def _fingerprint(model: Path) -> str:
    from selfimprove.models.weights import fingerprint_folder

    return fingerprint_folder(model)


def _existing(rounds_dir: Path, name: str) -> Journal:
    """The journal of a run that is there; `UsageError` lists those there are."""
    from selfimprove.journal import Journal
    from selfimprove.report.records import read_run

    return Journal(read_run(rounds_dir, name).folder)


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

    searched = _mode(mode)
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


def _mode(text: str) -> Mode:
    modes: dict[str, Mode] = {"boxed": "boxed", "marked": "marked", "last": "last"}
    if text not in modes:
        raise UsageError(f"--mode {text}: not a mode", f"Type one of {', '.join(modes)}.")
    return modes[text]


def _run(recipe: Recipe, runtime: Runtime, journal: Journal, rounds: int, view: Any) -> None:  # noqa: ANN401 - an Emit
    from selfimprove.checking import Checker
    from selfimprove.journal import Identity
    from selfimprove.loop import run_rounds
    from selfimprove.models import default_cache, resolve_model
    from selfimprove.problem import load_problems
    from selfimprove.wiring import parts_of

    problems = load_problems(recipe.problems)
    base = resolve_model(recipe.model, default_cache(), runtime.trust_remote_code)
    identity = Identity(base.fingerprint, problems.fingerprint())
    with Checker(workers=runtime.checker_workers or runtime.usable_threads()) as checker:
        run_rounds(recipe, problems, identity, parts_of(recipe, base, runtime, checker), journal, rounds, view)


def _journal(rounds_dir: Path, name: str) -> Journal:
    from selfimprove.journal import Journal

    if not name or name.startswith(".") or any(sign in name for sign in "/\\\0") or len(os.fsencode(name)) > 200:
        raise UsageError(f"--run {name!r}: not a folder's name", "Use letters, digits, `-` and `_`.")
    return Journal(rounds_dir / name)


def _recipe(journal: Journal, path: Path | None, model: str, problems: str, settings: list[str]) -> Recipe:
    """The recipe that was typed; a run that exists is gone on with by its own, if nothing was."""
    from selfimprove.recipe import read_recipe

    if path is None and not (model or problems or settings) and journal.recipe_path.exists():
        return journal.recipe()
    named = [f"model.name={json.dumps(model)}"] if model else []
    named += [f"problems.train={json.dumps(problems)}"] if problems else []
    return read_recipe(path, _overrides([*named, *settings]))


def _overrides(settings: list[str]) -> dict[str, dict[str, Any]]:
    overrides: dict[str, dict[str, Any]] = {}
    for setting in settings:
        section, key, value = _setting(setting)
        overrides.setdefault(section, {})[key] = value
    return overrides


def _setting(text: str) -> tuple[str, str, Any]:
    """`section.key=value` taken apart; the value is TOML, or plain text if it isn't."""
    dotted, equals, value = text.partition("=")
    section, dot, key = dotted.strip().partition(".")
    if not equals or not dot:
        raise UsageError(f"--set {text!r}: not of the form section.key=value", "Such as training.rank=8")
    try:
        return section, key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return section, key, value


def _runtime(**options: Any) -> Runtime:  # noqa: ANN401 - what was typed, validated here
    from pydantic import ValidationError

    from selfimprove.recipe import Runtime

    try:
        return Runtime.model_validate(options)
    except ValidationError as error:
        fault = error.errors()[0]
        option = str(fault["loc"][0]).replace("_", "-")
        raise UsageError(f"--{option} {json.dumps(fault['input'])}: {fault['msg']}") from None
