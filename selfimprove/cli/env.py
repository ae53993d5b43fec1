"""`selfimprove env`: programs and machine, for a report of an issue."""

from __future__ import annotations

import json

import typer

from selfimprove.cli import options as opt
from selfimprove.escaping import escape_text

_LINE = 400


def env(as_json: opt.AsJson = False) -> None:
    """Show versions, GPUs, CPU, memory and platform, to paste into an issue report; no names, paths or secrets.

    Writes nothing.

    Exit codes: 0 shown; 2 invalid usage.

    Examples:

        selfimprove env
        selfimprove env --json
    """
    from selfimprove.doctor.environment import environment

    found = environment()
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for name, value in found.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for key, part in parts:
            told = ", ".join(map(str, part)) or "none" if isinstance(part, list) else str(part)
            typer.echo(f"{f'{name} {key}'.strip():<26}{escape_text(told, _LINE)}")
