"""`selfimprove verify`: a run's records checked against each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.parsing import existing_run


def verify(
    name: opt.Run,
    rounds_dir: opt.RunsFolder = Path("rounds"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every check as JSON.", rich_help_panel=opt.OUTPUT)
    ] = False,
) -> None:
    """Check every hash and fingerprint of a run, and recompute its decisions and figures from the verdicts.

    Needs neither models nor problems, so anyone who has the run's folder can check the run. If the adapters' weights
    were left out of the folder, they are listed as missing, and everything else is checked.

    Writes nothing.

    Exit codes: 0 no check fails; 1 a check fails; 2 there is no such run.

    Examples:

        selfimprove verify demo
        selfimprove verify demo --json
    """
    from dataclasses import asdict

    from selfimprove.runs.assemble import fingerprint
    from selfimprove.runs.verify import faults_in, missing_in
    from selfimprove.runs.verify import verify as verify_run

    findings = verify_run(existing_run(rounds_dir, name), fingerprint)
    faults, missing = faults_in(findings), missing_in(findings)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in missing:
            typer.echo(f"{finding.where}: {finding.what}: not checked; missing: {finding.missing}")
        for finding in faults:
            typer.echo(f"{finding.where}: {finding.what}: {finding.fault}")
        unmade = f", {len(missing)} not made because weights are missing" if missing else ""
        typer.echo(f"{len(findings)} checks, {len(faults)} failed{unmade}")
    raise typer.Exit(1 if faults else 0)
