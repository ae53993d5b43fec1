"""The entry point: collects the commands, and turns errors into one line, a hint and an exit code.

Nothing heavy is imported until a command needs it, so `selfimprove --help` answers at once. A `SelfImproveError` is
printed without a traceback, as one line and its hint, and gives the exit code (2: what was asked for can't be done as
asked); what typer refuses is printed alike. Ctrl-C and SIGTERM give 130 and the command that resumes.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from selfimprove.cli.ask import ask
from selfimprove.cli.check import check
from selfimprove.cli.compare import compare
from selfimprove.cli.doctor import doctor
from selfimprove.cli.env import env
from selfimprove.cli.evaluate import evaluate
from selfimprove.cli.export import export
from selfimprove.cli.init import init
from selfimprove.cli.plan import plan
from selfimprove.cli.problems import problems
from selfimprove.cli.prune import prune
from selfimprove.cli.report import report
from selfimprove.cli.rollback import rollback
from selfimprove.cli.run import run
from selfimprove.cli.shown import Command, Group
from selfimprove.cli.status import status
from selfimprove.cli.verify import verify
from selfimprove.cli.watch import watch
from selfimprove.errors import SelfImproveError
from selfimprove.escaping import escape_text

app = typer.Typer(
    cls=Group,
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Improve a language model with its own samples, in rounds that a statistical test accepts or rejects. A "
    "run's current model is its champion: at first the base model, then the latest accepted one.",
)

_MESSAGE_LIMIT = 1000
"""Characters of an error, and of its hint, that are shown."""

COMMANDS = {
    "Before a run": (init, problems, doctor, plan, env),
    "Runs": (run, watch, status, compare),
    "Results": (report, evaluate, verify, ask, check),
    "The model": (export, rollback, prune),
}
"""The commands by the panel of the help that shows them."""

for panel, commands_of_panel in COMMANDS.items():
    for command in commands_of_panel:
        app.command(cls=Command, rich_help_panel=panel)(command)


def main(commands: typer.Typer = app, name: str = "selfimprove") -> None:
    """Run what `sys.argv` says; always raises `SystemExit` with the command's exit code."""
    # OpenMP threads that spin while they wait cost a factor of ten as soon as anything else wants a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = commands(prog_name=name, standalone_mode=False)
    except SelfImproveError as error:
        _print_error(error.message, error.hint)
        code = error.exit_code
    except typer.TyperException as error:
        path = getattr(getattr(error, "ctx", None), "command_path", name)
        fault = error.format_message()
        number = re.fullmatch(r"No such option: (-[\d.].*)", fault)
        own = f"Write -- before arguments that begin with a minus sign: {path} -- {number[1]}" if number else ""
        _print_error(fault, own or f"Run {path} --help for usage.")
        code = error.exit_code
    raise SystemExit(code or 0)


def _print_error(message: str, hint: str) -> None:
    """Print the error on one line and its hint on another; both may quote a file, so they are escaped."""
    if message:  # typing no command shows typer's help, and its error has no message
        lines = [f"selfimprove: {escape_text(message, _MESSAGE_LIMIT)}", escape_text(hint, _MESSAGE_LIMIT)]
        sys.stderr.write("".join(f"{line}\n" for line in lines if line))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"selfimprove {version('selfimprove')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
