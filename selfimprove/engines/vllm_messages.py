"""The protocol between the vLLM engine and its worker: JSON lines, each a value of this module.

Both sides build and read them as these classes, so there is one list of keys: a key that the writer has and the reader
doesn't know, or the other way round, is a `TypeError` in the first exchange and not a setting that is silently lost.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

LORA_ROOMS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks of LoRAs that vLLM makes room for."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """To the worker, once: the model, how it is split, and the memory of its GPUs; `adapter` is a folder, or empty."""

    model: str
    dtype: str
    """The type in which weights are computed, by its name in torch: the trainer's."""
    adapter: str
    max_model_len: int | None
    trust_remote_code: bool
    tensor_parallel: int
    gpu_memory: Sequence[Sequence[int]]
    """Free MiB and all MiB of each of the worker's GPUs before it starts; empty where the driver doesn't say."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """From the worker, once: the model is loaded, and the worker holds so many rows and tokens (0: one chunk)."""

    reproducible: bool
    max_model_len: int
    rows: int
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """To the worker, one for each request of its load, with every parameter of its `sampling.DrawRule`."""

    prompt_ids: Sequence[int]
    max_tokens: int
    seed: int
    repetition_penalty: float
    temperature: float
    min_p: float
    top_k: int
    top_p: float


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """From the worker, one for each row, in the order of the rows."""

    token_ids: Sequence[int]
    stop: str
    """The value of a `sampling.StopReason`."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """To the worker: rows under a number that no other load has; without rows, all loads in hand are dropped."""

    number: int
    rows: Sequence[Row]

    @classmethod
    def read(cls, line: str) -> Load:
        """The load in a line."""
        said = json.loads(line)
        return cls(**{**said, "rows": [Row(**row) for row in said["rows"]]})


@dataclass(frozen=True, kw_only=True)
class Answer:
    """From the worker: the completions of the load of that number."""

    number: int
    rows: Sequence[Sampled]

    @classmethod
    def read(cls, line: bytes) -> Answer:
        """The answer in a line."""
        said = json.loads(line)
        return cls(**{**said, "rows": [Sampled(**row) for row in said["rows"]]})


Message = Setup | Ready | Load | Answer


def to_line(message: Message) -> str:
    """The message as one line of JSON, newline included."""
    return json.dumps(message, default=vars) + "\n"
