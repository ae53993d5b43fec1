"""What the vLLM engine and its worker say to each other: JSON lines, each a value of this module or a list of them.

Both sides build and read them as these classes, so there is one list of keys: a key that the writer has and the reader
doesn't know, or the other way round, is a `TypeError` in the first exchange and not a setting that is silently lost.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Setup:
    """To the worker, once: the model, how it is held, and on which GPUs."""

    model: str
    max_model_len: int | None
    trust_remote_code: bool
    tensor_parallel: int
    gpu_memory: Sequence[Sequence[int]]
    """Free MiB and all MiB of each of the worker's GPUs before it starts; empty where the driver doesn't say."""


@dataclass(frozen=True)
class Ready:
    """From the worker, once: what came of the set-up."""

    reproducible: bool
    max_model_len: int


@dataclass(frozen=True)
class Row:
    """To the worker, one for each request of a chunk; what is `None` the model's generation config decides."""

    prompt_ids: Sequence[int]
    max_tokens: int
    seed: int
    temperature: float
    top_p: float | None
    top_k: int | None


@dataclass(frozen=True)
class Sampled:
    """From the worker, one for each row, in their order."""

    token_ids: Sequence[int]
    stop: str
    """The value of a `sampling.StopReason`."""


Message = Setup | Ready | Sequence[Row] | Sequence[Sampled]


def to_line(message: Message) -> str:
    """The message as one line, with its end."""
    return json.dumps(message, default=vars) + "\n"
