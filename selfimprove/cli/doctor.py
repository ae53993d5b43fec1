"""`selfimprove doctor`: one line per check, printed as soon as the check is done."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.parsing import read_runtime, typed_settings
from selfimprove.errors import UsageError
from selfimprove.escaping import escape_text
from selfimprove.formatting import plural

if TYPE_CHECKING:
    from selfimprove.doctor import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}
_WIDTH = 800


@opt.takes_execution("engine", "device", "threads", "trust_remote_code")
def doctor(
    *,
    recipe: opt.Recipe = None,
    model: opt.Model = "",
    problems: opt.Problems = "",
    settings: opt.Settings = None,
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", min=1, help="Number of rounds that must fit on the disk.")
    ] = 2,
    sample: Annotated[
        int,
        typer.Option(
            "--sample", metavar="N", min=0, help="Also sample answers to N training problems, and judge them; 0: none."
        ),
    ] = 0,
    execution: opt.Execution,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one finding per line, as JSON.", rich_help_panel=opt.OUTPUT)
    ] = False,
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Before a run, check that machine, model and problems are usable; print ok, warning or error for each check.

    Downloads no weights, unless --sample is given. With --sample, the model answers N training problems, four times
    each, or more often if the recipe takes more samples per problem. The last line shows how often single answers and
    their majority are right, and what to change before you train.

    Writes the cache in $SELFIMPROVE_CACHE, and test files that it removes at once.

    Exit codes: 0 no errors (perhaps warnings); 1 at least one error; 2 invalid usage or input.

    Examples:

        selfimprove doctor
        selfimprove doctor --recipe demo --model ./my-model --problems mine.jsonl
        selfimprove doctor --recipe rft --problems mine.jsonl --sample 16
    """
    from selfimprove.doctor import Subject, examine, sampled
    from selfimprove.models import default_cache
    from selfimprove.plan.unnamed import recipe_for

    typed = typed_settings(model, problems, settings or [])
    try:
        chosen, why = recipe_for(recipe, typed)
    except UsageError:  # if the problems can't be read, their own check says why
        chosen, why = recipe_for(recipe, typed, unread="all")
    runtime = read_runtime(execution)
    subject = Subject(recipe=chosen, why=why, runtime=runtime, folder=rounds_dir, cache=default_cache(), rounds=rounds)
    levels = [_shown(finding, as_json) for finding in examine(subject)]
    if sample and "error" not in levels:
        levels.append(_shown(sampled(subject, sample), as_json))
    if not as_json:
        typer.echo(_summary(levels.count("error"), levels.count("warning")))
    raise typer.Exit(1 if "error" in levels else 0)


def _shown(finding: Finding, as_json: bool) -> str:
    """The finding's level, after printing it."""
    typer.echo(json.dumps(asdict(finding)) if as_json else "\n".join(_lines(finding)))
    return finding.level


def _summary(errors: int, warnings: int) -> str:
    """What all findings come to."""
    told = f"{plural(errors, 'error')} and {plural(warnings, 'warning')}"
    return f"{told}: {'fix every error before you start a run' if errors else 'a run can start'}."


def _lines(finding: Finding) -> list[str]:
    """The finding on one line, and what to do on another."""
    level = typer.style(f"{finding.level:<8}", fg=_COLOURS[finding.level])
    lines = [f"{level}{finding.check:<12}{escape_text(finding.found, _WIDTH)}"]
    return [*lines, f"{'':<20}{escape_text(finding.advice, _WIDTH)}"] if finding.advice else lines
