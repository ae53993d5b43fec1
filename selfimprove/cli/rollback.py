"""`selfimprove rollback`: make an earlier accepted round the champion again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.parsing import existing_run


def rollback(
    name: opt.Run,
    to: Annotated[int, typer.Option("--to", metavar="ROUND", min=0, help="An accepted round; 0 is the base model.")],
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Make an earlier accepted round the champion again. Appends a record and deletes no finished round.

    The run's next round starts from that champion. An unfinished round, which started from another one, begins again.

    Writes a line to rounds/RUN/rollbacks.jsonl.

    Exit codes: 0 done; 2 there is no such run, or that round was never accepted.

    Examples:

        selfimprove rollback demo --to 1
        selfimprove rollback demo --to 0
    """
    journal = existing_run(rounds_dir, name)
    with journal.lock():
        begun, before = journal.unfinished(), journal.champion()
        champion = journal.roll_back(to)
    if begun is not None and champion != before:
        typer.echo(f"Round {int(begun.path.name)} was unfinished and started from another champion: it begins again.")
    typer.echo(f"The champion of run {name} is {f'round {champion.number}' if champion.number else 'the base model'}.")
