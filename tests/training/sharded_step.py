"""One sharded training step, told layer by layer: how many layers are whole after each has computed.

`torch.distributed.run --nproc-per-node 2 sharded_step.py FOLDER` trains FOLDER/model and writes FOLDER/RANK.json:
one number a layer and pass, and one after the step.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from torch import nn
from torch.distributed.tensor import DTensor

from selfimprove.recipe import Runtime
from selfimprove.training.fit import prepare, take_step
from tests.training.train_once import make_job


def is_whole(layer: nn.Module) -> bool:
    return not any(isinstance(parameter, DTensor) for parameter in layer.parameters())


def main(folder: Path) -> None:
    runtime = Runtime(device="auto", threads=1, sharding="fsdp")
    fit = prepare(make_job(folder, folder / "model", runtime=runtime))
    layers = [module for module in fit.peft.modules() if type(module).__name__.endswith("DecoderLayer")]
    told: list[int] = []
    for layer in layers:
        layer.register_forward_hook(lambda *_: told.append(sum(map(is_whole, layers))))
    take_step(fit, 1)
    told.append(sum(map(is_whole, layers)))
    (folder / f"{fit.accelerator.process_index}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
