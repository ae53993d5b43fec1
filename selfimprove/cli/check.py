"""`selfimprove check`: one verdict, the checker's error rates on labelled rows, or the references it can't judge by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.parsing import read_mode
from selfimprove.errors import UsageError

if TYPE_CHECKING:
    from selfimprove.recipe import Answers


_Explain = Annotated[
    bool,
    typer.Option(
        "--explain",
        help="Show the answer found, the normal forms and types of both answer and reference, and the deciding stage.",
    ),
]
_Cases = Annotated[
    Path | None, typer.Option("--cases", metavar="FILE", help="Labelled rows (JSONL) to score the checker on.")
]
_WrongRows = Annotated[
    Path | None,
    typer.Option("--wrong", metavar="FILE", help="With --cases: write the misjudged rows to this file."),
]


def check(
    answer: Annotated[str | None, typer.Argument(metavar="ANSWER", help="The model's answer.")] = None,
    gold: Annotated[str | None, typer.Argument(metavar="GOLD", help="The reference answer.")] = None,
    mode: Annotated[
        str, typer.Option("--mode", metavar="MODE", help="Where to look for the answer: boxed, marked or last.")
    ] = "last",
    explain: _Explain = False,
    cases: _Cases = None,
    wrong_rows: _WrongRows = None,
    references: Annotated[
        str, typer.Option("--references", metavar="SOURCE", help="Problems whose reference answers are tested.")
    ] = "",
    checker: Annotated[
        str,
        typer.Option("--checker", metavar="NAME", help="A checker of your own: FILE.py:FUNCTION or MODULE:FUNCTION."),
    ] = "",
    question: Annotated[
        str, typer.Option("--question", metavar="TEXT", help="The question that was answered, with its choices.")
    ] = "",
    recipe: opt.Recipe = None,
    recipe_keys: opt.Settings = None,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=0, help="Processes of the checker; 0: one per usable core.")
    ] = 0,
    as_json: opt.AsJson = False,
) -> None:
    """Judge an ANSWER against a GOLD reference, score the checker on labelled rows, or test reference answers.

    Unlike a run, the command also accepts an unfinished calculation, such as 3*4 for 12. The built-in checker runs no
    code from an answer, and no answer can hang it. With --checker, your own checker judges instead, and its code runs
    with your permissions. With --references, the command tests whether the checker can judge against each reference of
    SOURCE. The recipe (--recipe and --set) gives the fields and the checker. If one of the recipe's guards names
    SOURCE, that guard's fields and checker apply. Otherwise, those of the sections [problems] and [answers] apply.

    Writes the --wrong FILE.

    Exit codes: 0 the answer is correct, or the rows or references were tested; 1 the answer
    isn't correct; 2 invalid usage or input.

    Examples:

        selfimprove check 'so x = \\boxed{1/2}' 0.5 --explain
        selfimprove check --cases tests/cases/answers.jsonl
        selfimprove check --references mine.jsonl
        selfimprove check --references other.jsonl --set problems.question=text --set problems.answer=result
        selfimprove check '{"name": "Ada"}' '{"type": "object"}' --checker docs/checkers/json_schema.py:check
    """
    from selfimprove.answer.checking import shown
    from selfimprove.problem.preview import preview
    from selfimprove.problem.references import readings_of, references_text
    from selfimprove.recipe import Runtime
    from selfimprove.recipe.reading import read_recipe, read_settings

    searched, cores = read_mode(mode), Runtime(threads=workers).usable_threads()
    settings = _settings(checker, bool(cases) or explain)
    if cases:
        typer.echo(shown.cases_text(cases, cores, searched, wrong_rows, as_json))
    elif references:
        for problems, answers in readings_of(read_recipe(recipe, read_settings(recipe_keys or [])), references):
            judged = settings if checker else answers
            found = preview(references, problems, as_written=bool(judged.checker))
            typer.echo(references_text(found.problems, judged, cores))
    elif answer is None or gold is None:
        raise UsageError("nothing to check", "Give an ANSWER and a GOLD reference, or --cases FILE.jsonl.")
    elif not gold.strip():
        raise UsageError("GOLD is empty", "Give the reference answer, such as: selfimprove check 'x = 7' 7")
    elif checker:
        _tell(_judged_apart(answer, gold, question, settings, as_json))
    else:
        _tell(shown.verdict_text(answer, gold, searched, explain, as_json, question))


def _tell(verdict: tuple[bool, str]) -> NoReturn:
    correct, text = verdict
    typer.echo(text)
    raise typer.Exit(0 if correct else 1)


def _settings(checker: str, about_ours: bool) -> Answers:
    from selfimprove.recipe.reading import parse_recipe

    if checker and about_ours:
        raise UsageError("--cases and --explain can't be combined with --checker", "Leave --checker out.")
    return parse_recipe({"answers": {"checker": checker}}, "--checker").answers


def _judged_apart(answer: str, gold: str, question: str, settings: Answers, as_json: bool) -> tuple[bool, str]:
    from selfimprove.answer.checking.shown import told
    from selfimprove.problem.judging import judge_one

    return told(judge_one(answer, gold, question, settings), as_json)
