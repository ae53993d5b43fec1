"""Every failure a user can cause is one line that says what is wrong, where, and what to type.

One root, few kinds. The command line prints a `SelfImproveError` without a traceback and leaves with its
`exit_code`; anything else is a bug of this program and keeps its traceback. A kind exists only where a caller
decides differently because of it: the command line by its exit code, the loop by whether a round can go on.
"""

from __future__ import annotations


class SelfImproveError(Exception):
    """A failure with a cause the user can act on; `hint` is what to type or change, empty if nothing helps."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(SelfImproveError):
    """What was asked for can't be done as asked: a recipe, a problem file, a model, a run folder, an argument."""

    exit_code = 2


class UnreadableError(UsageError):
    """A file of a run can't be read as what it should be; whoever can make it again does."""


class StageError(SelfImproveError):
    """A stage of a round ended without a usable result; what is durable stays, the next start goes on from it."""


class Interrupted(SelfImproveError):  # noqa: N818 - not an error of anyone: the user asked to stop
    """The user asked to stop, by closing a run's iterator of events; everything durable was kept."""

    exit_code = 130
