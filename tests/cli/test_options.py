"""The options of the runtime: spelled once, for every command that executes something."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import typer

from selfimprove.cli.app import COMMANDS, app
from selfimprove.cli.options import Execution
from selfimprove.recipe import Runtime


def test_they_have_the_names_and_defaults_of_the_runtime() -> None:
    assert asdict(Execution()) == Runtime().model_dump()


def test_options_stand_in_panels_and_flags_have_no_type() -> None:
    group = typer.main.get_group(app)
    context = typer.Context(group, info_name="selfimprove")
    panels = {}
    for command in (group, *group.commands.values()):
        for param in command.get_params(context):
            assert not (getattr(param, "is_flag", False) and param.display_type_rich(context)), param.name
            panels[param.name] = getattr(param, "rich_help_panel", None)
    expected = {"model": "Model", "problems": "Problems", "settings": "Recipe", "threads": "Machine", "plain": "Output"}
    assert {name: panels[name] for name in expected} == expected
    assert {command.rich_help_panel for command in group.commands.values()} == set(COMMANDS)
    assert sum(map(len, COMMANDS.values())) == len(group.commands)


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
        ("init", {"engine", "device", "threads", "trust_remote_code"}),
    ],
)
def test_a_command_takes_those_it_names_or_all(command: str, names: set[str]) -> None:
    group = typer.main.get_group(app)
    taken = {param.name for param in group.commands[command].params}
    assert taken & set(Runtime.model_fields) == names
    assert "execution" not in taken
