"""The command line: reads what was typed, chooses the parts, hands over. No logic lives here.

Nothing heavy is imported until a command needs it, so `selfimprove --help` answers at once. A `SelfImproveError` is
printed without a traceback, as one line and its hint, and gives the exit code (2: what was asked for can't be done as
asked); what typer refuses is printed alike. Ctrl-C and SIGTERM give 130 and the command that goes on.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from selfimprove.cli.ask import ask
from selfimprove.cli.check import check
from selfimprove.cli.compare import compare
from selfimprove.cli.doctor import doctor
from selfimprove.cli.export import export
from selfimprove.cli.plan import plan
from selfimprove.cli.prune import prune
from selfimprove.cli.report import report
from selfimprove.cli.rollback import rollback
from selfimprove.cli.run import run
from selfimprove.cli.status import status
from selfimprove.cli.verify import verify
from selfimprove.cli.watch import watch
from selfimprove.errors import SelfImproveError
from selfimprove.text.escaping import escape_text
from selfimprove.version import __version__

if TYPE_CHECKING:
    pass

app = typer.Typer(
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Make a language model better at reasoning with its own samples, in rounds accepted or rejected by evidence.",
)

_MESSAGE = 1000
"""Characters of an error and of its hint."""

for command in (run, watch, status, report, verify, rollback, prune, export, ask, plan, doctor, compare, check):
    app.command()(command)


def main(commands: typer.Typer = app, name: str = "selfimprove") -> None:
    """Run a command line, this one by default; leaves the process with the command's exit code."""
    # OpenMP threads that spin while they wait cost a factor of ten as soon as anything else wants a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = commands(prog_name=name, standalone_mode=False)
    except SelfImproveError as error:
        _tell(error.message, error.hint)
        code = error.exit_code
    except typer.TyperException as error:
        path = getattr(getattr(error, "ctx", None), "command_path", name)
        _tell(error.format_message(), f"Correct it; {path} --help lists what can be typed.")
        code = error.exit_code
    raise SystemExit(code or 0)


def _tell(message: str, hint: str) -> None:
    """The error on one line, and its hint on another; both may quote a file, so they are escaped."""
    if message:  # typer's own help, asked for by typing nothing, has been printed and leaves none
        lines = [f"selfimprove: {escape_text(message, _MESSAGE)}", escape_text(hint, _MESSAGE)]
        sys.stderr.write("".join(f"{line}\n" for line in lines if line))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"selfimprove {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass
