"""One sharded training step: how many layers are whole after each has computed, and how often gradients are summed.

`torch.distributed.run --nproc-per-node 2 sharded_step.py FOLDER` trains FOLDER/model and writes FOLDER/RANK.json: a
number for each layer and pass, one after the step, and the number of all-reduces. Only the first process finds weights
in its folder of the model.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from selfimprove.recipe import Runtime
from selfimprove.training.fit import prepare, take_step
from tests.training.train_once import make_job


def is_whole(layer: nn.Module) -> bool:
    return not any(isinstance(parameter, DTensor) for parameter in layer.parameters())


def main(folder: Path) -> None:
    runtime = Runtime(device="auto", threads=1, sharding="fsdp")
    model = folder / "model"
    if os.environ["RANK"] != "0":
        model = folder / "outline"
        model.mkdir()
        shutil.copy(folder / "model" / "config.json", model)
    fit = prepare(make_job(folder, model, runtime=runtime))
    layers = [module for module in fit.peft.modules() if type(module).__name__.endswith("DecoderLayer")]
    told: list[int] = []
    for layer in layers:
        layer.register_forward_hook(lambda *_: told.append(sum(map(is_whole, layers))))
    with torch.profiler.profile() as seen:
        take_step(fit, 1)
    told.append(sum(map(is_whole, layers)))
    sums = sum(event.count for event in seen.key_averages() if event.key == "gloo:all_reduce")
    found = {"whole": told, "all_reduces": sums}
    (folder / f"{fit.accelerator.process_index}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
