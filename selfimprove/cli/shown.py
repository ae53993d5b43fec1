"""The help as it is drawn: an option that takes no value has no type beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer.core import TyperCommand, TyperGroup, TyperOption

if TYPE_CHECKING:
    from typer._click.core import Context, Parameter


class Command(TyperCommand):
    """A command whose flags are shown without `<bool>`."""

    def get_params(self, ctx: Context) -> list[Parameter]:
        """The parameters, `--help` among them."""
        return _untyped(super().get_params(ctx))


class Group(TyperGroup):
    """The program itself, likewise."""

    def get_params(self, ctx: Context) -> list[Parameter]:
        """The parameters, `--help` among them."""
        return _untyped(super().get_params(ctx))


def _untyped(params: list[Parameter]) -> list[Parameter]:
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag:
            param.metavar = ""
    return params
