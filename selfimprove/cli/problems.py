"""`selfimprove problems`: what a run would read from a source."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from selfimprove.cli import options as opt


def problems(
    *,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="File, folder, hub dataset or `reasoning-gym:…`.")],
    recipe: opt.Recipe = None,
    model: opt.Model = "",
    settings: opt.Settings = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="Problems that are shown; 0: all.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel=opt.OUTPUT)] = False,
) -> None:
    """Show what a run would read from SOURCE, before anything costs anything.

    Which fields were taken for question, context, options and answer; the first problems as the model will see them,
    with the reference beside each; what was set aside, with line and reason; whether the references can be judged
    against. With --model also the lengths in tokens.

    Exit codes: 0 it can be read; 2 it can't, or no row has an answer.

    Examples:

        selfimprove problems mine.jsonl
        selfimprove problems openai/gsm8k --limit 10
        selfimprove problems other.jsonl --set problems.question=text --set problems.answer=result --json
    """
    from selfimprove.cli.parsing import chosen_recipe
    from selfimprove.problem.preview import preview

    chosen = chosen_recipe(recipe, model, "", settings or [])
    found = preview(source, chosen.problems)
    if as_json:
        sys.stdout.write(json.dumps(found.plain(limit), ensure_ascii=True) + "\n")
        return
