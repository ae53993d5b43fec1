"""What the vLLM sampler and its worker say to each other: one line of JSON a message, each with a type here.

Both sides import this module and nothing else of each other, so neither can send what the other doesn't know: a line is
read back by the constructor of its type, which refuses a key that is missing, unknown or misspelt (`TypeError`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeVar


@dataclass(frozen=True)
class Setup:
    """The first line to the worker: the engine to start.

    `max_model_len` None is the model's own length, or the longest that the cache has room for. `free_memory` is the
    share of their memory that is free on the GPUs of this worker, the least of them; 1 where none is known.
    """

    model: str
    max_model_len: int | None
    trust_remote_code: bool
    tensor_parallel: int
    free_memory: float


@dataclass(frozen=True)
class Ready:
    """The first line back: whether equal chunks give equal completions, the context, and the ids that end a turn."""

    reproducible: bool
    max_model_len: int
    stop_ids: list[int]


@dataclass(frozen=True)
class Row:
    """One request of a chunk; None leaves a value to the model's generation config."""

    prompt_ids: Sequence[int]
    max_tokens: int
    seed: int
    temperature: float | None
    top_p: float | None
    top_k: int | None


@dataclass(frozen=True)
class Sampled:
    """The completion of a row."""

    token_ids: list[int]
    stop: Literal["eos", "length"]


Message = TypeVar("Message", Setup, Ready, Row, Sampled)


def to_line(messages: Sequence[Setup | Ready | Row | Sampled]) -> str:
    """The messages as one line of JSON, ended."""
    return json.dumps([asdict(message) for message in messages]) + "\n"


def from_line(line: str, kind: type[Message]) -> list[Message]:
    """The messages of one line; `TypeError` for a key that is missing or unknown."""
    return [kind(**message) for message in json.loads(line)]
