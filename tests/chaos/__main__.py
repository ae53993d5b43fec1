"""`python -m tests.chaos`, which `make chaos` runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.app import main
from selfimprove.cli.output import stoppable
from tests.chaos.command import chaos_command

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False, rich_markup_mode="markdown")


@app.command()
def chaos(
    kills: Annotated[int, typer.Option("--kills", metavar="N", min=1, help="How many kills.")] = 30,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the kill plan.")] = 0,
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", help="`tiny` (made on the spot) or any other.")
    ] = "tiny",
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="FOLDER", help="Work in this folder and keep it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    rounds_dir: opt.RunsFolder = Path("rounds"),
) -> None:
    """Test on this disk that a run can be killed at any time and ends with the records of one that was not.

    Writes a temporary folder under --rounds-dir and removes it, unless the test fails or --keep names another.

    Exit codes: 0 all records are equal; 1 they aren't; 2 invalid usage or input; 130 interrupted.

    Examples:

        make chaos
        make chaos KILLS=200 SEED=1
    """
    with stoppable():
        passed = chaos_command(kills, seed, model, rounds_dir, keep, as_json)
    raise typer.Exit(0 if passed else 1)


if __name__ == "__main__":
    main(app, "make chaos")
