"""From parsed JSON to the typed records of `records.py`, held to their types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from selfimprove.errors import UnreadableError
from selfimprove.store.records import LENIENT

ModelType = TypeVar("ModelType", bound=BaseModel)


def parsed(content: Mapping[str, Any], kind: type[ModelType], where: Path | str, *, lenient: bool = False) -> ModelType:
    """The record in parsed JSON; `UnreadableError` names `where` and the first key that isn't as its type says."""
    return _validated(content, kind, where, "Restore it, or start a new run.", LENIENT if lenient else None)


def parsed_rows(path: Path, rows: Iterable[Mapping[str, Any]], kind: type[ModelType]) -> list[ModelType]:
    """The rows of a JSONL file; `UnreadableError` names the first that isn't as its type says."""
    hint = "Restore the file, or remove it: its rows are made again."
    return [_validated(row, kind, f"{path}:{number}", hint) for number, row in enumerate(rows, start=1)]


def _validated(
    content: Mapping[str, Any], kind: type[ModelType], where: Path | str, hint: str, context: str | None = None
) -> ModelType:
    try:
        return kind.model_validate(content, context=context)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join(map(str, fault["loc"]))
        raise UnreadableError(f"{where}: `{key}`: {fault['msg']}", hint) from None
