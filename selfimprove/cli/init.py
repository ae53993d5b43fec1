"""`selfimprove init`: look at a model and problems, and write a recipe for them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.output import stoppable, write_text
from selfimprove.cli.parsing import read_runtime, typed_settings
from selfimprove.errors import SelfImproveError, UsageError
from selfimprove.escaping import escape_text

if TYPE_CHECKING:
    from selfimprove.init import Found
    from selfimprove.recipe import Recipe, Runtime

ROUNDS = 3
"""Rounds that the cost is told for."""
_LINE = 1000


@opt.takes_execution("engine", "device", "threads", "trust_remote_code")
def init(
    *,
    model: opt.Model = "",
    problems: opt.Problems = "",
    settings: opt.Settings = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Don't ask: measure, and use the defaults for what isn't given.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="The recipe's file [default: named after the problems].",
            rich_help_panel=opt.OUTPUT,
        ),
    ] = None,
    no_calibrate: Annotated[
        bool,
        typer.Option(
            "--no-calibrate", help="Don't measure what a round takes on this machine.", rich_help_panel=opt.MACHINE
        ),
    ] = False,
    execution: opt.Execution,
) -> None:
    """Look at a model and problems, and write a recipe that sets the few keys that matter, each with a reason.

    If at least 90% of the training problems have a reference answer, the recipe selects solutions by their answers. It
    holds out enough problems to detect a realistic gain, if there are that many. The command measures what a run costs
    on this machine. It downloads no weights: a run of a hub model is measured only if the model is already in the
    cache. The command asks questions only on a terminal, and never with --yes.

    Writes the --output FILE; an existing file is replaced only if you confirm it at the terminal. Fills the cache in
    $SELFIMPROVE_CACHE.

    Exit codes: 0 written; 1 not written, as you chose; 2 invalid usage or input; 130 interrupted.

    Examples:

        selfimprove init --model ./my-model --problems mine.jsonl
        selfimprove init --model ./my-model --problems mine.jsonl --yes --output first.toml
        selfimprove init --problems other.jsonl --set problems.question=text --set problems.answer=result
    """
    from selfimprove.init import advice, choose, look
    from selfimprove.init.text import recipe_text
    from selfimprove.models import default_cache
    from selfimprove.models.gpus import gpus_here
    from selfimprove.recipe import EMBEDDED

    asks = not yes and sys.stdin.isatty() and sys.stdout.isatty()
    runtime = read_runtime(execution)
    model = model or _answer("Model (hub id, folder or .gguf file)", EMBEDDED, asks=asks)
    problems = problems or _answer(
        "Problems (file, folder, hub dataset or generator)", "reasoning-gym:arithmetic", asks=asks
    )
    output = output or Path(f"{_stem(problems)}.toml")
    _refuse_or_ask(output, asks=asks)
    with stoppable():
        own = typed_settings("", "", settings or [])
        found = look(model, problems, default_cache(), own, trust_remote_code=runtime.trust_remote_code)
        recipe = choose(found, own, gpu=gpus_here().usable())
        for line in (*found.told(), *advice(recipe, found)):
            typer.echo(escape_text(line, _LINE))
        measures = not no_calibrate and found.size is not None
        measures = measures and (not asks or typer.confirm("Measure a round on this machine (takes a minute)?", True))
        cost = _cost(recipe, found, runtime, measures=measures)
    write_text(output, recipe_text(recipe, found, cost, output, own), "--output")
    typer.echo(f"wrote {output}; next:\n  selfimprove doctor --recipe {output}")
    typer.echo(f"  selfimprove run --recipe {output} --rounds {ROUNDS}")


def _answer(question: str, default: str, *, asks: bool) -> str:
    return str(typer.prompt(question, default=default)) if asks else default


def _stem(problems: str) -> str:
    """A file's name after a source: `gsm8k` of `openai/gsm8k:main`, `mine` of `data/mine.jsonl`."""
    last = problems.removeprefix("reasoning-gym:").partition(":")[0].rstrip("/").rpartition("/")[2]
    return re.sub(r"[^\w-]+", "-", last.partition(".")[0]).strip("-") or "recipe"


def _refuse_or_ask(output: Path, *, asks: bool) -> None:
    if not output.exists():
        return
    if not asks:
        raise UsageError(f"{output}: already exists", "Choose another file with --output, or remove this one.")
    if not typer.confirm(f"{output} already exists. Replace it?", default=False):
        raise typer.Exit(1)


def _cost(recipe: Recipe, found: Found, runtime: Runtime, *, measures: bool) -> list[str]:
    """What the rounds cost: measured, or as upper bounds with the reason and the command that measures."""
    from selfimprove.init import counted
    from selfimprove.plan.lines import plan_lines
    from selfimprove.runs.assemble import measured_plan

    counts = plan_lines(counted(recipe, found), ROUNDS)
    counts = counts[: counts.index("")]
    if not measures:
        why = "the model isn't downloaded yet" if found.size is None else "--no-calibrate"
        return [*counts, f"Not measured here ({why}). To measure it: selfimprove plan --recipe FILE --calibrate"]
    typer.echo("measuring ...")
    try:
        return [*counts, *measured_plan(recipe, runtime, ROUNDS)]
    except SelfImproveError as cause:
        return [*counts, f"Not measured on this machine: {cause.message}"]
