"""`selfimprove ask`: base and champion answer the same questions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.output import stoppable
from selfimprove.cli.parsing import existing_run, read_runtime


@opt.takes_execution("engine", "device", "threads", "trust_remote_code")
def ask(
    *,
    name: opt.Run,
    questions: Annotated[
        list[str], typer.Argument(metavar="QUESTION…", help="Questions; `-` reads them from stdin, one per line.")
    ],
    gold: Annotated[
        list[str] | None,
        typer.Option("--gold", metavar="ANSWER", help="Reference answer; give the option once per question."),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            metavar="T",
            min=0,
            help="Sampling temperature; 0 is greedy [default: as in the run's judging].",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, help="Sampling seed [default: the run's].")
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option("--max-new-tokens", metavar="N", min=1, help="Longest answer, in tokens [default: the run's]."),
    ] = None,
    execution: opt.Execution,
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Ask a run's base model and its champion the same questions, side by side, with the run's prompt.

    With --gold, each answer is judged too, as in the run. The same seed gives the same answers on the same machine.

    Writes nothing, except to rebuild a pruned champion in rounds/RUN/.

    Exit codes: 0 answered; 1 the engine failed; 2 invalid usage or input; 130 interrupted.

    Examples:

        selfimprove ask demo "What is 3 + 4 * 5?" --gold 23
        selfimprove ask demo "What is 7 * 8?" --temperature 0.7 --seed 3
        selfimprove ask demo - < questions.txt
    """
    journal = existing_run(rounds_dir, name)
    runtime = read_runtime(execution)
    from rich.console import Console

    from selfimprove.ask import Overrides
    from selfimprove.ask import ask as ask_run
    from selfimprove.ask.display import show
    from selfimprove.ask.questions import read_questions

    asked = read_questions(questions, gold or [], sys.stdin)
    overrides = Overrides(temperature, seed, max_new_tokens)
    with stoppable():
        show(ask_run(journal, asked, overrides, runtime), Console())
