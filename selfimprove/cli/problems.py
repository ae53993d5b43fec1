"""`selfimprove problems`: what a run would read from a source."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.output import screen

if TYPE_CHECKING:
    from selfimprove.problem.preview import Preview
    from selfimprove.recipe import Recipe
    from selfimprove.round.lengths import Lengths


def problems(
    *,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="File, folder, hub dataset or `reasoning-gym:…`.")],
    recipe: opt.Recipe = None,
    model: opt.Model = "",
    settings: opt.Settings = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="Number of problems to show; 0: all.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel=opt.OUTPUT)] = False,
) -> None:
    """Before a run, show what the run would read from SOURCE.

    Shows the fields used for question, context, options and answer; the first problems as the model will see them, each
    with its reference answer; the rows that were set aside, with line and reason; and whether the checker can use the
    references. With --model, also the lengths of the prompts in tokens.

    Writes the cache in $SELFIMPROVE_CACHE: the parsed rows of a large source, and with --model also the model.

    Exit codes: 0 the source can be read; 2 it can't be read, or no row has an answer.

    Examples:

        selfimprove problems mine.jsonl
        selfimprove problems openai/gsm8k --limit 10
        selfimprove problems other.jsonl --set problems.question=text --set problems.answer=result --json
    """
    from rich.console import Console

    from selfimprove.cli.parsing import typed_settings
    from selfimprove.problem import preview, shown
    from selfimprove.problem.judging import own_judge
    from selfimprove.recipe import Runtime
    from selfimprove.recipe.reading import read_recipe
    from selfimprove.runs.reading import told_reading

    chosen = read_recipe(recipe, typed_settings(model, "", settings or []))
    as_written = bool(chosen.answers.checker)
    with ExitStack() as stack:
        reading = stack.enter_context(told_reading(screen(stack)))
        found = preview.preview(source, chosen.problems, reading, as_written=as_written)
    tested = preview.self_test(found, chosen.answers, Runtime().usable_threads())
    lengths = _lengths(chosen, found) if model else None
    if as_json:
        plain = found.plain(limit) | {"checker": {"tested": tested.tested, "faulty": len(tested.faulty)}}
        typer.echo(json.dumps(plain | ({} if lengths is None else {"tokens": lengths.plain()})))
        return
    console = Console(highlight=False, emoji=False, markup=False, soft_wrap=True)
    for line in shown.shown_lines(found, limit):
        console.print(line)
    console.print()
    console.print(shown.checker_line(tested.tested, tested.faulty, own_judge(chosen.answers, found.problems)))
    if lengths is not None:
        console.print(shown.labelled("tokens", lengths.told(), "red" if lengths.too_long else ""))


def _lengths(recipe: Recipe, found: Preview) -> Lengths:
    """The prompts measured with the recipe's model; raises what keeps the model from being read."""
    from selfimprove.models import default_cache, load_tokenizer, preview_model
    from selfimprove.round.lengths import context_of, measured

    folder, _ = preview_model(recipe.model, default_cache(), trust_remote_code=False)
    tokenizer = load_tokenizer(folder.path, title=folder.source).using(recipe.sampling.template)
    return measured(tokenizer, recipe.sampling, found.problems, context_of(folder.path))
