"""Values of rows for messages, and what a text has to be before it is kept."""

from __future__ import annotations

from selfimprove.errors import UsageError

LONGEST = 1_000_000
"""Characters of a question or an answer: far above any problem, far below what fills a machine's memory."""


def kind_of(value: object) -> str:
    """What a value is, for a message."""
    match value:
        case None:
            return "null"
        case bool():
            return "a truth value"
        case int() | float():
            return f"the number {value}"
        case str():
            return "a text"
        case list() | tuple():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
    return type(value).__name__


def checked_text(value: str, field: str, where: str) -> str:
    """The text, if it can be written and is no longer than `LONGEST`; else `UsageError`, naming `where`."""
    if len(value) > LONGEST:
        raise UsageError(
            f"{where}: `{field}` has {len(value):,} characters, more than {LONGEST:,}", "Shorten or remove the row."
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{where}: `{field}` holds half of a surrogate pair, which isn't valid text", "Correct or remove the row."
        ) from None
    return value
