"""`selfimprove prune`: delete what can be rebuilt."""

from __future__ import annotations

from pathlib import Path

import typer

from selfimprove.cli import options as opt
from selfimprove.cli.parsing import existing_run


def prune(name: opt.Run, rounds_dir: opt.RunsFolder = Path("rounds")) -> None:
    """Delete a run's scratch files and merged models; a model that is needed later is rebuilt.

    A model is rebuilt from the base and the adapters, and its hash is checked.

    Writes nothing; deletes only below rounds/RUN/, and never a record.

    Exit codes: 0 done, even if there was nothing to delete; 2 there is no such run, or a process is using it.

    Examples:

        selfimprove prune demo
    """
    from selfimprove.formatting import byte_count
    from selfimprove.runs.prune import prune as prune_run

    pruned = prune_run(existing_run(rounds_dir, name))
    for deleted in pruned:
        typer.echo(f"deleted {deleted.path} ({byte_count(deleted.size)})")
    typer.echo(f"{sum(deleted.size for deleted in pruned):,} bytes freed")
