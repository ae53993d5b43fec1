"""`selfimprove evaluate`: models of a run on any problems."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.output import stoppable, table_width, write_text
from selfimprove.cli.parsing import existing_run, read_runtime, view_mode

if TYPE_CHECKING:
    from selfimprove.store.evaluations import Evaluation

Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PROBLEMS",
        help="Files, folders, hub datasets, `reasoning-gym:…`, or the run's own sets `heldout` and `sealed` "
        "[default: sealed, or heldout before the run has judged its sealed problems].",
    ),
]
Models = Annotated[
    str,
    typer.Option(
        "--models",
        metavar="NAMES",
        help="Comma-separated: `base`, `champion`, rounds by number, folders, hub ids; each compared with the first.",
        rich_help_panel=opt.MODEL,
    ),
]
Samples = Annotated[
    int | None,
    typer.Option("--samples", metavar="K", min=1, help="Answers per problem, for pass@k [default: the run's]."),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        "--temperature",
        metavar="T",
        min=0,
        help="Temperature; 0 is greedy [default: as in the run's judging; if that is greedy and --samples is above 1, "
        "sampling.temperature].",
    ),
]
Longest = Annotated[
    int | None,
    typer.Option("--max-new-tokens", metavar="N", min=1, help="Longest answer, in tokens [default: the run's]."),
]
Limit = Annotated[
    int,
    typer.Option(
        "--limit",
        metavar="N",
        min=0,
        help="N random problems from each source; 0: all.",
        rich_help_panel=opt.PROBLEMS,
    ),
]
By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        metavar="FIELD",
        help="Problem field to break results down by; repeatable [default: level, subject and the like].",
        rich_help_panel=opt.PROBLEMS,
    ),
]
Tasks = Annotated[
    str,
    typer.Option("--tasks", metavar="NAMES", help="Tasks of lm-evaluation-harness; needs the `eval` extra."),
]
TasksFrom = Annotated[
    Path | None, typer.Option("--tasks-from", metavar="FOLDER", help="Folder of your own task files for --tasks.")
]
Markdown = Annotated[
    Path | None,
    typer.Option("--markdown", metavar="FILE", help="Write Markdown to this file.", rich_help_panel=opt.OUTPUT),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print only the results.", rich_help_panel=opt.OUTPUT)]


@opt.takes_execution(
    "engine", "device", "threads", "checker_workers", "tensor_parallel", "data_parallel", "trust_remote_code"
)
def evaluate(
    *,
    name: opt.Run,
    sources: Sources = None,
    models: Models = "base,champion",
    samples: Samples = None,
    temperature: Temperature = None,
    max_new_tokens: Longest = None,
    limit: Limit = 0,
    by: By = None,
    tasks: Tasks = "",
    tasks_from: TasksFrom = None,
    settings: opt.Settings = None,
    execution: opt.Execution,
    rounds_dir: opt.RunsFolder = Path("rounds"),
    markdown: Markdown = None,
    quiet: Quiet = False,
    as_json: opt.AsJson = False,
    plain: opt.Plain = False,
) -> None:
    """Evaluate base, champion, any round or another model on any problems, with the run's prompt and checker.

    Shows accuracy and the gain over the first model, overall with an interval for each, and by source, level, subject
    and length of the reference answer with intervals for the gains (for the accuracies, if there is only one model).
    Also shows pass@k, tokens, and how many answers became readable, unreadable, right or wrong. Doesn't affect the
    run's decisions. Results on the run's training problems are shown separately. --set changes any key of sampling,
    answers and problems, such as the prompt (sampling.prompt). If the command is killed, run it again: the results are
    the same as without the kill.

    Writes rounds/RUN/evaluate/ (answers, one JSON and one Markdown file), and the FILE of --markdown.

    Exit codes: 0 evaluated; 1 the engine failed; 2 invalid usage or input; 130 interrupted.

    Examples:

        selfimprove evaluate demo
        selfimprove evaluate demo openai/gsm8k mine.jsonl --models base,1,champion
        selfimprove evaluate demo mine.jsonl --samples 4 --limit 50 --json
    """
    journal = existing_run(rounds_dir, name)
    runtime = read_runtime(execution)
    from selfimprove.evaluate import Wanted, paths
    from selfimprove.evaluate import evaluate as evaluate_run
    from selfimprove.evaluate import markdown as as_markdown
    from selfimprove.recipe.reading import read_settings
    from selfimprove.view import open_view

    options = {"gate.samples": samples, "gate.temperature": temperature, "sampling.max_new_tokens": max_new_tokens}
    typed = [f"{key}={value}" for key, value in options.items() if value is not None]
    wanted = Wanted(
        models=_names(models),
        sources=tuple(sources or ()),
        settings=read_settings([*(settings or []), *typed]),
        limit=limit,
        by=tuple(by or ()),
        tasks=_names(tasks),
        tasks_from=tasks_from,
    )
    mode = view_mode(as_json=False, plain=plain, quiet=quiet or (as_json and not sys.stderr.isatty()))
    with stoppable(shlex.join(["selfimprove", *sys.argv[1:]])), open_view(mode, sys.stderr) as view:
        record = evaluate_run(journal, wanted, runtime, view)
    if markdown:
        write_text(markdown, as_markdown(record), "--markdown")
    if as_json:
        typer.echo(json.dumps(record.plain()))
        return
    _show(record)
    typer.echo(f"\nWritten: {', '.join(map(str, paths(journal, record)))}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _show(record: Evaluation) -> None:
    from rich.console import Console

    from selfimprove.report import section_tables
    from selfimprove.report.evaluations import evaluation_sections

    console = Console(width=table_width())
    for section in evaluation_sections(record):
        for part in section_tables(section):
            console.print(part)
