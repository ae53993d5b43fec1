"""The options of the runtime: spelled once, for every command that executes something."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import typer

from selfimprove.cli.app import app
from selfimprove.cli.options import Execution
from selfimprove.recipe import Runtime


def test_they_have_the_names_and_defaults_of_the_runtime() -> None:
    assert asdict(Execution()) == Runtime().model_dump()


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("run", set(Runtime.model_fields)),
        ("compare", set(Runtime.model_fields)),
        ("ask", {"engine", "device", "threads", "trust_remote_code"}),
        (
            "evaluate",
            {
                "engine",
                "device",
                "threads",
                "checker_workers",
                "tensor_parallel",
                "data_parallel",
                "trust_remote_code",
            },
        ),
        ("plan", {"engine", "device", "threads"}),
    ],
)
def test_a_command_takes_those_it_names_or_all(command: str, names: set[str]) -> None:
    group = typer.main.get_group(app)
    taken = {param.name for param in group.commands[command].params}
    assert taken & set(Runtime.model_fields) == names
    assert "execution" not in taken
