"""One training that is left with so many MiB more after its first step: `short_of_memory.py FOLDER MIB [LENGTH]`.

FOLDER/model is made here: large enough that a micro-batch of 4,096 tokens takes some hundred MiB. With LENGTH, the rows
have so many tokens, and the memory is short from the beginning. Prints the counts as JSON, or the error that ended it.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict
from pathlib import Path

import psutil
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from selfimprove.errors import StageError
from selfimprove.recipe import Runtime, Training
from selfimprove.round.prefixes import Example
from selfimprove.training import train
from tests.training.train_once import make_job


def make_model(folder: Path) -> Path:
    """A random Llama whose activations take about 90 kB a token."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=260,
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def long_examples(count: int, length: int = 100) -> list[Example]:
    """Rows of this length that have nothing in common."""
    draws = torch.randint(2, 260, (count, length), generator=torch.Generator().manual_seed(0)).tolist()
    return [Example(f"k{n}", 0, "prefix", tuple(ids[:-8]), tuple(ids[-8:]), 1.0) for n, ids in enumerate(draws)]


def main(folder: Path, more: int, length: int = 0) -> None:
    """Train two steps: the second one in `more` MiB, or both on rows of `length`."""

    def on_step(number: int, *_: float) -> None:
        if number == 1 and not length:
            _leave(more)

    settings = Training(batch_rows=64, epochs=2, checkpoint_steps=1, rank=4)
    model, runtime = make_model(folder / "model"), Runtime(device="cpu", threads=1)
    rows = long_examples(4, length) if length else long_examples(64)
    job = make_job(folder, model, examples=rows, settings=settings, runtime=runtime)
    if length:
        _leave(more)
    try:
        told = asdict(train(job, on_step))
    except StageError as error:
        told = {"error": str(error)}
    sys.stdout.write(json.dumps(told))


def _leave(more: int) -> None:
    limit = psutil.Process().memory_info().vms + (more << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
