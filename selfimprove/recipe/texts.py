"""Types of keys whose text is held to a form: a user's turn, the name of a function."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator


def _has_question(value: str) -> str:
    if value.count("{question}") != 1:
        raise ValueError("must contain {question} exactly once")
    return value


def _has_question_or_nothing(value: str) -> str:
    return _has_question(value) if value else value


def _names_a_function(value: str) -> str:
    where, colon, function = value.rpartition(":")
    if value and not (where and colon and function.isidentifier()):
        raise ValueError("must name a function as package.module:function or path/to/file.py:function")
    return value


Template = Annotated[str, AfterValidator(_has_question)]
"""A user's turn with a place for the question."""

OptionalTemplate = Annotated[str, AfterValidator(_has_question_or_nothing)]
"""The same; empty: another one is used."""

CheckerName = Annotated[str, AfterValidator(_names_a_function)]
"""A checker of one's own; empty: none."""
